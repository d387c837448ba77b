//! Is the ledger what was written? Walks the whole chain and every payload, goes on after a fault, and names the event
//! that was altered rather than the one that noticed.
//!
//! An event is vouched for by its successor, which names its hash. Where links break in a row, the last event of the
//! row is the one at fault: what follows it is sound, so the hash it is expected to have is true; what an altered event
//! says about its own predecessor proves nothing either way.

mod deletions;
mod framing;
mod report;

use std::ops::RangeInclusive;

use cella_event::{Event, Hash, Head, Micros, Refusal, Seq, event_hash};

use self::framing::{Frame, frames_recovered};
use crate::{
    Block, Direction, ReadError, Reader, Span, StoredPayload,
    block::{Record, records},
};

pub(crate) use self::deletions::Deletions;
pub use self::report::{FAULTS_LISTED, Fault, Report};

/// A link that does not hold, until it is known whose fault it is.
struct Broken {
    seq: Seq,
    expected: Hash,
    got: Hash,
}

struct Walk<'r> {
    reader: &'r Reader,
    report: Report,
    head: Head,
    time: Option<Micros>,
    broken: Option<Broken>,
    /// The head event is already on the list, so a broken link to it is no news.
    blamed: bool,
    /// Faults that are no news when one of these events turns out to be altered: they follow from that.
    later: Vec<(RangeInclusive<Seq>, Fault)>,
    deletions: Deletions,
    /// The last acknowledged event when the check began.
    acknowledged: Option<Head>,
    /// The hash at the place of the acknowledged event, when it is another one.
    contradicted: Option<Hash>,
}

// === impl Reader ===

impl Reader {
    /// Checks every event and every payload, from the first to the head. `progress` is told the last event checked
    /// after each block; returning false ends the check with what was found so far.
    ///
    /// What is wrong *in* the ledger is in the report, also when the storage cannot read on.
    #[must_use]
    pub fn verify(&self, mut progress: impl FnMut(Seq) -> bool) -> Report {
        let mut walk = Walk {
            reader: self,
            report: Report::default(),
            head: Head::GENESIS,
            time: None,
            broken: None,
            blamed: false,
            later: Vec::new(),
            deletions: Deletions::default(),
            // Asked for before the events: a writer at work only makes the ledger longer than it.
            acknowledged: self.acknowledged.head(),
            contradicted: None,
        };
        let mut from = Seq(0);
        loop {
            let block = match self.source.block(from, Direction::Forward, Span::ALL) {
                Ok(Some(block)) => block,
                Ok(None) => break,
                Err(reason) => {
                    walk.report.add(Fault::Unreadable { after: walk.head.seq, reason: reason.to_string() });
                    break;
                }
            };
            from = block.first.next();
            walk.block(&block);
            if !progress(walk.head.seq) {
                walk.report.head = Some(walk.head);
                return walk.report;
            }
        }
        walk.finish()
    }
}

// === impl Walk ===

