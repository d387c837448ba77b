//! What is said between an agent and a model, whichever wire it goes over? A [`Request`] is what an agent asks, an
//! [`Answer`] what a model said, a [`Failure`] why it said nothing: neutral values that a run keeps, compares and asks
//! again with another provider.
//!
//! What a wire says beyond these (reasoning items, signatures, ids) is kept as it came in [`Verbatim`] and goes back to the
//! same wire untouched. Arguments of tool calls stay the text that the model wrote, valid or not.
//!
//! Refuses to do: any wire's own format, sockets, prices, deciding what happens next.

mod answer;
mod failure;
mod json;
mod relay;
mod request;
mod turn;

pub use answer::{Answer, Stop, Usage};
pub use failure::{Failure, FailureClass};
pub use json::Json;
pub use relay::{Dialect, Relay};
pub use request::{OutputSchema, Request, ToolChoice, ToolSpec};
pub use turn::{Assistant, ToolCall, ToolResult, Turn, Verbatim, Wire};
