//! How are the processes of a cell looked at from outside? What they use, as `/proc` tells it ([`Processes`]); and how they are made to stand
//! still for a moment, so that what they work on can be looked at as one thing.
//!
//! A [`Freezer`] knows a group; [`Freezer::freeze`] returns when nothing in it runs, and dropping the [`Frozen`] lets it run
//! again.
//!
//! Refuses to do: making the groups that limit anything, deciding who is looked at, and the older freezer of cgroup v1, whose
//! processes cannot be killed.

mod freezer;
mod usage;

pub use freezer::{Freezer, Frozen};
pub use usage::{Processes, Usage};
