//! How does an MCP client give an agent a task? Under an endpoint of its own every agent of the node is a tool; a call of it is a run, and what
//! a run waits for, approval of a call or the word on one in doubt, is asked of the client's user by elicitation.
//!
//! A client that cannot be asked hears by progress that somebody has to decide, and its call waits until somebody has. Refuses to do: pursuing
//! runs, deciding who may approve (the node).

mod door;
mod questions;

pub use door::{Agents, SERVER};
