//! Whatever is changed in a stored ledger is found and named; and what is deleted on purpose is no fault.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::path::Path;

use cella_event::{Draft, Key, Kind, Label, Map, Seq};
use cella_ledger::{Deletion, Durability, Fault, Ledger, Options, Payload, Reader, Report, StoredPayload};
use rusqlite::{Connection, params};

const PARAMS: Key = Key::literal("params");
const LARGE: Key = Key::literal("result");

fn call(n: u32) -> Draft {
    Draft::new(Kind::CallIntended)
        .server(Label::clipped("files"))
        .tool(Label::clipped("read_file"))
        .body(Map::new().with("n", n))
}

/// Blocks of five events, with small payloads and one large one.
async fn written(dir: &Path) -> Ledger {
    let (ledger, _) = Ledger::open(&Options::new(dir)).unwrap();
    for block in 0..6 {
        for n in 0..4 {
            let payload = Payload::full(PARAMS, format!("{{\"n\":{n}}}").into_bytes()).unwrap();
            ledger.append(&call(n), &[payload], Durability::Buffered).await.unwrap();
        }
        let large = (block == 3).then(|| Payload::full(LARGE, vec![b'x'; 200_000]).unwrap());
        ledger.append(&call(4), large.as_slice(), Durability::Flushed).await.unwrap();
    }
    ledger
}

fn verify(dir: &Path) -> Report {
    Reader::open(dir).unwrap().verify(|_| true)
}

struct StoredBlock {
    first: i64,
    events: Vec<u8>,
    /// Where each event's length stands, and the end.
    starts: Vec<usize>,
}

