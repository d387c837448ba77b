//! What did a run change in the directories that it was given as copies, how is that kept, and how does it come back to the
//! host?
//!
//! A cell works over a layer ([`Layers`]) that takes its changes. When the cell has ended the layer becomes a [`Delta`]: a
//! canonical list of what was made, changed and removed, and what had been there before, with contents by their
//! digest. A delta is committed to the host, discarded, or laid under another cell. What is to be done is decided in
//! [`judge`], which touches nothing; [`Store`] does it, [`Workspace`] for a cell that runs, and [`Workspaces`] puts on record
//! what is done.
//!
//! Refuses to do: making mounts (that is `cell`'s), deciding who is granted what (the contract's), following a symbolic link,
//! wherever it comes from.

mod beneath;
mod capture;
mod checkpoint;
mod commit;
mod delta;
mod digest;
mod error;
mod host;
mod judge;
mod known;
mod layers;
mod limits;
mod objects;
mod path;
mod plain;
mod recorded;
mod remove;
mod see;
mod startable;
mod store;
mod survey;
mod unpack;
mod workspace;

pub use checkpoint::Checkpoint;
pub use commit::Committed;
pub use delta::{After, Area, Change, DELTA_VERSION, Delta, Fault, LeftOut, Seen};
pub use digest::Digest;
pub use error::{Conflict, WorkspaceError};
pub use host::Host;
pub use judge::{Verdict, judge};
pub use layers::{Layers, Measure, Usage};
pub use limits::{COPY_BYTES, COPY_ENTRIES, DEPTH_MAX, DISK_FREE_MIN, LIFE_AFTER_NODE, PATH_BYTES_MAX};
pub use path::{Raw, RelPath};
pub use plain::{is_plain, plain, plain_lines, plain_path};
pub use recorded::{RecordedError, Workspaces};
pub use store::{About, Kept, State, Store, Sum};
pub use workspace::{Watcher, Workspace};
