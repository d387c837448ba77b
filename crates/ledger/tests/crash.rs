//! Killed at any moment, cut off from power at any byte: what was acknowledged is there, or its loss is said out loud.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use cella_event::{Draft, Head, Key, Kind, Map, Seq};
use cella_ledger::{Durability, Ledger, OpenError, Options, Payload, Reader};

const DIR: &str = "CELLA_CRASH_DIR";
const WAL_MAX: &str = "CELLA_CRASH_WAL";
const PARAMS: Key = Key::literal("params");

/// A repeatable sequence, so that a failure can be tried again by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Not a test: the process that is killed. Three tasks append; each acknowledgement is a line with the event and the
/// length of the WAL by then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the tests below"]
async fn child() {
    let Ok(dir) = env::var(DIR) else { return };
    let wal_bytes_max = env::var(WAL_MAX).unwrap().parse().unwrap();
    let (ledger, _) = Ledger::open(&Options { wal_bytes_max, ..Options::new(&dir) }).unwrap();
    let wal = PathBuf::from(dir).join("ledger.db-wal");
    let tasks: Vec<_> = (0..3)
        .map(|task| {
            let (ledger, wal) = (ledger.clone(), wal.clone());
            tokio::spawn(async move {
                let mut dice = Dice(task);
                loop {
                    for n in 0..dice.roll(6) {
                        let draft = Draft::new(Kind::CallCompleted).body(Map::new().with("n", n as i32));
                        ledger.append(&draft, &[], Durability::Buffered).await.unwrap();
                    }
                    let bytes = if dice.roll(40) == 0 { 140_000 } else { 300 };
                    let payload = Payload::full(PARAMS, vec![b'x'; bytes]).unwrap();
                    let draft = Draft::new(Kind::CallIntended);
                    let place = ledger.append(&draft, &[payload], Durability::Flushed).await.unwrap();
                    let mut out = std::io::stdout().lock();
                    let length = fs::metadata(&wal).map_or(0, |m| m.len());
                    writeln!(out, "acked {} {length}", place.seq).unwrap();
                    out.flush().unwrap();
                }
            })
        })
        .collect();
    futures_util::future::join_all(tasks).await;
}

