//! What is known of a server that was watched.

use std::path::PathBuf;

use crate::Attempt;

/// What a server did when it was watched.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Hosts it asked for or tried to reach, the most wanted first.
    pub attempts: Vec<Attempt>,
    /// What its arguments name and it was shown, to be read.
    pub named: Vec<PathBuf>,
    /// What its arguments name, exists, and was hidden.
    pub hidden: Vec<PathBuf>,
    /// Most memory held at once, in bytes.
    pub peak_memory_bytes: u64,
    /// Most processes at once; 0 when they were gone before they were counted.
    pub processes: usize,
    /// Variables of the environment that it says it lacks.
    pub variables: Vec<String>,
    /// How many tools, resources and prompts it offers; `None` when it could not be asked.
    pub lists: Option<[usize; 3]>,
    /// Why it could not be asked.
    pub failure: Option<String>,
    /// How it ended, if it did so by itself.
    pub exit: Option<String>,
    /// Its last lines on standard error.
    pub stderr: Vec<String>,
}