fn blocks(db: &Connection) -> Vec<StoredBlock> {
    let mut statement = db.prepare("SELECT first_seq, events FROM blocks ORDER BY first_seq").unwrap();
    let rows = statement.query_map([], |row| {
        let (first, events): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let mut starts = vec![0];
        while *starts.last().unwrap() < events.len() {
            let at = *starts.last().unwrap();
            let length = u32::from_le_bytes(events[at..at + 4].try_into().unwrap());
            starts.push(at + 4 + length as usize);
        }
        Ok(StoredBlock { first, events, starts })
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn named(fault: &Fault) -> Option<u64> {
    match fault {
        Fault::Altered { seq, .. } | Fault::NotTheEvent { seq, .. } | Fault::Length { seq } => Some(seq.0),
        _ => None,
    }
}

#[tokio::test]
async fn any_flipped_byte_of_an_event_names_that_event_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await.close().unwrap();
    assert!(verify(dir.path()).is_sound());
    let db = Connection::open(dir.path().join("ledger.db")).unwrap();
    let update = |first: i64, events: &[u8]| {
        db.execute("UPDATE blocks SET events = ?2 WHERE first_seq = ?1", params![first, events]).unwrap();
    };
    let mut tried = 0;
    for block in blocks(&db) {
        for (event, bounds) in block.starts.windows(2).enumerate() {
            // Every byte of the length, and every 11th of the event, the ends of its fields among them.
            for at in (bounds[0]..bounds[0] + 4).chain((bounds[0] + 4..bounds[1]).step_by(11)) {
                let mut events = block.events.clone();
                events[at] ^= 0x01;
                update(block.first, &events);
                let report = verify(dir.path());
                let expected = Some(block.first.unsigned_abs() + event as u64);
                let got: Vec<_> = report.faults.iter().map(named).collect();
                assert_eq!(got, [expected], "byte {} of event {event}: {:?}", at - bounds[0], report.faults);
                tried += 1;
            }
        }
        update(block.first, &block.events);
    }
    assert!(tried > 500, "{tried}");
    assert!(verify(dir.path()).is_sound());
}

#[tokio::test]
async fn changed_columns_removed_and_swapped_rows_are_found() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await.close().unwrap();
    let db = Connection::open(dir.path().join("ledger.db")).unwrap();
    let faults = |sql: &str| {
        let tampered = tempfile::tempdir().unwrap();
        for file in ["ledger.db", "ledger.mark"] {
            std::fs::copy(dir.path().join(file), tampered.path().join(file)).unwrap();
        }
        copy_objects(dir.path(), tampered.path());
        Connection::open(tampered.path().join("ledger.db")).unwrap().execute_batch(sql).unwrap();
        verify(tampered.path()).faults
    };
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let all = blocks(&db);
    let (middle, last) = (&all[3], &all[all.len() - 1]);
    let (m, l) = (middle.first, last.first);

    let column = |column| vec![Fault::Column { first: Seq(m.unsigned_abs()), column }];
    assert_eq!(
        faults(&format!("UPDATE blocks SET since = since - 1 WHERE first_seq = {m}")),
        column("since")
    );
    assert_eq!(
        faults(&format!("UPDATE blocks SET until = until + 1 WHERE first_seq = {m}")),
        column("until")
    );
    assert_eq!(
        faults(&format!("UPDATE blocks SET count = count + 1 WHERE first_seq = {m}")),
        column("count")
    );
    let hash = |name: &str, of: i64| {
        faults(&format!("UPDATE blocks SET {name} = randomblob(32) WHERE first_seq = {of}"))
    };
    assert_eq!(hash("prev", m), column("prev"));
    assert_eq!(hash("last_hash", m), column("last_hash"));
    assert!(matches!(hash("last_hash", l)[..], [Fault::Column { column: "last_hash", .. }]), "by the mark");

    let gone = faults(&format!("DELETE FROM blocks WHERE first_seq = {m}"));
    let next = all[4].first.unsigned_abs();
    assert_eq!(gone, [Fault::Missing { first: Seq(m.unsigned_abs()), last: Seq(next - 1) }]);
    let tail = faults(&format!("DELETE FROM blocks WHERE first_seq = {l}"));
    assert!(matches!(tail[..], [Fault::Missing { .. }]), "{tail:?}");
    let swapped = faults(&format!(
        "UPDATE blocks SET events = (SELECT events FROM blocks b WHERE b.first_seq = {l}) WHERE first_seq = {m}"
    ));
    assert_eq!(swapped.iter().filter_map(named).next(), Some(m.unsigned_abs()));
    let records = faults(&format!("DELETE FROM payloads WHERE first_seq = {m}"));
    assert!(
        records.iter().all(|f| matches!(f, Fault::PayloadMissing { .. })) && records.len() == 5,
        "{records:?}"
    );
}

#[tokio::test]
async fn a_changed_or_missing_payload_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let object = objects(dir.path()).pop().unwrap();
    let bytes = std::fs::read(&object).unwrap();
    std::fs::write(&object, [&bytes[1..], b"y"].concat()).unwrap();
    let report = ledger.reader().verify(|_| true);
    let Fault::Payload { seq, .. } = report.faults[0] else { panic!("{:?}", report.faults) };
    assert!(ledger.reader().payload(seq, "result").is_err());
    std::fs::remove_file(&object).unwrap();
    let report = ledger.reader().verify(|_| true);
    assert_eq!(report.faults, [Fault::PayloadMissing { seq, name: "result".into() }]);
}

#[tokio::test]
async fn a_deleted_payload_is_gone_from_the_files_and_the_chain_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let secret = b"the customer's name and number";
    let kept = Payload::full(PARAMS, &b"{\"harmless\":1}"[..]).unwrap();
    ledger.append(&call(0), &[kept], Durability::Flushed).await.unwrap();
    let small = Payload::full(PARAMS, &secret[..]).unwrap();
    let large = Payload::full(LARGE, secret.repeat(10_000)).unwrap();
    let place = ledger.append(&call(1), &[small, large], Durability::Flushed).await.unwrap();
    assert!(holds(dir.path(), secret));

    let what = Deletion { first: place.seq, last: place.seq, name: None, reason: "asked for".into() };
    let deleted = ledger.delete_payloads(&what).await.unwrap();
    assert_eq!((deleted.payloads, deleted.bytes), (2, 30 + 300_000));
    let reader = ledger.reader();
    assert_eq!(reader.payload(place.seq, "params").unwrap(), StoredPayload::Deleted);
    assert_eq!(reader.payload(place.seq, "result").unwrap(), StoredPayload::Deleted);
    assert!(matches!(reader.payload(Seq(place.seq.0 - 1), "params").unwrap(), StoredPayload::Kept { .. }));
    let report = reader.verify(|_| true);
    assert!(report.is_sound() && report.payloads_deleted == 2, "{:?}", report.faults);
    assert_eq!(reader.get(deleted.event.unwrap()).unwrap().unwrap().event.kind, Kind::PayloadDeleted);
    assert!(!holds(dir.path(), secret), "not in any file, the WAL among them");
    assert_eq!(ledger.delete_payloads(&what).await.unwrap().payloads, 0);
}

