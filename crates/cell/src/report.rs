//! What a cell enforces, as data for `cella status` and the ledger.

use serde::{Deserialize, Serialize};

/// What holds a program, and what was asked and is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Class of the cell.
    pub class: String,
    /// What is in force.
    pub enforced: Vec<Wall>,
    /// What was asked and is not, or not fully, in force. Empty under strict enforcement unless only preferred.
    pub degraded: Vec<Shortfall>,
}

/// One thing in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Which: `namespaces`, `root`, `landlock`, `seccomp`, `memory`, ...
    pub what: String,
    /// By which mechanism, with its figures: `cgroup v1, 512 MiB`.
    pub how: String,
}

/// One thing asked and not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Which, as in [`Wall::what`].
    pub what: String,
    /// What this machine lacks.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}
