//! Whose files a process is given, by a real ledger.

use cella_event::{Draft, Kind, Label, RunId};
use cella_ledger::{Durability, Ledger, Options};
use cella_luggage::Luggage;
use cella_workspace::Store;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_names_the_run_of_another_gets_none_of_its_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let (ledger, _opened) = Ledger::open(&Options::new(dir.path().join("ledger"))).expect("a ledger");
    let run = RunId::new("r-1").expect("a name");
    let began = Draft::new(Kind::RunStarted).run(run.clone()).principal(Label::clipped("ann"));
    ledger.append(&began, &[], Durability::Flushed).await.expect("on record");
    let luggage = Luggage::new(ledger.reader(), Store::new(dir.path().join("workspaces")));
    let owned = |name: &str, by: &str| luggage.owned(name, by).expect("read");
    assert_eq!(owned("r-1", "ann"), Some(run));
    assert_eq!(owned("r-1", "bob"), None);
    assert_eq!(owned("r-2", "ann"), None);
    assert_eq!(owned("no name at all: ../x", "ann"), None);
}
