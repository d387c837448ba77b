//! Which servers and tools are there, and which process answers for them?
//!
//! A [`Catalog`] offers many MCP servers as one: under stable names ([`names`]), in merged lists ([`merge`]) and curated
//! [`View`]s. Behind it a pool starts servers when they are needed, by a [`Launch`] that it is given, keeps them apart,
//! restarts them after failures and stops them when idle. What is missing is always said, never left out in silence.
//!
//! Refuses to do: confinement and dialling (the launcher's), permission and recording (the node's), eras and wires
//! (transport's).

mod backoff;
mod bus;
mod catalog;
mod faults;
mod followups;
mod kind;
mod launch;
mod list;
pub mod merge;
pub mod names;
mod options;
mod plan;
mod pool;
mod status;
mod store;
mod task_watch;
mod upstream;
pub mod uris;
mod view;

pub use backoff::{Backoff, CRASH_LOOP_AFTER, HEALTHY_AFTER};
pub use catalog::{Catalog, Resolved, Route, RouteTarget, STATUS_URI, ToolDefinition};
pub use launch::{Instance, Launch, LaunchError, Launched, NoProcess};
pub use list::{ITEMS_MAX, Item, LeftOut, Page, ServerList};
pub use options::Options;
pub use plan::{
    CALLS_MAX, CatalogPlan, IDLE_STOP, INSTANCES_MAX, InstanceKey, QUEUE_MAX, START_TIMEOUT, ServerPlan,
};
pub use status::{Missing, Problem, ServerStatus, Stage, Status};
pub use store::{ENTRY_BYTES_MAX, ListKey, ListStore};
pub use upstream::{BoxFuture, Connected, Upstream};
pub use view::{View, ViewError};
