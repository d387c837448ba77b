//! Folded tables answer what they should, and rebuilt ones are identical to those that grew.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::path::Path;

use cella_event::{CallId, Draft, Kind, Label, Map, Micros, RunId, Seq};
use cella_ledger::{Clock, Ledger, Options, Outcome, Projections};
use rusqlite::Connection;

fn event(kind: Kind, call: u32, body: Map) -> Draft {
    Draft::new(kind)
        .run(RunId::new("r-1").unwrap())
        .call(CallId::new(format!("c-{call}")).unwrap())
        .principal(Label::clipped("token:default"))
        .server(Label::clipped("files"))
        .tool(Label::clipped(if call.is_multiple_of(2) { "read" } else { "write" }))
        .body(body)
}

fn intended(call: u32) -> Draft {
    event(Kind::CallIntended, call, Map::new().with("effect", "read"))
}

fn completed(call: u32) -> Draft {
    event(Kind::CallCompleted, call, Map::new().with("took_us", 1_000))
}

/// An hour passes with every event.
fn ledger(dir: &Path) -> Ledger {
    let hours = std::sync::atomic::AtomicI64::new(0);
    let hour = move || 3_600_000_000 * hours.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let clock = Clock::new(move || Micros(1_763_683_200_000_000 + hour()));
    Ledger::open(&Options { clock, ..Options::new(dir) }).unwrap().0
}

/// Every row of every table, as text.
fn dump(dir: &Path) -> Vec<String> {
    let db = Connection::open(dir.join("projections.db")).unwrap();
    let mut rows = Vec::new();
    for table in ["at", "audit", "calls", "cost", "latency"] {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|c| format!("{:?}", row.get_ref(c).unwrap())).collect();
            rows.push(format!("{table}: {}", values.join(" ")));
        }
    }
    rows
}

#[tokio::test]
async fn calls_costs_audit_and_latency_are_folded() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let refused = event(Kind::CallRefused, 3, Map::new().with("code", "CE4001"));
    let asked = event(Kind::CallAsked, 2, Map::new());
    for draft in [intended(1), completed(1), intended(2), asked, refused] {
        ledger.try_append(&draft, &[]).unwrap();
    }
    ledger.flush().await.unwrap();
    let mut projections = Projections::open(dir.path(), ledger.reader()).unwrap();
    assert_eq!(projections.catch_up().unwrap(), ledger.head());

    let calls = projections.calls_of_run(&RunId::new("r-1").unwrap()).unwrap();
    let outcomes: Vec<_> = calls.iter().map(|c| (c.call.as_str(), c.outcome.map(|(o, ..)| o))).collect();
    assert_eq!(outcomes, [("c-3", Some(Outcome::Refused)), ("c-1", Some(Outcome::Completed)), ("c-2", None)]);
    let open = projections.without_outcome().unwrap();
    assert_eq!((open.len(), open[0].call.as_str(), open[0].asked), (1, "c-2", 1));
    assert_eq!(open[0].effect.as_deref(), Some("read"));

    let cost = projections.cost("").unwrap();
    let write = cost.iter().find(|row| row.tool == "write").unwrap();
    assert_eq!((write.calls, write.completed, write.refused, write.took_us), (1, 1, 1, 1_000));
    assert_eq!(write.day, "2025-11-21");

    let audit = projections.audit(ledger.head().seq, 10).unwrap();
    let kinds: Vec<_> = audit.iter().map(|row| (row.kind.as_str(), row.code.as_str())).collect();
    assert_eq!(kinds, [("call.refused", "CE4001"), ("ledger.created", "")]);

    let latency = projections.latency(Micros(0)).unwrap();
    assert_eq!((latency.len(), latency[0].tool.as_str(), latency[0].calls), (1, "write", 1));
    assert!((1_000..=1_250).contains(&latency[0].p50_us));
}

#[tokio::test]
async fn rebuilt_tables_are_identical_to_those_that_grew_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let mut projections = Projections::open(dir.path(), ledger.reader()).unwrap();
    for call in 0..60 {
        ledger.try_append(&intended(call), &[]).unwrap();
        if call % 7 == 0 {
            ledger.flush().await.unwrap();
            projections.catch_up().unwrap();
        }
        if call % 5 != 0 {
            ledger.try_append(&completed(call), &[]).unwrap();
        }
    }
    ledger.flush().await.unwrap();
    projections.catch_up().unwrap();
    let grown = dump(dir.path());
    assert!(grown.len() > 100);
    let (facts, mut heard) = (projections.tables().unwrap(), Vec::new());
    projections.rebuild(&mut |head| heard.push(head)).unwrap();
    assert_eq!(dump(dir.path()), grown);
    assert_eq!((heard.last(), projections.tables().unwrap()), (Some(&ledger.head()), facts.clone()));
    let names: Vec<_> = facts.iter().map(|table| (table.name, table.rows > 0)).collect();
    assert_eq!(names, [("audit", true), ("calls", true), ("cost", true), ("latency", true)]);
    assert_eq!(projections.without_outcome().unwrap().len(), 12);
}

#[tokio::test]
async fn a_table_that_was_tampered_with_has_another_digest_and_rebuilding_repairs_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    ledger.try_append(&intended(1), &[]).unwrap();
    ledger.flush().await.unwrap();
    let mut projections = Projections::open(dir.path(), ledger.reader()).unwrap();
    projections.catch_up().unwrap();
    let honest = projections.tables().unwrap();
    Connection::open(dir.path().join("projections.db"))
        .unwrap()
        .execute("UPDATE cost SET calls = 7", [])
        .unwrap();
    assert_ne!(projections.tables().unwrap(), honest);
    projections.rebuild(&mut |_| {}).unwrap();
    assert_eq!(projections.tables().unwrap(), honest);
}

#[tokio::test]
async fn tables_of_another_ledger_are_not_believed() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = ledger(one.path());
    ledger.try_append(&intended(1), &[]).unwrap();
    ledger.flush().await.unwrap();
    Projections::open(one.path(), ledger.reader()).unwrap().catch_up().unwrap();
    std::fs::copy(one.path().join("projections.db"), other.path().join("projections.db")).unwrap();
    let (fresh, _) = Ledger::open(&Options::new(other.path())).unwrap();
    fresh.flush().await.unwrap();
    let mut projections = Projections::open(other.path(), fresh.reader()).unwrap();
    assert_eq!(projections.catch_up().unwrap(), fresh.head());
    assert!(projections.call(&CallId::new("c-1").unwrap()).unwrap().is_none());
    assert_eq!(projections.audit(Seq(10), 10).unwrap().len(), 1);
}
