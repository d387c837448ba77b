//! How is a server reached? A [`Link`] performs [`cella_transport::Call`]s at one MCP server, over whatever wire it is
//! reached (stdio, Streamable HTTP, HTTP+SSE, unix socket) and in whatever era it speaks.
//!
//! Two carriers do the work: a channel, where many calls share one pair of streams, and HTTP, where each has its own.
//! What they share is pure and stands beside them: the words of a call in the server's era, progress tokens, the clock
//! of a call, and who is meant when a server asks.
//!
//! Refuses to do: starting servers, choosing among them, policy, recording.

mod asks;
mod backoff;
mod carrier;
mod challenge;
mod channel;
mod clock;
mod error;
mod events;
mod http;
mod interests;
mod keeper;
mod limits;
mod link;
mod lists;
mod negotiate;
mod open;
mod options;
mod outgoing;
mod progress;
mod sink;
mod sse;
mod tally;
mod tasks;
mod terms;
mod wire;

pub use challenge::Challenge;
pub use error::LinkError;
pub use events::LinkEvent;
pub use link::Link;
pub use lists::Listing;
pub use options::{Deadlines, EraPreference, LinkLimits, LinkOptions, Root};
pub use tally::Counters;
pub use wire::{Endpoint, Wire};
