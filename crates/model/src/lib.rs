//! How is a model spoken to? One attempt at a time: [`encode`] writes a request in the wire of a [`Provider`], [`ask`] sends it and reads
//! the answer as it comes in, and what goes wrong is a class of failure. What is tried next is decided elsewhere (`kernel`).
//!
//! A request's bytes are a function of the request: replay compares them. What a provider sent is kept as it came.
//!
//! Refuses to do: retries, fallbacks, prices, keeping anything between two attempts.

mod ask;
mod cassette;
mod dialect;
mod failure;
mod list;
mod provider;
mod relay;
mod sse;
mod wire;

pub use ask::{Deadlines, Delta, RAW_BYTES_MAX, Reply, Seen, Stop, ask};
pub use cassette::{Cassette, CassetteError};
pub use list::models;
pub use provider::{ApiKey, BadProvider, Provider};
pub use relay::{NotCarried, RELAY_OUTPUT_TOKENS, Relayed, Wants, relayed, translated};
pub use wire::{Reading, encode, input_tokens};
