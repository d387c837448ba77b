//! How long threads of this process have worked: on a machine that also runs the client and the server, what a transfer took
//! says little of what one of the three costs.

use std::{fs, time::Duration};

/// Time of all threads of a name.
pub(crate) struct Load {
    threads: &'static str,
    before: Duration,
}

// === impl Load ===

impl Load {
    pub(crate) fn of(threads: &'static str) -> Self {
        Self { threads, before: worked(threads) }
    }

    /// What they worked since.
    pub(crate) fn since(&self) -> Duration {
        worked(self.threads).saturating_sub(self.before)
    }
}

fn worked(threads: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("threads").flatten();
    let named = tasks.filter(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim_end() == threads)
    });
    // nanoseconds on a processor (Documentation/scheduler/sched-stats.rst)
    let nanos = named.filter_map(|task| {
        let line = fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum::<u64>())
}
