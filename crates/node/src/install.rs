//! Packages that `npx` and `uvx` would fetch at every start are installed once, into Cella's store, and run from there.
//!
//! Installing and running are two phases with two contracts. This one reaches the registries and writes one directory of
//! the store; that one reads the directory, and reaches no registry unless its contract names it. Both are in cells.
//!
//! Which packages, and what an installer is told, is the crate `cella_packages`'s. Here they are run: `bench` runs one step in
//! a cell, `outcome` reads how it ended, `npm` and `pypi` go one step after the other, and `store` does the whole.

mod bench;
mod npm;
mod outcome;
mod pypi;
mod store;

pub use cella_packages::{
    Allowed, Ecosystem, Index, InstallError, LOCK_SCHEMA, Lock, Locked, Pin, Recipe, Tree,
};
pub use store::{Installed, Order, Store};
