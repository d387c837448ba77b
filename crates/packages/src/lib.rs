//! Which packages does a command line ask for, how are their installers told, and what exactly came of it?
//!
//! `recipe` reads the command line of a runner (`npx`, `uvx` and their like); `environment`, `registry` and `lines` say what an
//! installer is told, which hosts it may reach and what it is asked to do; `pins` and `lock` what exactly that is; `program` and
//! `tree` look at what was installed.
//!
//! Refuses to do: running anything. Whoever runs an installer decides in what it is held.

pub mod environment;
mod error;
pub mod lines;
mod lock;
pub mod pins;
pub mod program;
mod recipe;
pub mod registry;
pub mod tree;

pub use error::InstallError;
pub use lock::{LOCK_SCHEMA, Lock, Locked};
pub use pins::Pin;
pub use recipe::{Allowed, Ecosystem, Index, Recipe};
pub use tree::Tree;