/// Turns the state of every record of a payload of this name into another, and leaves the rest as it is.
fn mark_as_deleted(dir: &Path, first: i64) {
    let db = Connection::open(dir.join("ledger.db")).unwrap();
    let sql = "SELECT records FROM payloads WHERE first_seq = ?1";
    let mut records: Vec<u8> = db.query_row(sql, [first], |row| row.get(0)).unwrap();
    // `u32 index, u8 state`: the first record of the block.
    records[4] = 3;
    db.execute("UPDATE payloads SET records = ?2 WHERE first_seq = ?1", params![first, records]).unwrap();
}

#[tokio::test]
async fn a_payload_marked_as_deleted_without_a_deletion_on_record_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let first = blocks(&Connection::open(dir.path().join("ledger.db")).unwrap())[2].first;
    mark_as_deleted(dir.path(), first);
    let seq = Seq(first.unsigned_abs());
    let fault = Fault::DeletionUnrecorded { seq, name: "params".into() };
    assert_eq!(ledger.reader().verify(|_| true).faults, [fault.clone()]);

    // A deletion of other events does not cover it up.
    let other = Deletion { first: Seq(1), last: Seq(seq.0 - 1), name: None, reason: "old".into() };
    ledger.delete_payloads(&other).await.unwrap();
    assert_eq!(ledger.reader().verify(|_| true).faults, [fault]);
}

#[tokio::test]
async fn a_tail_cut_off_under_a_running_ledger_is_missed_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let head = ledger.head().seq;
    let db = Connection::open(dir.path().join("ledger.db")).unwrap();
    let last: i64 = db.query_row("SELECT max(first_seq) FROM blocks", [], |row| row.get(0)).unwrap();
    db.execute("DELETE FROM blocks WHERE first_seq = ?1", [last]).unwrap();
    // Whoever can cut the database can cut the mark too; the running ledger knows better than both.
    std::fs::write(dir.path().join("ledger.mark"), []).unwrap();
    let missing = Fault::Missing { first: Seq(last.unsigned_abs()), last: head };
    assert_eq!(ledger.reader().verify(|_| true).faults, [missing]);
}

#[tokio::test]
async fn a_chain_written_anew_up_to_its_head_is_contradicted_by_the_mark() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(dir.path()).await.close().unwrap();
    let mark = std::fs::read(dir.path().join("ledger.mark")).unwrap();
    // Another whole chain, longer than the one that was acknowledged.
    let forged = written(other.path()).await;
    forged.append(&call(7), &[], Durability::Flushed).await.unwrap();
    forged.close().unwrap();
    std::fs::write(other.path().join("ledger.mark"), mark).unwrap();
    assert!(matches!(verify(other.path()).faults[..], [Fault::Altered { .. }]));
}

fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() { files(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

fn objects(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    files(&dir.join("objects"), &mut found);
    found
}

fn copy_objects(from: &Path, to: &Path) {
    for object in objects(from) {
        let target = to.join(object.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&object, target).unwrap();
    }
}

fn holds(dir: &Path, needle: &[u8]) -> bool {
    let mut found = Vec::new();
    files(dir, &mut found);
    found.iter().any(|file| std::fs::read(file).unwrap().windows(needle.len()).any(|w| w == needle))
}
