//! How do messages travel? Stdio, Streamable HTTP, legacy HTTP+SSE and unix sockets, as client (`client::Link`, towards
//! servers) and as server (`server`, towards agents), in both protocol eras. Between the two stands one seam that knows
//! no era and no wire: a [`Call`] goes in, an [`Exchange`] comes out.
//!
//! Refuses to do: routing, policy, recording, namespaces. Those are the node's and the catalogue's.

mod call;
mod exchange;
mod service;

pub mod client;
pub mod net;
pub mod server;
pub mod stdio;

pub use call::{Call, Caller, Scope};
pub use exchange::{
    Answer, Ask, AskKey, Exchange, Failure, Fault, FaultKind, Observer, Performer, Reply, STEPS_WAITING_MAX,
    Step,
};
pub use service::{Change, Interest, Peer, Refusal, Service, Watch};
