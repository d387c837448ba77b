//! Holds a storage to the law of [`Store`]. Every backend runs it in its tests; the numbers are those of the law.
//!
//! What the kit cannot do from inside one process (pull the plug) is the matter of the crash tests.

use cella_event::{Draft, Hash, Head, Kind, Map, Micros, Seq, event_hash};

use crate::{Block, Direction, Source, Span, Store, StoreError, block::Record, block::State};

/// A storage under test.
pub trait Subject {
    /// Opens the storage, empty the first time, as it was left after that.
    ///
    /// # Errors
    /// Whatever keeps it from opening; the kit reports it.
    fn open(&mut self) -> Result<Box<dyn Store>, String>;

    /// True when these bytes can be found anywhere in the raw storage; `None` when the subject cannot look.
    fn holds(&self, needle: &[u8]) -> Option<bool>;

    /// Takes the storage's space away, so that the next append fails; false when the subject cannot.
    fn starve(&mut self) -> bool;

    /// Gives the space back.
    fn feed(&mut self);
}

/// An obligation that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("obligation {obligation}: {what}")]
pub struct Violation {
    /// Its number in the law; 0 when the subject itself failed.
    pub obligation: u8,
    /// What was expected and what was found.
    pub what: String,
}

/// What was not tried, and why.
pub type Untried = Vec<&'static str>;

/// Runs every obligation that can be tried, in order.
///
/// # Errors
/// The first [`Violation`].
pub fn run_all(subject: &mut dyn Subject) -> Result<Untried, Violation> {
    let mut untried = vec!["1: durability against loss of power is for the crash tests"];
    let blocks = chain(4);
    let mut store = open(subject)?;
    next_only(&mut *store, &blocks)?;
    again(&mut *store, &blocks[1])?;
    same_bytes(&mut *store, &blocks[..2])?;
    visible(&mut *store, &blocks[2])?;
    if !recovers(subject, &mut *store, &blocks[3])? {
        untried.push("7: the subject cannot be starved");
    }
    if !deletable(subject, &mut *store, &blocks)? {
        untried.push("8: the subject cannot look at its raw bytes");
    }
    drop(store);
    let mut store = open(subject)?;
    reopened(&mut *store, &blocks)?;
    set_aside(&mut *store, &blocks)?;
    Ok(untried)
}

fn open(subject: &mut dyn Subject) -> Result<Box<dyn Store>, Violation> {
    subject.open().map_err(|what| Violation { obligation: 0, what })
}

fn next_only(store: &mut dyn Store, blocks: &[Block]) -> Result<(), Violation> {
    expect(3, "an empty storage has the genesis head", (head(store)?, Head::GENESIS))?;
    let refused =
        |store: &mut dyn Store, block: &Block| matches!(store.append(block), Err(StoreError::NotNext { .. }));
    expect(3, "a block after a hole is refused", (refused(store, &blocks[1]), true))?;
    stored(3, store.append(&blocks[0]))?;
    let forged = Block { prev: Hash::from_bytes([1; 32]), ..blocks[1].clone() };
    expect(3, "a block after another hash is refused", (refused(store, &forged), true))?;
    expect(3, "a refused block changes nothing", (head(store)?, blocks[0].head()))?;
    stored(3, store.append(&blocks[1]))
}

fn again(store: &mut dyn Store, last: &Block) -> Result<(), Violation> {
    stored(4, store.append(last))?;
    expect(4, "appending the head again changes nothing", (head(store)?, last.head()))
}

fn same_bytes(store: &mut dyn Store, blocks: &[Block]) -> Result<(), Violation> {
    let source = store.source();
    for block in blocks {
        let inside = Seq(block.first.0 + 1);
        expect(
            5,
            "a block is found backward from inside it",
            (backward(5, &*source, inside)?.as_ref(), Some(block)),
        )?;
        let forward = read(5, source.block(block.first, Direction::Forward, Span::ALL))?;
        expect(
            5,
            "a block is found forward from its first event",
            (forward.map(bare), Some(bare(block.clone()))),
        )?;
    }
    let after = read(5, source.block(Seq(u64::MAX >> 1), Direction::Forward, Span::ALL))?;
    expect(5, "nothing is found after the head", (after, None))?;
    let span = Span { since: blocks[1].since, until: blocks[1].until };
    let timed = read(5, source.block(Seq(0), Direction::Forward, span))?;
    expect(5, "a span of time leads to its block", (timed.map(bare), Some(bare(blocks[1].clone()))))
}

fn visible(store: &mut dyn Store, block: &Block) -> Result<(), Violation> {
    let before = store.source();
    expect(
        6,
        "a block that is not appended is not seen",
        (backward(6, &*before, block.last())?.as_ref() == Some(block), false),
    )?;
    stored(6, store.append(block))?;
    expect(
        6,
        "a source made earlier sees the block",
        (backward(6, &*before, block.first)?.as_ref(), Some(block)),
    )?;
    expect(6, "the head moves", (read(6, before.head())?, block.head()))
}

