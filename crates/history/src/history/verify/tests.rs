use cella_event::{Draft, Key, Kind};
use cella_ledger::{Durability, Ledger, Options, Payload, Reader};

use super::*;

const DATABASE: [&str; 2] = ["ledger.db", "ledger.db-wal"];

async fn written(dir: &Path, events: u32) -> Ledger {
    let (ledger, _) = Ledger::open(&Options::new(dir)).unwrap();
    for n in 0..events {
        let payload = Payload::full(Key::literal("params"), format!("{{\"n\":{n}}}").into_bytes()).unwrap();
        ledger.append(&Draft::new(Kind::CallIntended), &[payload], Durability::Flushed).await.unwrap();
    }
    ledger
}

#[tokio::test]
async fn a_sound_ledger_is_proven_and_says_what_that_rests_on() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path(), 5).await;
    let answer = History::new(dir.path().to_owned(), ledger.reader()).verify(|_| true);
    assert_eq!((&answer["ok"], &answer["events"], &answer["payloads"]), (&json!(true), &json!(6), &json!(5)));
    assert_eq!(answer["head"], json!(ledger.head().hash.to_string()));
    for word in ["proven", "recorded", "trusted"] {
        assert!(!answer[word].as_array().unwrap().is_empty(), "{word}");
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_named_although_the_rest_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 2).await.close().unwrap();
    let older = DATABASE.map(|file| std::fs::read(dir.path().join(file)));
    written(dir.path(), 3).await.close().unwrap();
    for (file, bytes) in DATABASE.into_iter().zip(older) {
        let _absent = std::fs::remove_file(dir.path().join(file));
        if let Ok(bytes) = bytes {
            std::fs::write(dir.path().join(file), bytes).unwrap();
        }
    }
    let answer = History::new(dir.path().to_owned(), Reader::open(dir.path()).unwrap()).verify(|_| true);
    assert_eq!((&answer["ok"], &answer["faults_found"]), (&json!(false), &json!(1)));
    assert_eq!(answer["faults"][0], json!({ "seq": 4, "what": "events 4 to 6 are missing" }));
}

#[tokio::test]
async fn a_check_that_was_ended_is_not_ok() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path(), 2).await;
    let report = ledger.reader().verify(|_| false);
    assert!(report.is_sound());
    assert_eq!(answer(&report, false)["ok"], json!(false));
}

#[tokio::test]
async fn an_export_of_the_node_is_a_file_that_verifies_until_it_is_cut_or_changed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path(), 5).await;
    let mut text = Vec::new();
    History::new(dir.path().to_owned(), ledger.reader()).export(true, &mut text).unwrap();
    let path = dir.path().join("export.ndjson");
    std::fs::write(&path, &text).unwrap();
    let answer = History::verify_file(&path).unwrap();
    assert_eq!((&answer["ok"], &answer["events"], &answer["payloads"]), (&json!(true), &json!(6), &json!(5)));

    let lines: Vec<_> = text.split_inclusive(|b| *b == b'\n').collect();
    std::fs::write(&path, lines[..4].concat()).unwrap();
    let cut = History::verify_file(&path).unwrap();
    assert_eq!((&cut["ok"], &cut["faults"][0]["code"]), (&json!(false), &json!("CE5033")));

    let changed = String::from_utf8(text).unwrap().replace("{\\\"n\\\":3}", "{\\\"n\\\":4}");
    std::fs::write(&path, changed).unwrap();
    assert_eq!(History::verify_file(&path).unwrap()["faults"][0]["code"], json!("CE5032"));
    assert!(History::verify_file(&dir.path().join("absent")).is_err());
}
