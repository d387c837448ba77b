//! What an append costs: `cargo run --release -p cella-ledger --example append_bench [seconds]`.
//!
//! CPU is the sum over all threads of the process, which is stable on a noisy machine; wall-clock figures are not.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::{
    fs,
    time::{Duration, Instant},
};

use cella_event::{CallId, Draft, Event, Hash, Key, Kind, Label, Map, Micros, RunId, Seq, event_hash};
use cella_ledger::{Durability, Ledger, Options, Payload};

const ARGUMENTS: Key = Key::literal("arguments");
const RESULT: Key = Key::literal("result");
const CALLS_PER_SECOND: u64 = 16_000;

fn main() {
    if std::env::var_os("ONLY_PACED").is_some() {
        return paced(Duration::from_secs(5));
    }
    let seconds = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    event_alone();
    paced(Duration::from_secs(seconds));
    unpaced();
    rows_against_blocks();
    for writers in [1, 16, 128] {
        runtime.block_on(flushed(writers, Duration::from_secs(seconds)));
    }
    for batch in [1, 10, 100, 1000] {
        runtime.block_on(batches(batch, Duration::from_secs(seconds)));
    }
}

fn intended(n: u64) -> Draft {
    Draft::new(Kind::CallIntended)
        .run(RunId::new("r-0193d8f2a1c47b6e").unwrap())
        .call(CallId::new(format!("c-{n:016x}")).unwrap())
        .principal(Label::clipped("token:default"))
        .server(Label::clipped("files"))
        .tool(Label::clipped("read_file"))
        .body(Map::new().with("effect", "read").with("method", "tools/call"))
}

fn completed(n: u64) -> Draft {
    Draft::new(Kind::CallCompleted)
        .run(RunId::new("r-0193d8f2a1c47b6e").unwrap())
        .call(CallId::new(format!("c-{n:016x}")).unwrap())
        .principal(Label::clipped("token:default"))
        .server(Label::clipped("files"))
        .tool(Label::clipped("read_file"))
        .body(Map::new().with("error", false).with("micros", 312))
}

const ARGUMENT_BYTES: &[u8] = br#"{"path":"/home/user/project/src/main.rs","limit":2000}"#;

fn result_bytes() -> Vec<u8> {
    format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(180)).into_bytes()
}

/// Two events with a payload each: what one call costs.
fn call(ledger: &Ledger, n: u64, result: &[u8]) {
    let arguments = Payload::full(ARGUMENTS, ARGUMENT_BYTES).unwrap();
    ledger.try_append(&intended(n), &[arguments]).unwrap();
    let result = Payload::full(RESULT, result).unwrap();
    ledger.try_append(&completed(n), &[result]).unwrap();
}

fn event_alone() {
    let payload = Payload::full(ARGUMENTS, ARGUMENT_BYTES).unwrap();
    let draft = intended(7);
    let bytes = draft.encode([payload.reference()]).unwrap().seal(
        Seq(123_456),
        Micros(1_763_717_890_123_456),
        &Hash::ZERO,
    );
    println!("typical event: {} bytes", bytes.len());
    time("build draft", || intended(7));
    time("encode", || draft.encode([payload.reference()]).unwrap().seal(Seq(1), Micros(1), &Hash::ZERO));
    time("hash event", || event_hash(&bytes));
    time("salt and digest payload", || Payload::full(ARGUMENTS, ARGUMENT_BYTES).unwrap());
    time("decode event", || Event::decode(&bytes).unwrap());
}

fn time<T>(what: &str, mut work: impl FnMut() -> T) {
    const TIMES: u32 = 200_000;
    let before = cpu();
    for _ in 0..TIMES {
        std::hint::black_box(work());
    }
    println!("{what}: {:.0} ns", (cpu() - before).as_nanos() as f64 / f64::from(TIMES));
}

