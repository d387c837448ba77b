//! A full disk stops effects, not reading, and loses nothing; with space again the ledger goes on by itself.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

#[path = "support/small_disk.rs"]
mod small_disk;

use cella_event::{Draft, Key, Kind, Map, Seq};
use cella_ledger::{AppendError, Durability, Health, Ledger, Options, Payload};
use small_disk::SmallDisk;

const PARAMS: Key = Key::literal("params");

fn draft(n: u32) -> Draft {
    Draft::new(Kind::CallIntended).body(Map::new().with("n", n))
}

fn payload() -> Payload<'static> {
    Payload::full(PARAMS, vec![b'x'; 20_000]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_effects_keeps_reading_and_recovers_in_order() {
    let Some(disk) = SmallDisk::mount(4 * 1024 * 1024) else { return };
    let options = Options { queue_events_max: 20, ..Options::new(disk.path().join("ledger")) };
    let (ledger, _) = Ledger::open(&options).unwrap();
    let before = ledger.append(&draft(0), &[payload()], Durability::Flushed).await.unwrap();
    disk.fill();

    // What is being written when the disk fills up is not confirmed, and says so.
    let mut n = 0;
    let unconfirmed = loop {
        n += 1;
        match ledger.append(&draft(n), &[payload()], Durability::Flushed).await {
            Ok(_) => {}
            Err(AppendError::Unconfirmed { seq, reason }) => {
                assert!(reason.is_full(), "{reason}");
                break seq;
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert!(matches!(ledger.health(), Health::Failing { waiting: 1.., .. }));

    // After that, effects are refused at once and without a trace; reading goes on.
    let refused = ledger.append(&draft(1_000), &[], Durability::Flushed).await;
    assert!(matches!(refused, Err(AppendError::Failing { .. })), "{refused:?}");
    assert!(ledger.reader().get(before.seq).unwrap().is_some());
    assert!(ledger.head().seq < unconfirmed);

    // What need not be durable waits in memory as long as there is room, and then is refused too, never lost.
    let mut buffered = Vec::new();
    let full = loop {
        match ledger.append(&draft(2_000), &[], Durability::Buffered).await {
            Ok(place) => buffered.push(place.seq),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AppendError::Failing { .. }), "{full}");
    assert!(matches!(ledger.try_append(&draft(3_000), &[]), Err(AppendError::Failing { .. })));
    assert_eq!(buffered.first(), Some(&unconfirmed.next()));

    // With space again, everything that has a place is written in its place, without anybody's help.
    let mut tail = ledger.tail(unconfirmed);
    disk.free();
    for seq in unconfirmed.0..=buffered.last().unwrap().0 {
        assert_eq!(tail.next().await.unwrap().event.seq, Seq(seq));
    }
    let after = ledger.append(&draft(4_000), &[payload()], Durability::Flushed).await.unwrap();
    assert_eq!(after.seq, buffered.last().unwrap().next());
    assert!(ledger.health().is_well());
    let report = ledger.reader().verify(|_| true);
    assert!(report.is_sound() && report.events == after.seq.0, "{:?}", report.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_on_a_full_disk_says_what_was_not_written() {
    let Some(disk) = SmallDisk::mount(4 * 1024 * 1024) else { return };
    let (ledger, _) = Ledger::open(&Options::new(disk.path().join("ledger"))).unwrap();
    ledger.flush().await.unwrap();
    disk.fill();
    let head = loop {
        if ledger.append(&draft(1), &[payload()], Durability::Flushed).await.is_err() {
            break ledger.head();
        }
    };
    let closing = ledger.clone();
    let error = tokio::task::spawn_blocking(move || closing.close()).await.unwrap().unwrap_err();
    assert!(error.events >= 1 && error.reason.is_full(), "{error}");
    drop(ledger);
    disk.free();
    let (again, opened) = Ledger::open(&Options::new(disk.path().join("ledger"))).unwrap();
    assert_eq!(opened.head, head);
    assert!(again.reader().verify(|_| true).is_sound());
}

#[tokio::test]
async fn a_limit_on_the_database_acts_as_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { database_bytes_max: Some(400_000), ..Options::new(dir.path()) };
    let (ledger, _) = Ledger::open(&options).unwrap();
    let error = loop {
        if let Err(error) = ledger.append(&draft(1), &[payload()], Durability::Flushed).await {
            break error;
        }
    };
    assert!(matches!(error, AppendError::Unconfirmed { reason, .. } if reason.is_full()));
}
