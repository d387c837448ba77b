//! Packages that `npx` and `uvx` would fetch at every start are installed once, into Cella's store, and run from there.
//!
//! Installing and running are two phases with two contracts. This one reaches the registries and writes one directory of
//! the store; that one reads the directory, and reaches no registry unless its contract names it. Both are in cells.
//!
//! `recipe` reads a command line and decides what is to be installed; `environment`, `registry` and `lines` what an
//! installer is told, which hosts it may reach and what it is asked to do; `pins` and `lock` what exactly that is. All
//! that is pure. `bench` runs one step in a cell, `npm` and `pypi` one step after the other, `tree` knows files again,
//! and `store` does the whole.

mod bench;
mod environment;
mod error;
mod lines;
mod lock;
mod npm;
mod outcome;
mod pins;
mod program;
mod pypi;
mod recipe;
mod registry;
mod store;
mod tree;

pub use error::InstallError;
pub use lock::{LOCK_SCHEMA, Lock, Locked};
pub use pins::Pin;
pub use recipe::{Allowed, Ecosystem, Index, Recipe};
pub use store::{Installed, Order, Store};
pub use tree::Tree;
