//! A damaged end is cut when nobody was promised anything about it, and only then without asking.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use cella_event::{Draft, Key, Kind, Map, Seq};
use cella_ledger::{Durability, Fault, Ledger, OpenError, Options, Payload, Reader};
use rusqlite::Connection;

async fn written(dir: &Path, events: u32) {
    let (ledger, _) = Ledger::open(&Options::new(dir)).unwrap();
    for n in 0..events {
        let draft = Draft::new(Kind::NodeStarted).body(Map::new().with("n", n));
        ledger.append(&draft, &[], Durability::Flushed).await.unwrap();
    }
}

fn damage(dir: &Path, which: &str) {
    let db = Connection::open(dir.join("ledger.db")).unwrap();
    let sql = format!(
        "UPDATE blocks SET events = CAST(substr(events, 1, length(events) - 3) || x'000000' AS BLOB)
         WHERE first_seq = (SELECT {which} FROM blocks)"
    );
    assert_eq!(db.execute(&sql, []).unwrap(), 1);
}

fn set_aside(dir: &Path) -> i64 {
    let db = Connection::open(dir.join("ledger.db")).unwrap();
    db.query_row("SELECT count(*) FROM set_aside", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_damaged_end_that_nobody_relies_on_is_cut_kept_aside_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 5).await;
    let mark = fs::read(dir.path().join("ledger.mark")).unwrap();
    written(dir.path(), 1).await;
    // The mark of before: the last block was never acknowledged.
    fs::write(dir.path().join("ledger.mark"), mark).unwrap();
    damage(dir.path(), "max(first_seq)");

    let (ledger, opened) = Ledger::open(&Options::new(dir.path())).unwrap();
    let cut = opened.cut.unwrap();
    assert_eq!((cut.first, cut.last, opened.head.seq), (Seq(7), Seq(7), Seq(6)));
    ledger.flush().await.unwrap();
    let entry = ledger.reader().get(Seq(7)).unwrap().unwrap();
    assert_eq!(entry.event.kind, Kind::LedgerRecovered);
    assert_eq!(entry.event.body.map("cut").unwrap().int("first"), Some(7));
    assert!(ledger.reader().verify(|_| true).is_sound());
    assert_eq!(set_aside(dir.path()), 1);
}

#[tokio::test]
async fn a_damaged_end_that_was_acknowledged_stops_the_ledger_until_a_human_accepts_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 5).await;
    damage(dir.path(), "max(first_seq)");
    let refused = Ledger::open(&Options::new(dir.path()));
    assert!(matches!(refused, Err(OpenError::Damaged { first: Seq(6), last: Seq(6), .. })), "{refused:?}");
    // Reading is still possible, and says the same.
    let reader = Reader::open(dir.path()).unwrap();
    assert!(reader.get(Seq(5)).unwrap().is_some());
    assert!(matches!(reader.verify(|_| true).faults[0], Fault::NotTheEvent { seq: Seq(6), .. }));

    let accepted = Options { accept_loss: true, ..Options::new(dir.path()) };
    let (ledger, opened) = Ledger::open(&accepted).unwrap();
    assert_eq!((opened.cut.unwrap().first, opened.lost.unwrap().seq), (Seq(6), Seq(6)));
    ledger.flush().await.unwrap();
    assert!(ledger.reader().verify(|_| true).is_sound());
    assert_eq!(set_aside(dir.path()), 1);
}

#[tokio::test]
async fn a_damaged_middle_is_found_by_checking_and_does_not_stop_reading_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 5).await;
    damage(dir.path(), "min(first_seq) + 2");
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let report = ledger.reader().verify(|_| true);
    assert_eq!(report.faults.iter().filter_map(Fault::altered).collect::<Vec<_>>(), [Seq(3)]);
    assert!(ledger.reader().get(Seq(3)).is_err());
    assert!(ledger.reader().get(Seq(4)).unwrap().is_some());
}

#[tokio::test]
async fn a_lost_database_is_not_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 3).await;
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _absent = fs::remove_file(dir.path().join(file));
    }
    let refused = Ledger::open(&Options::new(dir.path()));
    assert!(matches!(refused, Err(OpenError::Lost { found: Seq(0), .. })), "{refused:?}");
}

