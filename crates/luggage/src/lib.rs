//! Which files does a run take along when it is forked or taken up again?
//!
//! After each call of a run to a server that works in copies, in a process of the run's own, what it has changed is kept as a
//! checkpoint ([`Trunk::keep`]) and put on record. [`Luggage`] reads from the ledger what the files were at an event, and
//! says whether a cell can start from them. What follows from the events is decided in `trail`, which touches nothing.
//!
//! Refuses to do: making deltas or laying them out (`workspace`), files that are no copies (they are the real ones, and are
//! nobody's to fork).

mod error;
mod files;
mod luggage;
mod trail;
mod trunk;

pub use error::LuggageError;
pub use files::differing;
pub use luggage::{Luggage, Packed, cells, checkpoints, not_forked};
pub use trail::{At, DIRECT, FROM, LEFT, OF_RUN};
pub use trunk::{Held, Trunk, Trunks};
