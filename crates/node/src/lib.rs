//! How do the parts become one running process? Configuration is loaded, doors are opened, and each call takes its way:
//! resolved by the catalogue, decided by its contract, put on the ledger, performed by its server, concluded.
//!
//! Refuses to do: parsing arguments, printing, talking to terminals (the command line's); era and wire (transport's);
//! confinement (the cell's). Configuration files and the environment are read here and nowhere below.

mod admin;
mod announce;
mod capture;
pub mod confine;
mod crew;
mod dispatch;
mod errand;
mod error;
mod fresh;
mod grants;
mod inherit;
pub mod install;
mod launcher;
mod listen;
mod lists;
mod living;
mod load;
mod metrics;
mod node;
pub mod observe;
mod own;
mod places;
mod plan;
mod principals;
mod record;
mod service;
mod trace;
mod vault;

pub use announce::Whereabouts;
pub use error::{SecretError, StartError};
pub use inherit::Inherited;
pub use lists::known_tools;
pub use load::{Loaded, Served, check, load};
pub use node::{LISTEN_DEFAULT, Options, Running, start};
pub use places::Places;
