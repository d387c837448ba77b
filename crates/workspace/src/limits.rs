//! What a workspace may come to.

use std::time::Duration;

/// Bytes of all copies of one cell, where its contract says nothing (`copy_bytes`). Stops a cell from filling the disk;
/// past it the cell is ended at the next look (twice a second, less often where a look takes long), a single file sooner, by the kernel.
pub const COPY_BYTES: u64 = 4 << 30;

/// Files, directories and removals in all copies of one cell. Stops a cell from filling the disk's table of files and this
/// process's memory; past it the cell is ended at the next look.
pub const COPY_ENTRIES: u64 = 250_000;

/// Bytes that stay free on the disk with the layers. Stops cells that are each within their limit from taking the room in
/// which the ledger is written; past it the cell is ended.
pub const DISK_FREE_MIN: u64 = 256 << 20;

/// Directories over each other. Stops a cell from making a tree that only it can walk; what lies deeper is left out of the
/// delta, and named.
pub const DEPTH_MAX: usize = 128;

/// Bytes of one path beneath its root: what one call of the kernel takes, with room for the root. What is longer is left
/// out, and named.
pub const PATH_BYTES_MAX: usize = 3072;

/// Entries of a directory that was removed whole and is compared whole. Past it nobody can say that it is still what the
/// cell saw, so a commit asks for force.
pub(crate) const TREE_ENTRIES_MAX: u64 = 1_000_000;

/// Bytes of one manifest. Stops a damaged store from being read without end.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// Bytes of paths and contents of links in one manifest, as they are written there. Stops a cell from making names that
/// come to gigabytes of text in this process's memory; what is past it is left out of the delta, and counted.
pub(crate) const MANIFEST_NAMES_MAX: u64 = 64 << 20;

/// Bytes of all contents in the store. Stops runs that are each within their limit from filling the disk one after the
/// other; past it contents are left out of the delta, and named, until workspaces are discarded.
pub(crate) const STORE_BYTES_MAX: u64 = 64 << 30;

/// How long a cell may live on after the node that made it: law 5 of `cella_cell::Cell`.
pub const LIFE_AFTER_NODE: Duration = Duration::from_secs(2);
