//! Packages that `npx` and `uvx` would fetch at every start are installed once, into Cella's store, and run from there.
//!
//! A cell has no network, so what runs in it must be on disk before. Installing and running are two phases: this one
//! has the registry and no secrets, that one has neither. `recipe` reads a command line and decides what is to be
//! installed (pure); `environment` what an installer is told; `store` does it.

mod environment;
mod error;
mod recipe;
mod store;

pub use error::InstallError;
pub use recipe::{Ecosystem, Index, Recipe};
pub use store::{Installed, Store};
