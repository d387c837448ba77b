//! What is reported of a cell's traffic.
//!
//! A connection has two records, one before anything is dialled and one at its end; both have their place in the queue
//! before the first exists, so neither can be lost. A refusal has one, and its repetitions are counted and reported ever more
//! rarely, so that a flood of them costs a few records and no connection its own.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cella_contract::DomainName;
use tokio::{
    sync::mpsc::{OwnedPermit, Sender},
    time::timeout,
};

use crate::{
    denial::Denial,
    limits::{PERIOD, PERIODS_MAX, REFUSALS_APART, REFUSALS_PER_PERIOD},
    policy::Vetted,
};

/// One fact about a cell's traffic. The node adds the time and which cell it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub subject: Subject,
    /// What became of it.
    pub verdict: Verdict,
    /// How many of these this record stands for.
    pub repeats: u64,
}

/// What a record is about, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The name that was meant.
    pub name: Option<DomainName>,
    /// The address and port that the cell connected or sent to.
    pub destination: Option<SocketAddr>,
    /// The address that was dialled.
    pub resolved: Option<SocketAddr>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Allowed: the address is dialled next.
    Opened {
        /// Number of the connection in this cell.
        connection: u64,
    },
    /// An allowed connection is over.
    Closed {
        /// Number of the connection in this cell.
        connection: u64,
        /// How it ended.
        ending: Ending,
        /// Bytes from the cell.
        bytes_up: u64,
        /// Bytes to the cell.
        bytes_down: u64,
        /// From before dialling.
        duration: Duration,
    },
    /// The value of a secret was put into a request, which is sent next.
    Used {
        /// Number of the connection in this cell.
        connection: u64,
        /// The secret.
        secret: String,
        /// Where in the request, in words.
        place: String,
        /// Method of the request.
        method: String,
        /// Path of the request, without its query.
        path: String,
    },
    /// A server repeated the value of a secret, and the cell got the placeholder.
    Reflected {
        /// Number of the connection in this cell.
        connection: u64,
        /// How often, in one answer.
        times: u64,
    },
    /// Refused.
    Denied(Denial),
}

/// How an allowed connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Both sides said all.
    Finished,
    /// It could not be dialled.
    Unreachable {
        /// From the operating system.
        cause: String,
    },
    /// One side broke it off.
    Broken,
    /// Nobody said anything for too long.
    Idle,
    /// What the client said after a silence, or how much, is not allowed.
    Denied(Denial),
    /// The cell ended.
    CellEnded,
}

/// Where the broker leaves its records.
#[derive(Debug)]
pub(crate) struct Recorder {
    to: Sender<Record>,
    numbers: AtomicU64,
    refusals: Mutex<Refusals>,
}

#[derive(Debug, Default)]
struct Refusals {
    /// Refusals that were reported lately.
    apart: HashMap<(Subject, Denial), Repeats>,
    /// How many of them are new in this period.
    fresh: u32,
    /// What found no room there, by code, with one of them as an example.
    together: HashMap<&'static str, (Denial, u64)>,
}

/// How often a refusal happened since it was reported.
#[derive(Debug)]
struct Repeats {
    count: u64,
    /// Periods until the next report.
    left: u32,
    /// Periods between reports.
    pause: u32,
    /// Periods since it last happened.
    quiet: u32,
}

/// The open record of a connection. Dropped, it reports the end.
#[derive(Debug)]
pub(crate) struct Account {
    place: Option<OwnedPermit<Record>>,
    subject: Subject,
    connection: u64,
    since: Instant,
    ending: Ending,
    pub(crate) meter: Arc<Meter>,
}

/// Bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
}

/// The code of a host that does not answer, whether the connection or a request in it failed.
pub(crate) const NO_ANSWER: &str = "CE2323";

// === impl Ending ===

