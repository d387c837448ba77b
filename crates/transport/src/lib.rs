//! What stands between the two halves of the wire? One seam that knows no era and no wire: a [`Call`] goes in, an
//! [`Exchange`] comes out. `cella-door` (towards agents) asks, `cella-link` (towards servers) performs; what both need
//! of bytes is here too: one message per line ([`stdio`]) and sockets ([`net`]).
//!
//! Refuses to do: eras, HTTP, routing, policy, recording.

mod call;
mod exchange;
mod service;

pub mod net;
pub mod stdio;

pub use call::{Call, Caller, Scope, Transport};
pub use exchange::{
    Answer, Ask, AskKey, Exchange, Failure, Fault, FaultKind, Observer, Performer, Reply, STEPS_WAITING_MAX,
    Step,
};
pub use service::{Change, Interest, Peer, Refusal, Service, TaskWatch, Watch};
