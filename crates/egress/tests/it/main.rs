//! Real programs in a real network namespace, in which every address is local, against servers outside of it.
#![expect(clippy::print_stdout, reason = "a test that cannot run says so")]

mod api;
#[expect(dead_code, reason = "the benchmark uses the rest")]
mod cell;
mod flood;
mod names;
mod outside;
mod protocols;
mod secrets;
mod sixteen;
mod stage;