impl Ending {
    /// The stable code, for an end that somebody may want to look up.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some(NO_ANSWER),
            Self::Idle => Some("CE2324"),
            Self::Denied(denial) => Some(denial.code()),
            Self::Finished | Self::Broken | Self::CellEnded => None,
        }
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(to: Sender<Record>) -> Self {
        Self { to, numbers: AtomicU64::new(0), refusals: Mutex::default() }
    }

    /// Puts a connection on record, before it is dialled; waits for room, but not for ever.
    pub(crate) async fn open(
        &self,
        mut subject: Subject,
        to: Vetted,
        patience: Duration,
    ) -> Result<Account, Denial> {
        subject.resolved = Some(to.address());
        let places = async {
            let first = self.to.clone().reserve_owned().await?;
            Ok::<_, tokio::sync::mpsc::error::SendError<()>>((first, self.to.clone().reserve_owned().await?))
        };
        let Ok(Ok((first, last))) = timeout(patience, places).await else { return Err(Denial::NoRecord) };
        let connection = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let verdict = Verdict::Opened { connection };
        first.send(Record { subject: subject.clone(), verdict, repeats: 1 });
        Ok(Account {
            place: Some(last),
            subject,
            connection,
            since: Instant::now(),
            ending: Ending::CellEnded,
            meter: Arc::default(),
        })
    }

    /// Puts what was done on a connection on record, before it is done; waits for room, but not for ever.
    pub(crate) async fn note(
        &self,
        subject: &Subject,
        verdict: Verdict,
        patience: Duration,
    ) -> Result<(), Denial> {
        let record = Record { subject: subject.clone(), verdict, repeats: 1 };
        let sent = timeout(patience, self.to.send(record)).await;
        sent.map_err(|_| Denial::NoRecord)?.map_err(|_| Denial::NoRecord)
    }

    /// Puts on record what cannot be undone any more; without room it is left to the log.
    pub(crate) fn note_now(&self, subject: &Subject, verdict: Verdict) {
        let record = Record { subject: subject.clone(), verdict, repeats: 1 };
        if let Err(error) = self.to.try_send(record) {
            tracing::warn!(%error, "no room for a record");
        }
    }

    /// Puts a refusal on record: at once if it is new, with the next count if not.
    pub(crate) fn denied(&self, subject: Subject, denial: Denial) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let full = refusals.apart.len() >= REFUSALS_APART || refusals.fresh >= REFUSALS_PER_PERIOD;
        let key = (subject, denial);
        if let Some(repeats) = refusals.apart.get_mut(&key) {
            repeats.count += 1;
            repeats.quiet = 0;
        } else if full {
            let code = key.1.code();
            refusals.together.entry(code).or_insert((key.1, 0)).1 += 1;
        } else {
            refusals.fresh += 1;
            let count = u64::from(!self.report(&key.0, &key.1, 1));
            refusals.apart.insert(key, Repeats { count, left: 1, pause: 1, quiet: 0 });
        }
    }

    /// Ends a period: reports what was counted and is due. What finds no room in the queue stays counted.
    fn end_period(&self) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.fresh = 0;
        refusals.apart.retain(|(subject, denial), repeats| {
            repeats.left = repeats.left.saturating_sub(1);
            repeats.quiet += 1;
            if repeats.left == 0 && repeats.count > 0 && self.report(subject, denial, repeats.count) {
                repeats.count = 0;
                repeats.pause = (repeats.pause * 2).min(PERIODS_MAX);
                repeats.left = repeats.pause;
            }
            // quiet for long: the next one is news again
            repeats.count > 0 || repeats.quiet < PERIODS_MAX
        });
        self.report_together(&mut refusals);
    }

    fn report_together(&self, refusals: &mut Refusals) {
        refusals.together.retain(|_, (denial, count)| !self.report(&Subject::default(), denial, *count));
    }

    /// Reports repetitions until the broker ends.
    pub(crate) async fn keep_reporting(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.end_period();
        }
    }

    fn report(&self, subject: &Subject, denial: &Denial, repeats: u64) -> bool {
        let verdict = Verdict::Denied(denial.clone());
        self.to.try_send(Record { subject: subject.clone(), verdict, repeats }).is_ok()
    }
}

impl Drop for Recorder {
    /// Reports everything that was counted, due or not.
    fn drop(&mut self) {
        let mut refusals = std::mem::take(&mut *self.refusals.lock().unwrap_or_else(PoisonError::into_inner));
        for ((subject, denial), repeats) in refusals.apart.drain().filter(|(_, repeats)| repeats.count > 0) {
            self.report(&subject, &denial, repeats.count);
        }
        self.report_together(&mut refusals);
    }
}

// === impl Account ===

impl Account {
    /// Its number in this cell.
    pub(crate) fn connection(&self) -> u64 {
        self.connection
    }

    /// Closes the account.
    pub(crate) fn end(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let verdict = Verdict::Closed {
            connection: self.connection,
            ending: self.ending.clone(),
            bytes_up: self.meter.up.load(Ordering::Relaxed),
            bytes_down: self.meter.down.load(Ordering::Relaxed),
            duration: self.since.elapsed(),
        };
        place.send(Record { subject: std::mem::take(&mut self.subject), verdict, repeats: 1 });
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{Receiver, channel};

    use super::{Record, Recorder, Subject, Verdict};
    use crate::denial::Denial;

    fn drained(from: &mut Receiver<Record>) -> Vec<Record> {
        std::iter::from_fn(|| from.try_recv().ok()).collect()
    }

    fn closed(port: u16) -> Subject {
        Subject { destination: Some(([192, 0, 2, 1], port).into()), ..Subject::default() }
    }

    #[test]
    fn a_flood_of_one_refusal_is_one_record_and_a_count() {
        let (to, mut from) = channel(8);
        let recorder = Recorder::new(to);
        (0..1000).for_each(|_| recorder.denied(closed(1), Denial::PortClosed));
        assert_eq!(drained(&mut from).iter().map(|r| r.repeats).collect::<Vec<_>>(), [1]);
        recorder.end_period();
        assert_eq!(drained(&mut from).iter().map(|r| r.repeats).collect::<Vec<_>>(), [999]);
    }

    #[test]
    fn who_tries_for_ever_is_recorded_ever_more_rarely() {
        let (to, mut from) = channel(64);
        let recorder = Recorder::new(to);
        for _ in 0..1000 {
            recorder.denied(closed(1), Denial::PortClosed);
            recorder.end_period();
        }
        let records = drained(&mut from).len();
        assert!(records < 30, "{records}");
        drop(recorder);
        assert!(drained(&mut from).iter().map(|r| r.repeats).sum::<u64>() > 0, "the end reports the rest");
    }

    #[test]
    fn a_flood_of_different_refusals_loses_none_from_the_count() {
        let (to, mut from) = channel(16);
        let recorder = Recorder::new(to);
        (0..1000).for_each(|port| recorder.denied(closed(port), Denial::PortClosed));
        let mut records = Vec::new();
        for _ in 0..10 {
            records.extend(drained(&mut from));
            recorder.end_period();
        }
        assert!(records.iter().all(|r| r.verdict == Verdict::Denied(Denial::PortClosed)));
        assert_eq!(records.iter().map(|r| r.repeats).sum::<u64>(), 1000);
        assert!(records.len() < 30, "{}", records.len());
    }
}
