//! One attempt against a server that behaves, and against servers that do not.

mod faults;
mod server;
