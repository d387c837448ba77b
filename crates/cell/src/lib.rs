//! How is a program confined, so that it can touch only what its contract names?
//!
//! A [`Spec`] says what runs, with which files, limits and network; a class behind the [`Cell`] law runs it and hands
//! back [`Running`]. This crate refuses to run anything unconfined, to decide *what* a server may touch (that is the
//! contract's business), and to speak MCP: it moves bytes, not messages. It is the only crate with `unsafe` code,
//! because namespaces, mounts and filters are system calls.
//!
//! A binary that starts cells of class `process` calls [`launcher_main`] first thing in its `main`.
#![expect(
    unsafe_code,
    reason = "clone, mount attributes and exec have no safe interface; each block argues its case"
)]

mod doctor;
mod error;
pub mod kit;
mod law;
mod network;
mod process;
mod report;
mod shape;
mod spec;
mod stderr_tail;

pub use doctor::{CgroupFacts, CgroupVersion, Fact, MachineFacts, doctor};
pub use error::CellError;
pub use law::{Cell, Class, End, Exit, Handle, LimitHit, Running, SocketOrder, SpawnFuture, Ward};
pub use network::{NAMESERVER, NetworkEnds, PORTS_MAX};
pub use process::{
    LAUNCHER_ARG, Process, SHELL_AGE_MAX, SHELLS_MAX, Swept, TreeNetwork, Warm, is_system_path,
    launcher_main, make_local, shebang, sweep, whole_tree,
};
pub use report::{Report, Shortfall, Wall};
pub use shape::Shape;
pub use spec::{
    Access, Ask, DEFAULT_PATH, Enforcement, IdentityPolicy, Limits, Mount, Network, Program, Root, Spec,
    Tmpfs,
};
pub use stderr_tail::{LINE_BYTES, StderrTail};