/// False when it could not be tried; the block is appended all the same.
fn recovers(subject: &mut dyn Subject, store: &mut dyn Store, block: &Block) -> Result<bool, Violation> {
    if !subject.starve() {
        return stored(7, store.append(block)).map(|()| false);
    }
    let before = head(store)?;
    let starved = store.append(block);
    expect(7, "want of space is an error that says so", (starved.is_err_and(|e| e.is_full()), true))?;
    expect(2, "a failed append leaves nothing", (head(store)?, before))?;
    subject.feed();
    stored(7, store.append(block))?;
    expect(7, "the head moves once there is space", (head(store)?, block.head()))?;
    Ok(true)
}

/// False when the raw bytes could not be looked at.
fn deletable(subject: &mut dyn Subject, store: &mut dyn Store, blocks: &[Block]) -> Result<bool, Violation> {
    let (first, secret) = (&blocks[0], payload(0));
    stored(8, store.replace_payloads(first.first, b""))?;
    stored(8, store.scrub())?;
    let expected = Block { payloads: Vec::new(), ..first.clone() };
    expect(
        8,
        "only payloads change",
        (backward(8, &*store.source(), first.first)?.as_ref(), Some(&expected)),
    )?;
    match subject.holds(secret.as_bytes()) {
        None => Ok(false),
        Some(found) => {
            expect(
                8,
                "other payloads are still in the raw storage",
                (subject.holds(payload(1).as_bytes()), Some(true)),
            )?;
            expect(8, "deleted bytes are in the raw storage", (found, false)).map(|()| true)
        }
    }
}

fn reopened(store: &mut dyn Store, blocks: &[Block]) -> Result<(), Violation> {
    let source = store.source();
    for block in &blocks[1..] {
        expect(
            1,
            "blocks are there after reopening",
            (backward(1, &*source, block.last())?.as_ref(), Some(block)),
        )?;
    }
    expect(3, "appending goes on after reopening", (head(store)?, blocks[3].head()))
}

fn set_aside(store: &mut dyn Store, blocks: &[Block]) -> Result<(), Violation> {
    stored(9, store.set_aside(blocks[3].first, "tried by the kit"))?;
    expect(9, "the block before is the head", (head(store)?, blocks[2].head()))?;
    stored(9, store.append(&blocks[3]))
}

/// The block that starts at an event or before, with its payloads.
fn backward(obligation: u8, source: &dyn Source, from: Seq) -> Result<Option<Block>, Violation> {
    let block = read(obligation, source.block(from, Direction::Backward, Span::ALL))?;
    let Some(block) = block else { return Ok(None) };
    let payloads = read(obligation, source.payloads(block.first))?;
    Ok(Some(Block { payloads, ..block }))
}

fn head(store: &mut dyn Store) -> Result<Head, Violation> {
    read(6, store.source().head())
}

fn bare(block: Block) -> Block {
    Block { payloads: Vec::new(), ..block }
}

fn stored(obligation: u8, result: Result<(), StoreError>) -> Result<(), Violation> {
    read(obligation, result)
}

fn read<T>(obligation: u8, result: Result<T, StoreError>) -> Result<T, Violation> {
    result.map_err(|error| Violation { obligation, what: error.to_string() })
}

fn expect<T: PartialEq + std::fmt::Debug>(
    obligation: u8,
    what: &str,
    (got, expected): (T, T),
) -> Result<(), Violation> {
    if got == expected {
        return Ok(());
    }
    let what = format!("{what}: expected {expected:?}, got {got:?}");
    drop((got, expected));
    Err(Violation { obligation, what })
}

fn payload(n: u64) -> String {
    format!("the payload of block {n} of the kit")
}

/// Blocks of three events each, an hour apart.
fn chain(blocks: u64) -> Vec<Block> {
    let mut before = Head::GENESIS;
    let block = |n: u64| {
        let time = Micros(1_763_717_890_000_000 + i64::try_from(n).unwrap_or_default() * 3_600_000_000);
        let first = before.seq.next();
        let prev = before.hash;
        let mut events = Vec::new();
        for _ in 0..3 {
            let draft = Draft::new(Kind::NodeStarted).body(Map::new().with("kit", "§"));
            let Ok(encoded) = draft.encode([]) else { continue };
            let canonical = encoded.seal(before.seq.next(), time, &before.hash);
            events.extend_from_slice(&u32::try_from(canonical.len()).unwrap_or_default().to_le_bytes());
            events.extend_from_slice(&canonical);
            before = Head { seq: before.seq.next(), hash: event_hash(&canonical) };
        }
        let mut payloads = Vec::new();
        let text = payload(n);
        Record { index: 0, state: State::Inline, name: "kit", salt: [0; 16], bytes: text.as_bytes() }
            .write(&mut payloads);
        Block { first, count: 3, prev, since: time, until: time, last_hash: before.hash, events, payloads }
    };
    (0..blocks).map(block).collect()
}