fn paced(span: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let result = result_bytes();
    let (start, before) = (Instant::now(), cpu());
    let mut calls = 0;
    while start.elapsed() < span {
        let due = start.elapsed().as_micros() as u64 * CALLS_PER_SECOND / 1_000_000;
        while calls < due {
            call(&ledger, calls, &result);
            calls += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let used = cpu() - before;
    println!(
        "paced at {CALLS_PER_SECOND} calls/s, buffered: {:.2} us CPU per call (2 events, 2 payloads), {} calls/s",
        used.as_nanos() as f64 / 1e3 / calls as f64,
        calls * 1000 / start.elapsed().as_millis() as u64
    );
}

fn unpaced() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let result = result_bytes();
    let (start, before) = (Instant::now(), cpu());
    const CALLS: u64 = 100_000;
    for n in 0..CALLS {
        call_waiting(&ledger, n, &result);
    }
    while ledger.waiting() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!(
        "unpaced, one caller: {:.0} events/s to disk, {:.2} us CPU per call",
        2.0 * CALLS as f64 / start.elapsed().as_secs_f64(),
        (cpu() - before).as_nanos() as f64 / 1e3 / CALLS as f64
    );
}

fn call_waiting(ledger: &Ledger, n: u64, result: &[u8]) {
    while ledger.waiting() > 50_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    call(ledger, n, result);
}

/// The two layouts, at the batch size that 32,000 events a second give with a commit every 20 ms.
fn rows_against_blocks() {
    const EVENTS: usize = 640;
    const COMMITS: i64 = 200;
    let event = vec![b'e'; 430];
    let payload = vec![b'p'; 200];
    for (one_row_each, page) in [(true, 4096), (false, 4096), (false, 8192), (false, 16384), (false, 32768)] {
        let dir = tempfile::tempdir().unwrap();
        let mut db = rusqlite::Connection::open(dir.path().join("bench.db")).unwrap();
        db.execute_batch(&format!(
            "PRAGMA page_size = {page}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             CREATE TABLE t (seq INTEGER PRIMARY KEY, time INTEGER, hash BLOB, event BLOB, payload BLOB);",
        ))
        .unwrap();
        let before = cpu();
        for commit in 0..COMMITS {
            let transaction = db.transaction().unwrap();
            {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)").unwrap();
                if one_row_each {
                    for n in 0..EVENTS as i64 {
                        insert.execute((commit * 1000 + n, n, [0u8; 32], &event, &payload)).unwrap();
                    }
                } else {
                    let row = (commit, 0, [0u8; 32], event.repeat(EVENTS), payload.repeat(EVENTS));
                    insert.execute(row).unwrap();
                }
            }
            transaction.commit().unwrap();
        }
        println!(
            "{}, pages of {page}: {:.2} us CPU per event in SQLite, {EVENTS} events a commit",
            if one_row_each { "one row per event" } else { "one row per block" },
            (cpu() - before).as_nanos() as f64 / 1e3 / (COMMITS as f64 * EVENTS as f64)
        );
    }
}

async fn flushed(writers: u64, span: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let (start, before) = (Instant::now(), cpu());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while start.elapsed() < span {
                    let at = Instant::now();
                    let arguments = Payload::full(ARGUMENTS, ARGUMENT_BYTES).unwrap();
                    ledger.append(&intended(1), &[arguments], Durability::Flushed).await.unwrap();
                    waits.push(at.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    let wall = start.elapsed();
    waits.sort_unstable();
    println!(
        "flushed, {writers} writers: {:.0} events/s, p50 {:.2} ms, p99 {:.2} ms, {:.1} us CPU per event",
        waits.len() as f64 / wall.as_secs_f64(),
        waits[waits.len() / 2].as_secs_f64() * 1e3,
        waits[waits.len() * 99 / 100].as_secs_f64() * 1e3,
        (cpu() - before).as_nanos() as f64 / 1e3 / waits.len() as f64
    );
}

async fn batches(size: u64, span: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let (start, before) = (Instant::now(), cpu());
    let mut events = 0;
    while start.elapsed() < span {
        for n in 1..size {
            ledger.append(&intended(n), &[], Durability::Buffered).await.unwrap();
        }
        ledger.append(&intended(0), &[], Durability::Flushed).await.unwrap();
        events += size;
    }
    println!(
        "durable batches of {size}: {:.0} events/s, {:.2} us CPU per event",
        events as f64 / start.elapsed().as_secs_f64(),
        (cpu() - before).as_nanos() as f64 / 1e3 / events as f64
    );
}

/// CPU time of all living threads, from the scheduler's own count.
fn cpu() -> Duration {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanos += stat.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(nanos)
}