#[tokio::test]
async fn a_database_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Ledger::open(&Options::new(dir.path())), Err(OpenError::Foreign { .. })));
    assert!(matches!(Reader::open(dir.path()), Err(OpenError::Foreign { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_ledger_of_a_newer_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 1).await;
    Connection::open(dir.path().join("ledger.db")).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(Ledger::open(&Options::new(dir.path())), Err(OpenError::Newer { known: 1, got: 2 })));
}

#[tokio::test]
async fn a_file_in_the_directory_accepts_one_loss_and_is_used_up_by_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 5).await;
    damage(dir.path(), "max(first_seq)");
    let consent = dir.path().join("ledger.accept-loss");
    fs::write(&consent, "").unwrap();

    let (ledger, opened) = Ledger::open(&Options::new(dir.path())).unwrap();
    assert!(opened.loss_accepted && opened.lost.unwrap().seq == Seq(6));
    ledger.close().unwrap();
    assert!(!consent.exists(), "it does not cover the next loss");
    let reader = Reader::open(dir.path()).unwrap();
    let body = reader.get(Seq(6)).unwrap().unwrap().event.body;
    assert_eq!(body.bool("accepted"), Some(true));
    assert_eq!(body.map("cut").unwrap().int("last"), Some(6));
    assert!(reader.verify(|_| true).is_sound());

    damage(dir.path(), "max(first_seq)");
    assert!(matches!(Ledger::open(&Options::new(dir.path())), Err(OpenError::Damaged { .. })));
}

#[tokio::test]
async fn a_consent_that_was_not_needed_is_used_up_too() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 1).await;
    let consent = dir.path().join("ledger.accept-loss");
    fs::write(&consent, "").unwrap();
    let (ledger, opened) = Ledger::open(&Options::new(dir.path())).unwrap();
    assert_eq!((&opened.cut, &opened.lost), (&None, &None));
    ledger.close().unwrap();
    assert!(!consent.exists());
    assert_eq!(Reader::open(dir.path()).unwrap().head().unwrap().seq, Seq(2), "nothing to record");
}

#[tokio::test]
async fn every_damaged_block_at_the_end_goes_and_the_first_and_last_event_are_named() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 6).await;
    damage(dir.path(), "max(first_seq)");
    damage(dir.path(), "max(first_seq) - 1");
    let refused = Ledger::open(&Options::new(dir.path()));
    assert!(matches!(refused, Err(OpenError::Damaged { first: Seq(6), last: Seq(7), .. })), "{refused:?}");
    assert_eq!(set_aside(dir.path()), 0, "a refusal changes nothing");

    // The mark went too: then nobody knows whether these were acknowledged, and nothing goes without asking.
    fs::remove_file(dir.path().join("ledger.mark")).unwrap();
    assert!(matches!(Ledger::open(&Options::new(dir.path())), Err(OpenError::Damaged { .. })));

    let accepted = Options { accept_loss: true, ..Options::new(dir.path()) };
    let (ledger, opened) = Ledger::open(&accepted).unwrap();
    let cut = opened.cut.unwrap();
    assert_eq!((cut.first, cut.last, opened.head.seq), (Seq(6), Seq(7), Seq(5)));
    ledger.flush().await.unwrap();
    assert!(ledger.reader().verify(|_| true).is_sound());
    assert_eq!(set_aside(dir.path()), 2);
}

fn readable_by_others(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            found.push(format!("{} {mode:o}", entry.path().display()));
        }
        if entry.path().is_dir() {
            readable_by_others(&entry.path(), found);
        }
    }
}

#[tokio::test]
async fn nothing_in_a_directory_that_others_can_enter_is_readable_for_them() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let large = Payload::full(Key::literal("result"), vec![b'x'; 200_000]).unwrap();
    ledger.append(&Draft::new(Kind::CallCompleted), &[large], Durability::Flushed).await.unwrap();
    let mut found = Vec::new();
    readable_by_others(dir.path(), &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn what_others_could_read_is_closed_to_them_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2).await;
    let files = ["ledger.db", "ledger.mark", "ledger.lock", "objects", "ledger.db-wal", "ledger.db-shm"];
    for name in files.map(|name| dir.path().join(name)) {
        if !name.exists() {
            fs::write(&name, "").unwrap();
        }
        let mode = if name.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&name, fs::Permissions::from_mode(mode)).unwrap();
    }
    let (_ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let mut found = Vec::new();
    readable_by_others(dir.path(), &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn another_ledger_of_the_same_length_is_not_taken_for_the_lost_one() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(dir.path(), 3).await;
    written(other.path(), 3).await;
    fs::copy(other.path().join("ledger.mark"), dir.path().join("ledger.mark")).unwrap();
    let refused = Ledger::open(&Options::new(dir.path())).unwrap_err();
    assert!(refused.to_string().starts_with("CE5006: event 4 is another one"), "{refused}");
}
