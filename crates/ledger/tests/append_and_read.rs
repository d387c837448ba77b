//! The ledger as its callers see it: what was appended is read, in order, also after reopening.

use cella_event::{Draft, Key, Kind, Label, Map, Seq};
use cella_ledger::{Durability, Filter, Ledger, OpenError, Options, Payload, Reader, StoredPayload};

const ARGUMENTS: Key = Key::literal("arguments");

fn call(n: u32) -> Draft {
    Draft::new(Kind::CallIntended)
        .server(Label::clipped("files"))
        .tool(Label::clipped("read_file"))
        .body(Map::new().with("n", n))
}

#[tokio::test]
async fn a_flushed_event_is_read_with_its_payload() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, opened) = Ledger::open(&Options::new(dir.path())).unwrap();
    assert!(opened.created);
    let payload = Payload::full(ARGUMENTS, &b"{\"path\":\"a\"}"[..]).unwrap();
    let place = ledger.append(&call(1), &[payload], Durability::Flushed).await.unwrap();
    assert_eq!(place.seq, Seq(2));
    let reader = ledger.reader();
    let entry = reader.get(place.seq).unwrap().unwrap();
    assert_eq!(entry.event.kind, Kind::CallIntended);
    assert_eq!(entry.event.time, place.time);
    let Ok(StoredPayload::Kept { bytes, .. }) = reader.payload(place.seq, "arguments") else { panic!() };
    assert_eq!(bytes, b"{\"path\":\"a\"}");
}

#[tokio::test]
async fn a_large_payload_stands_in_a_file_and_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let large = vec![7; 300_000];
    let payload = Payload::full(ARGUMENTS, &large[..]).unwrap();
    let place = ledger.append(&call(1), &[payload], Durability::Flushed).await.unwrap();
    let Ok(StoredPayload::Kept { bytes, .. }) = ledger.reader().payload(place.seq, "arguments") else {
        panic!()
    };
    assert_eq!(bytes, large);
}

#[tokio::test]
async fn the_chain_goes_on_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let (ledger, opened) = Ledger::open(&Options::new(dir.path())).unwrap();
        assert_eq!(opened.created, round == 0);
        for n in 0..100 {
            ledger.try_append(&call(n), &[]).unwrap();
        }
        ledger.close().unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    let events: Vec<_> = reader.range(Seq(1), Seq(u64::MAX - 1)).collect::<Result<_, _>>().unwrap();
    assert_eq!(events.len(), 301);
    assert!(events.windows(2).all(|pair| pair[1].event.prev == pair[0].hash));
}

#[tokio::test]
async fn a_second_writer_is_told_who_holds_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let (_ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let Err(OpenError::Held { holder, .. }) = Ledger::open(&Options::new(dir.path())) else { panic!() };
    assert_eq!(holder.pid, Some(std::process::id()));
}

#[tokio::test]
async fn a_tail_delivers_each_event_once_while_others_append() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    let mut tail = ledger.tail(Seq(1));
    let writer = ledger.clone();
    let task = tokio::spawn(async move {
        for n in 0..2_000 {
            writer.append(&call(n), &[], Durability::Buffered).await.unwrap();
        }
    });
    for seq in 1..=2_001 {
        assert_eq!(tail.next().await.unwrap().event.seq, Seq(seq));
    }
    task.await.unwrap();
}

#[tokio::test]
async fn a_query_returns_what_matches_and_says_when_there_is_more() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(&Options::new(dir.path())).unwrap();
    for n in 0..10 {
        let server = if n % 2 == 0 { "files" } else { "mail" };
        ledger.try_append(&call(n).server(Label::clipped(server)), &[]).unwrap();
    }
    ledger.flush().await.unwrap();
    let mail = Filter { server: Some(Label::clipped("mail")), limit: Some(4), ..Filter::default() };
    let found = ledger.reader().query(&mail).unwrap();
    assert_eq!(found.entries.len(), 4);
    assert!(found.more);
}
