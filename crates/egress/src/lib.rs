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
//! Towards a host to which a secret of the cell is bound, and only there, TLS ends in the broker: the value takes the place of
//! its placeholder in requests and the other way round in answers (`intercept`).
//!
//! Refuses to do: making namespaces or sockets inside one (the cell's business), reading inside TLS towards any other host,
//! looking at requests after the first on a connection that HTTP keeps open there, knowing where secrets are kept.

mod audit;
mod authority;
mod broker;
mod carry;
mod connection;
mod denial;
mod dial;
mod dns;
mod guard;
mod hello;
mod intercept;
mod limits;
mod names;
mod opening;
mod placeholders;
mod policy;
mod rate;
mod record;
mod resolve;
mod responder;
mod secrets;
mod trust;

pub use authority::{Authority, AuthorityError};
pub use broker::{Broker, BrokerError, BrokerHandle, Counts, Gauge, Sockets};
pub use denial::{Denial, lacks_grant};
pub use guard::Kind;
pub use limits::Limits;
pub use placeholders::Placeholders;
pub use policy::{Permit, Policy, Target, Vetted, ports};
pub use record::{Ending, Record, Subject, Verdict};
pub use resolve::{Addresses, Resolve, System};
pub use secrets::{Bound, NoValue, Secrets, Value, Values};
pub use trust::{Trust, TrustError};