fn spawn(dir: &Path, wal_bytes_max: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads", "1"])
        .env(DIR, dir)
        .env(WAL_MAX, wal_bytes_max.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets the child live for a number of acknowledgements, kills it, and returns all it had given.
fn killed_after(dir: &Path, acks: u64, wal_bytes_max: u64) -> Vec<(Seq, u64)> {
    let mut child = spawn(dir, wal_bytes_max);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acked = Vec::new();
    let mut take = |line: String| {
        let mut words = line.split(' ').skip_while(|word| !word.ends_with("acked")).skip(1);
        if let (Some(Ok(seq)), Some(Ok(wal))) = (words.next().map(str::parse), words.next().map(str::parse)) {
            acked.push((Seq(seq), wal));
        }
    };
    for line in lines.by_ref().map_while(Result::ok).take(usize::try_from(acks).unwrap() + 4) {
        take(line);
    }
    child.kill().unwrap();
    // What stands in the pipe was acknowledged before the end; a last line may be torn.
    let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
    rest.pop();
    rest.into_iter().for_each(take);
    child.wait().unwrap();
    acked
}

#[test]
fn killed_at_any_moment_every_acknowledged_event_is_there() {
    let seeds = env::var("CELLA_CRASH_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let mut dir = tempfile::tempdir().unwrap();
    let mut acked_before = Vec::new();
    for seed in 0..seeds {
        let mut dice = Dice(seed);
        if dice.roll(4) == 0 {
            dir = tempfile::tempdir().unwrap();
            acked_before.clear();
        }
        // Small WALs, so that kills fall into checkpoints too.
        let acks = dice.roll(120);
        let acked = killed_after(dir.path(), acks, 1 << (14 + dice.roll(8)));
        assert!(!acked.is_empty(), "seed {seed}");
        acked_before.extend(acked);

        let (ledger, opened) = Ledger::open(&Options::new(dir.path())).unwrap();
        assert_eq!((&opened.cut, &opened.lost), (&None, &None), "seed {seed}");
        let report = ledger.reader().verify(|_| true);
        assert!(report.is_sound(), "seed {seed}: {:?}", report.faults);
        for (seq, _) in &acked_before {
            let entry = ledger.reader().get(*seq).unwrap();
            assert!(entry.is_some_and(|e| e.event.kind == Kind::CallIntended), "seed {seed}: event {seq}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The state after a kill, its WAL never moved into the database.
struct Cut {
    dir: tempfile::TempDir,
    wal: Vec<u8>,
    acked: Vec<(Seq, u64)>,
}

impl Cut {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let acked = killed_after(dir.path(), 60, u64::MAX);
        let wal = fs::read(dir.path().join("ledger.db-wal")).unwrap();
        Self { dir, wal, acked }
    }

    /// A copy with another WAL; without the mark when it, too, was lost with the power.
    fn with_wal(&self, wal: &[u8], mark: bool) -> tempfile::TempDir {
        let changed = tempfile::tempdir().unwrap();
        copy(self.dir.path(), changed.path());
        fs::write(changed.path().join("ledger.db-wal"), wal).unwrap();
        let _absent = fs::remove_file(changed.path().join("ledger.db-shm"));
        if !mark {
            fs::remove_file(changed.path().join("ledger.mark")).unwrap();
        }
        changed
    }

    /// The last event that was acknowledged when the WAL had at most this length.
    fn durable_by(&self, length: usize) -> Seq {
        let by_then = self.acked.iter().filter(|(_, wal)| *wal <= length as u64);
        by_then.map(|(seq, _)| *seq).max().unwrap_or(Seq(0))
    }
}

#[test]
fn power_cut_at_any_byte_keeps_what_was_synced_before_and_names_what_is_missing() {
    let cut = Cut::new();
    let mut dice = Dice(7);
    let ends = (0..40).map(|_| usize::try_from(dice.roll(cut.wal.len() as u64)).unwrap());
    for end in ends.chain([0, 1, 31, 32, cut.wal.len()]) {
        // The mark is not synced: the power may take it along. Then the ledger is the longest whole one.
        let unmarked = cut.with_wal(&cut.wal[..end], false);
        let (ledger, opened) = Ledger::open(&Options::new(unmarked.path())).unwrap();
        assert!(opened.head.seq >= cut.durable_by(end), "cut at {end}: {:?}", opened.head);
        assert!(ledger.reader().verify(|_| true).is_sound(), "cut at {end}");

        // With the mark, what is missing is known, and nothing goes on before a human has said so.
        let marked = cut.with_wal(&cut.wal[..end], true);
        let last_acked = cut.acked.iter().map(|(seq, _)| *seq).max().unwrap();
        match Ledger::open(&Options::new(marked.path())) {
            Ok((_, opened)) => assert!(opened.head.seq >= last_acked, "cut at {end}"),
            Err(OpenError::Lost { found, expected }) => {
                assert!(found == opened.head.seq && expected.seq > found, "cut at {end}");
                accept(marked.path(), found, expected);
            }
            Err(other) => panic!("cut at {end}: {other}"),
        }
    }
}

fn accept(dir: &Path, found: Seq, expected: Head) {
    let faults = Reader::open(dir).unwrap().verify(|_| true).faults;
    assert_eq!(
        faults.last().unwrap().to_string(),
        format!("events {} to {} are missing", found.next(), expected.seq)
    );
    let options = Options { accept_loss: true, ..Options::new(dir) };
    let (ledger, opened) = Ledger::open(&options).unwrap();
    assert_eq!(opened.lost, Some(expected));
    ledger.close().unwrap();
    let reader = Reader::open(dir).unwrap();
    let last = reader.get(reader.head().unwrap().seq).unwrap().unwrap();
    assert_eq!(last.event.kind, Kind::LedgerRecovered);
    let lost = last.event.body.map("lost").unwrap();
    assert_eq!(lost.int("last"), i64::try_from(expected.seq.0).ok());
    assert!(reader.verify(|_| true).is_sound());
    Ledger::open(&Options::new(dir)).unwrap();
}

#[test]
fn torn_sectors_of_the_wal_are_never_taken_for_events() {
    let cut = Cut::new();
    let mut dice = Dice(11);
    for _ in 0..40 {
        let mut wal = cut.wal.clone();
        let sector = usize::try_from(dice.roll(wal.len() as u64 / 512)).unwrap() * 512;
        for byte in &mut wal[sector..sector + 512] {
            *byte = dice.roll(256).try_into().unwrap();
        }
        let torn = cut.with_wal(&wal, false);
        let (ledger, opened) = Ledger::open(&Options::new(torn.path())).unwrap();
        assert!(opened.head.seq >= cut.durable_by(sector), "torn at {sector}");
        assert!(ledger.reader().verify(|_| true).is_sound(), "torn at {sector}");
    }
}
