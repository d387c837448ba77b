//! When a call has taken too long.

use tokio::time::Instant;

use super::{Deadlines, error};
use cella_transport::Fault;

/// The time of one call: it may be silent for so long, and last for so long, and neither counts while the server waits
/// for an answer from the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    limits: Deadlines,
    /// Moves forward by the time that questions waited.
    started: Instant,
    heard: Instant,
    asked: Option<Instant>,
}

impl Clock {
    pub(super) fn start(limits: Deadlines) -> Self {
        let now = Instant::now();
        Self { limits, started: now, heard: now, asked: None }
    }

    /// The server showed that it works on the call.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// The server asked something.
    pub(super) fn asked(&mut self) {
        self.asked.get_or_insert_with(Instant::now);
    }

    /// No question waits any more.
    pub(super) fn answered(&mut self) {
        let Some(asked) = self.asked.take() else { return };
        let now = Instant::now();
        self.started += now - asked;
        self.heard = now;
    }

    /// Since when questions wait for an answer.
    pub(super) const fn asked_at(&self) -> Option<Instant> {
        self.asked
    }

    /// When the call is to be given up, as things stand.
    pub(super) fn due(&self) -> Instant {
        match self.asked {
            Some(asked) => asked + self.limits.ask,
            None => (self.heard + self.limits.idle).min(self.started + self.limits.total),
        }
    }

    /// Why a call that is past [`Clock::due`] is given up.
    pub(super) fn fault(&self) -> Fault {
        let Deadlines { idle, total, ask, .. } = self.limits;
        if self.asked.is_some() {
            error::timed_out("the server's question was not answered", ask)
        } else if self.started + total <= self.heard + idle {
            error::timed_out("the call did not end", total)
        } else {
            error::timed_out("the server gave no sign of life", idle)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn clock() -> Clock {
        let seconds = Duration::from_secs;
        Clock::start(Deadlines {
            idle: seconds(10),
            total: seconds(25),
            ask: seconds(100),
            ..Deadlines::default()
        })
    }

    fn left(clock: &Clock) -> u64 {
        (clock.due() - Instant::now()).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn progress_extends_silence_but_never_the_whole() {
        let mut clock = clock();
        assert_eq!(left(&clock), 10);
        for expected in [10, 7] {
            advance(Duration::from_secs(9)).await;
            clock.heard();
            assert_eq!(left(&clock), expected);
        }
        assert!(clock.fault().message.contains("did not end"));
    }

    #[tokio::test(start_paused = true)]
    async fn time_a_question_waits_does_not_count() {
        let mut clock = clock();
        advance(Duration::from_secs(5)).await;
        clock.asked();
        advance(Duration::from_secs(60)).await;
        assert_eq!(left(&clock), 40);
        clock.answered();
        assert_eq!(left(&clock), 10);
        for _ in 0..2 {
            advance(Duration::from_secs(8)).await;
            clock.heard();
        }
        assert_eq!(left(&clock), 4);
    }
}
