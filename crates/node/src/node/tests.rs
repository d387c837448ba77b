use std::{fs, time::Duration};

use cella_contract::Effect;
use cella_event::{CallId, Kind, Label, Map};
use cella_ledger::Reader;
use cella_mcp::raw_json;
use cella_transport::Answer;

use super::*;
use crate::{
    record::{Begun, Subject},
    trace::OpenSpan,
};

/// Longer than any of this takes; only a test that hangs ever meets it.
const HANG: Duration = Duration::from_secs(20);

/// A node without servers and without an HTTP door, in a directory of its own.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.configure(config);
        home
    }

    fn configure(&self, config: &str) {
        fs::write(self.places().config, config).unwrap();
    }

    fn places(&self) -> Places {
        let path = |name: &str| self.0.path().join(name);
        Places {
            config: path("cella.toml"),
            state: path("state"),
            store: path("store"),
            socket: path("cella.sock"),
        }
    }

    async fn start(&self) -> Result<Running, StartError> {
        start(Options { http: false, ..Options::new(self.places()) }).await
    }

    fn events(&self, kind: &Kind) -> Vec<cella_ledger::Entry> {
        let reader = Reader::open(&self.places().ledger()).unwrap();
        let all = reader.range(cella_event::Seq(1), reader.head().unwrap().seq);
        all.map(Result::unwrap).filter(|entry| entry.event.kind == *kind).collect()
    }
}

fn subject() -> Subject {
    Subject {
        call: CallId::new("c-1").unwrap(),
        parent: None,
        principal: Label::clipped("somebody"),
        server: Label::clipped("files"),
        target: Some(Label::clipped("read_file")),
        method: "tools/call".into(),
        errand: None,
    }
}

fn begun() -> Begun {
    Begun { subject: subject(), facts: Map::new(), span: OpenSpan::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_dies_ends_the_node_with_an_error() {
    let home = Home::new("");
    let mut running = home.start().await.unwrap();
    running.serving.abort_all();
    let error = tokio::time::timeout(HANG, running.failed()).await.expect("the death is noticed");
    assert_eq!(error.code(), "CE4112");
    assert!(error.to_string().contains("cella.sock"), "{error}");
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_outcome_at_the_moment_of_the_end_is_on_record() {
    let home = Home::new("");
    let running = home.start().await.unwrap();
    let recorder = running.service.dispatch.recorder.clone();
    let intended = recorder.intend(begun(), Effect::Read, None).await.unwrap();
    // Past what may be written without waiting.
    let result = raw_json(format!("{{\"content\":[],\"data\":\"{}\"}}", "x".repeat(8 << 20))).unwrap();
    intended.conclude(&Answer::own(Ok(result)));
    drop(recorder);
    running.drain().await;
    assert_eq!(home.events(&Kind::CallCompleted).len(), 1);
    let last = home.events(&Kind::NodeStopped).pop().unwrap();
    assert!(
        home.events(&Kind::CallCompleted)[0].event.seq < last.event.seq,
        "and before the node's last word"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_is_captured() {
    let home = Home::new("");
    let running = home.start().await.unwrap();
    let recorder = running.service.dispatch.recorder.clone();
    let params = raw_json("{\"a\":1}").unwrap();
    let record = async || {
        drop(recorder.intend(begun(), Effect::Read, Some(&params)).await.unwrap());
    };
    record().await;
    home.configure("[ledger]\ncapture = \"digest\"\n");
    running.reload().await;
    record().await;
    running.drain().await;
    let kept: Vec<_> = home
        .events(&Kind::CallIntended)
        .iter()
        .map(|e| e.event.payload("params").unwrap().is_kept())
        .collect();
    assert_eq!(kept, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_lost_tail_starts_only_when_told_to_and_says_what_was_lost() {
    let home = Home::new("");
    home.start().await.unwrap().drain().await;
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _absent = fs::remove_file(home.places().ledger().join(file));
    }
    let refused = home.start().await.unwrap_err();
    assert!(refused.fix().unwrap().contains("--accept-loss"), "{refused}");

    let options = Options { http: false, accept_loss: true, ..Options::new(home.places()) };
    let running = start(options).await.unwrap();
    let said = running.warnings().join("\n");
    assert!(said.contains("events 1 to ") && said.contains("are lost"), "{said}");
    running.drain().await;
    assert_eq!(home.events(&Kind::LedgerRecovered).len(), 1);
}
