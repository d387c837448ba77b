//! Where may a cell connect to, and how does it get there?
//!
//! In a cell every address is local, so whatever it connects to arrives at a listener of the [`Broker`], which runs outside,
//! beside the node. The broker answers names that a grant covers with addresses of its own making and no others, learns
//! from the address that was connected to which name was meant, resolves that name where the node stands, refuses addresses
//! that a name must not lead to, compares the TLS server name or HTTP host that the client says first, dials the address it
//! looked at, and moves bytes. Nothing that was not granted leaves the cell: no query, no datagram, no address written out.
//!
//! [`Policy`] and its neighbours decide and do no I/O; a [`Permit`] is the only way to an address and a [`Vetted`] address
//! the only one that is dialled. Each connection and each refusal becomes a [`Record`].
//!
//! Refuses to do: making namespaces or sockets inside one (the cell's business), reading inside TLS, looking at requests
//! after the first on a connection that HTTP keeps open.

mod audit;
mod broker;
mod carry;
mod connection;
mod denial;
mod dial;
mod dns;
mod guard;
mod hello;
mod limits;
mod names;
mod opening;
mod policy;
mod rate;
mod record;
mod resolve;
mod responder;

pub use broker::{Broker, BrokerError, BrokerHandle, Counts, Gauge, Sockets};
pub use denial::{Denial, lacks_grant};
pub use guard::Kind;
pub use limits::Limits;
pub use policy::{Permit, Policy, Target, Vetted, ports};
pub use record::{Ending, Record, Subject, Verdict};
pub use resolve::{Addresses, Resolve, System};
