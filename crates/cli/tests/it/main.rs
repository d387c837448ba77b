//! The program `cella` as scripts and people meet it: run as a process, in a home directory of its own.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod calls;
mod cells;
mod clients;
mod completion;
mod crashes;
mod errors;
mod exec;
mod help;
mod home;
mod install;
mod ledger;
mod lingering;
mod luggage;
mod placeholders;
mod proposals;
mod published;
mod registry;
mod runs;
mod secrets;
mod supervised;
#[cfg(feature = "otlp")]
mod traces;
mod waiting;
mod workspaces;