impl Walk<'_> {
    fn block(&mut self, block: &Block) {
        let first = block.first;
        if first > self.head.seq.next() {
            self.missing(first);
        }
        let before = self.head.hash;
        let mut events = Vec::new();
        let mut seq = first;
        for frame in frames_recovered(&block.events) {
            match frame {
                Frame::Whole(canonical) => events.push(self.event(seq, canonical)),
                Frame::LengthAltered(canonical) => {
                    self.report.add(Fault::Length { seq });
                    events.push(self.event(seq, canonical));
                }
                Frame::Rest(bytes) => {
                    self.report.add(Fault::Rest { first, bytes });
                    break;
                }
            }
            seq = seq.next();
        }
        if u64::from(block.count) != events.len() as u64 {
            self.report.add(Fault::Column { first, column: "count" });
        }
        self.columns(block, before, &events);
        self.payloads(first, &events);
    }

    fn missing(&mut self, next: Seq) {
        self.settle();
        self.report.add(Fault::Missing { first: self.head.seq.next(), last: Seq(next.0 - 1) });
        self.blamed = true;
    }

    /// One event; `None` when its bytes are none.
    fn event(&mut self, seq: Seq, canonical: &[u8]) -> Option<Event> {
        self.report.events += 1;
        let hash = event_hash(canonical);
        let decoded = Event::decode(canonical).map_err(|fault| Refusal::NotAnEvent { seq, fault });
        let checked = decoded.and_then(|event| {
            if event.seq == seq { Ok(event) } else { Err(Refusal::Gap { expected: seq, got: event.seq }) }
        });
        let event = match checked {
            Ok(event) => {
                self.link(&event);
                self.blamed = false;
                Some(event)
            }
            Err(refusal) => {
                // What is no event says nothing about the one before it.
                self.broken = None;
                self.blamed = true;
                self.report.add(Fault::NotTheEvent { seq, refusal });
                None
            }
        };
        self.head = Head { seq, hash };
        if self.acknowledged.is_some_and(|mark| mark.seq == seq && mark.hash != hash) {
            self.contradicted = Some(hash);
        }
        if let Some(event) = &event {
            self.deletions.event(event);
        }
        event
    }

    fn link(&mut self, event: &Event) {
        self.report.time_steps_back += u64::from(self.time.is_some_and(|before| before > event.time));
        self.time = Some(event.time);
        if event.prev == self.head.hash {
            self.settle();
        } else {
            // The last of a row of broken links decides: an earlier suspect is let go.
            let suspect = Broken { seq: self.head.seq, expected: event.prev, got: self.head.hash };
            self.broken = (!self.blamed).then_some(suspect);
        }
    }

    /// The head is vouched for, so what it says of the one before it is true.
    fn settle(&mut self) {
        if let Some(Broken { seq, expected, got }) = self.broken.take() {
            self.report.add(Fault::Altered { seq, expected, got });
        }
    }

    fn columns(&mut self, block: &Block, before: Hash, events: &[Option<Event>]) {
        let first = block.first;
        let times = || events.iter().flatten().map(|event| event.time);
        let whole = events.iter().all(Option::is_some);
        let first_prev = events.first().and_then(Option::as_ref).map(|event| event.prev);
        if block.prev != before && first_prev != Some(block.prev) {
            self.report.add(Fault::Column { first, column: "prev" });
        }
        let (since, until) = (times().min() == Some(block.since), times().max() == Some(block.until));
        for (column, fits) in [("since", since), ("until", until)] {
            if whole && !fits {
                self.later(first..=self.head.seq, Fault::Column { first, column });
            }
        }
        if block.last_hash != self.head.hash && !self.blamed {
            self.last_hash(block);
        }
    }

    /// Column and bytes disagree about the last event of a block: the event after it, or the mark, is the third voice.
    fn last_hash(&mut self, block: &Block) {
        let Head { seq, hash: got } = self.head;
        let next = self.reader.source.block(seq.next(), Direction::Forward, Span::ALL).ok().flatten();
        let named = next.and_then(|next| next.iter().next().and_then(|bytes| Event::decode(bytes).ok()));
        let marked = self.acknowledged.filter(|mark| mark.seq == seq).map(|mark| mark.hash);
        if named.map(|event| event.prev).or(marked) == Some(got) {
            self.report.add(Fault::Column { first: block.first, column: "last_hash" });
            return;
        }
        // When its own link is broken too, that is one alteration, of this event.
        self.broken = None;
        self.blamed = true;
        self.report.add(Fault::Altered { seq, expected: block.last_hash, got });
    }

    fn payloads(&mut self, first: Seq, events: &[Option<Event>]) {
        let all = match self.reader.source.payloads(first) {
            Ok(all) => all,
            Err(reason) => {
                self.report.add(Fault::Unreadable { after: Seq(first.0 - 1), reason: reason.to_string() });
                return;
            }
        };
        let mut found = vec![0; events.len()];
        for record in records(&all) {
            let record = match record {
                Ok(record) => record,
                Err(fault) => {
                    self.report.add(Fault::Records { first, fault });
                    break;
                }
            };
            let index = record.index as usize;
            let Some(Some(event)) = events.get(index) else { continue };
            if self.payload(event, &record) {
                found[index] += 1;
            }
        }
        for (event, found) in events.iter().zip(found) {
            let Some(event) = event else { continue };
            if found < event.payloads.len() {
                self.absent(event, &all, first);
            }
        }
    }

    /// True when the record stands for a payload that the event names.
    fn payload(&mut self, event: &Event, record: &Record<'_>) -> bool {
        let Some(reference) = event.payload(record.name) else { return false };
        let seq = event.seq;
        let stored = self.reader.load(seq, reference, record);
        self.deletions.payload(seq, record.name, matches!(stored, Ok(StoredPayload::Deleted)));
        match stored {
            Ok(StoredPayload::Kept { .. }) => self.report.payloads_checked += 1,
            Ok(StoredPayload::DigestOnly { .. }) if !reference.is_kept() => {
                self.report.payloads_never_kept += 1;
            }
            Ok(StoredPayload::Deleted) => self.report.payloads_deleted += 1,
            Err(ReadError::Refused(refusal)) => self.later(seq..=seq, Fault::Payload { seq, refusal }),
            Ok(StoredPayload::DigestOnly { .. }) | Err(_) => {
                self.later(seq..=seq, Fault::PayloadMissing { seq, name: record.name.to_owned() });
            }
        }
        true
    }

    fn absent(&mut self, event: &Event, all: &[u8], first: Seq) {
        let index = event.seq.0 - first.0;
        for reference in &event.payloads {
            let name = reference.name.as_str();
            let there = records(all).flatten().any(|r| u64::from(r.index) == index && r.name == name);
            if !there {
                let seq = event.seq;
                self.later(seq..=seq, Fault::PayloadMissing { seq, name: name.to_owned() });
            }
        }
    }

    fn later(&mut self, events: RangeInclusive<Seq>, fault: Fault) {
        if self.later.len() < FAULTS_LISTED {
            self.later.push((events, fault));
        } else {
            self.report.add(fault);
        }
    }

    /// Nothing after the head: its column has vouched for it, or named it. What was acknowledged tells what else there
    /// should be.
    fn finish(mut self) -> Report {
        self.settle();
        let altered: Vec<Seq> = self.report.faults.iter().filter_map(Fault::altered).collect();
        if let Some(Head { seq, hash: expected }) = self.acknowledged {
            if seq > self.head.seq {
                self.report.add(Fault::Missing { first: self.head.seq.next(), last: seq });
            } else if let Some(got) = self.contradicted.filter(|_| !altered.contains(&seq)) {
                self.report.add(Fault::Altered { seq, expected, got });
            }
        }
        self.deletions();
        let altered: Vec<Seq> = self.report.faults.iter().filter_map(Fault::altered).collect();
        for (events, fault) in std::mem::take(&mut self.later) {
            if !altered.iter().any(|seq| events.contains(seq)) {
                self.report.add(fault);
            }
        }
        self.report.head = Some(self.head);
        self.report
    }

    fn deletions(&mut self) {
        let deletions = std::mem::take(&mut self.deletions);
        let read = deletions.unrecorded(self.reader, |seq, name| {
            self.report.add(Fault::DeletionUnrecorded { seq, name: name.to_owned() });
            true
        });
        // What cannot be read was named on the way here.
        if let Err(error) = read {
            tracing::debug!(%error, "not every deletion could be checked");
        }
    }
}
