//! How does a verb reach a node, ask and print? Which node is meant and how to talk to it, what a person is asked, where
//! output goes, and how a verb ends: an exit code for scripts, an error with a remedy for people.
//!
//! Refuses to do: the verbs themselves and their arguments (the command line's); what things are called (words').

mod args;
pub mod attach;
pub mod codes;
pub mod exit;
pub mod mcp_client;
mod node_client;
pub mod print;
pub mod prompt;
pub mod single_keys;
pub mod target;
pub mod typed;

pub use args::{Color, Global, Target};
pub use node_client::Response;
