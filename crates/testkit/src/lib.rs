//! Which peers do the tests of several crates need? Only a development dependency: nothing here is in the binary. Peers
//! that one crate's tests need stay with these tests.

mod collector;

pub use collector::{Collector, Posted};
