//! Points at which a test ends the process as `kill -9` does: at each boundary between two events and within each effect. There are none in a
//! release.

/// Ends the process here, when it is the turn of this point: the one whose number, counted over all of them from 1, stands in
/// `CELLA_CRASH_AT`.
#[inline]
pub fn crash_point() {
    #[cfg(debug_assertions)]
    counted::pass();
}

#[cfg(debug_assertions)]
mod counted {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    use rustix::process::{Signal, getpid, kill_process};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static AT: OnceLock<u64> = OnceLock::new();

    pub(super) fn pass() {
        let at = AT.get_or_init(|| {
            std::env::var("CELLA_CRASH_AT").ok().and_then(|text| text.parse().ok()).unwrap_or_default()
        });
        if *at != 0 && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *at {
            // Nobody hears of an error here: either it works, or the process goes on and the test says so.
            let _killed = kill_process(getpid(), Signal::KILL);
        }
    }
}
