//! A ledger that is handed over verifies elsewhere, by our code and by others', and can be taken in as it was.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::{fs, path::PathBuf, process::Command};

use cella_event::{Draft, Key, Kind, Label, Map, Seq};
use cella_ledger::{
    Durability, Export, ExportError, Ledger, Options, Payload, Reader, StoredPayload, import, verify_export,
};

const PARAMS: Key = Key::literal("params");

async fn written(dir: &std::path::Path) -> Ledger {
    let (ledger, _) = Ledger::open(&Options::new(dir)).unwrap();
    for n in 0..20 {
        let payload = match n % 4 {
            0 => Payload::full(PARAMS, &b"{\"text\":\"\\u00e9\n\"}"[..]),
            1 => Payload::full(PARAMS, vec![0xff, 0, n]),
            2 => Payload::digest_only(PARAMS, b"{}"),
            _ => Payload::full(PARAMS, vec![b'x'; 150_000]),
        };
        let draft = Draft::new(Kind::CallIntended)
            .tool(Label::clipped("\"quoted\" ü \u{1f980}"))
            .body(Map::new().with("n", i32::from(n)));
        ledger.append(&draft, &[payload.unwrap()], Durability::Flushed).await.unwrap();
    }
    ledger
}

fn everything() -> Export {
    Export { first: Seq(1), last: Seq(u64::MAX), payloads: true }
}

#[tokio::test]
async fn an_export_verifies_here_and_by_the_independent_program() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let mut file = Vec::new();
    let exported = ledger.reader().export(everything(), &mut file).unwrap();
    assert_eq!((exported.head, exported.payloads), (ledger.head(), 15));
    assert_eq!(verify_export(&mut &file[..]).unwrap(), exported);

    let path = dir.path().join("export.ndjson");
    fs::write(&path, &file).unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/event-v1/verify.py");
    let python = |path: &std::path::Path| Command::new("python3").arg(&script).arg(path).output();
    let Ok(output) = python(&path) else { return println!("skipped the rest: no python3") };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Both refuse the same files.
    for at in (0..file.len()).step_by(file.len() / 12) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        if changed[at] == b'\n' || file[at] == b'\n' {
            continue;
        }
        fs::write(&path, &changed).unwrap();
        assert!(verify_export(&mut &changed[..]).is_err(), "byte {at}");
        assert!(!python(&path).unwrap().status.success(), "byte {at}");
    }
}

#[tokio::test]
async fn a_part_of_a_chain_verifies_from_its_head_on() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let mut file = Vec::new();
    let part = Export { first: Seq(5), last: Seq(9), payloads: false };
    let exported = ledger.reader().export(part, &mut file).unwrap();
    assert_eq!((exported.after.seq, exported.head.seq), (Seq(4), Seq(9)));
    assert_eq!(verify_export(&mut &file[..]).unwrap(), exported);
    let fresh = tempfile::tempdir().unwrap();
    assert!(import(&Options::new(fresh.path()), &mut &file[..]).is_err(), "it has no beginning");
}

#[tokio::test]
async fn a_cut_file_is_refused_wherever_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let mut file = Vec::new();
    ledger.reader().export(Export { payloads: false, ..everything() }, &mut file).unwrap();
    for end in (0..file.len() - 1).step_by(97) {
        assert!(verify_export(&mut &file[..end]).is_err(), "cut at {end}");
    }
    let lines = file.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).nth(7).unwrap();
    assert!(
        matches!(verify_export(&mut &file[..lines]), Err(ExportError::CutOff { head }) if head.seq == Seq(7))
    );
}

#[tokio::test]
async fn an_imported_ledger_is_the_same_chain_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let mut file = Vec::new();
    ledger.reader().export(everything(), &mut file).unwrap();

    let fresh = tempfile::tempdir().unwrap();
    let options = Options::new(fresh.path());
    assert_eq!(import(&options, &mut &file[..]).unwrap().head, ledger.head());
    assert!(matches!(import(&options, &mut &file[..]), Err(ExportError::NotFresh(_))));
    let reader = Reader::open(fresh.path()).unwrap();
    assert!(reader.verify(|_| true).is_sound());
    for seq in 2..=21 {
        assert_eq!(
            reader.payload(Seq(seq), "params").unwrap(),
            ledger.reader().payload(Seq(seq), "params").unwrap()
        );
    }
    assert!(matches!(reader.payload(Seq(4), "params").unwrap(), StoredPayload::DigestOnly { .. }));
    let (copy, opened) = Ledger::open(&options).unwrap();
    assert!(!opened.created);
    copy.append(&Draft::new(Kind::NodeStarted), &[], Durability::Flushed).await.unwrap();
    assert!(copy.reader().verify(|_| true).is_sound());
}

#[tokio::test]
async fn a_ledger_made_from_a_file_without_payloads_says_so_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = written(dir.path()).await;
    let mut file = Vec::new();
    ledger.reader().export(Export { payloads: false, ..everything() }, &mut file).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    import(&Options::new(fresh.path()), &mut &file[..]).unwrap();
    let reader = Reader::open(fresh.path()).unwrap();
    let report = reader.verify(|_| true);
    assert!(report.is_sound() && report.payloads_deleted == 20, "{:?}", report.faults);
    let last = reader.get(ledger.head().seq.next()).unwrap().unwrap();
    assert_eq!((last.event.kind, last.event.prev), (Kind::PayloadDeleted, ledger.head().hash));
}
