//! How do clients of OpenAI's and Anthropic's interfaces reach models and agents through the node? Each request becomes a run: on record,
//! within a budget, with the provider's key that the client never has.
//!
//! A model's name leads to a provider: the body goes there as it came where the provider speaks the client's protocol, else
//! translated, and comes back the same way (`relay`). An agent's name leads to a run of that agent, with the tools of the catalogue, and its
//! last word is the answer (`agent`). What clients see is written by `render` and `fault`.
//!
//! Refuses to do: speaking to providers (`model`), pursuing runs (`pursuit`), deciding who may enter (the node).

mod agent;
mod door;
mod fault;
mod list;
mod relay;
mod render;
mod request;
mod speech;
mod talk;

pub use door::{Body, Door};
