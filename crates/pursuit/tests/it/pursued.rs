//! From the first event to the last, and again after the node was lost in the middle.

use cella_agreement::{Budget, Limits, Window};
use cella_contract::Effect as Class;
use cella_dialogue::FailureClass;
use cella_event::RunId;
use cella_kernel::{Colleague, EndStatus, State, Status, StepId, Tool, What, replay};
use cella_ledger::{Ledger, Options};
use cella_pursuit::{BadDecision, Begin, Decision, Notice, Runs, StartError, load};

use crate::host::{Says, Scripted, agent, tool, until};

fn open(dir: &std::path::Path) -> Ledger {
    Ledger::open(&Options::new(dir)).expect("a ledger").0
}

fn begin(agent: cella_kernel::Agent) -> Begin {
    Begin { agent, task: "do it".into(), earlier: Vec::new(), account: None, principal: "ann".into() }
}

async fn ended(runs: &Runs<Scripted>, run: &RunId) -> State {
    if let Some(result) = runs.finished(run).await {
        return result.expect("it is not broken off");
    }
    runs.show(run).await.expect("it is known").state
}

fn replays(ledger: &Ledger, run: &RunId) {
    let facts = load(&ledger.reader(), run).expect("readable");
    replay(&facts).expect("the same again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_task_to_answer_and_replays() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let script = [
        Says::Fails(FailureClass::Overloaded),
        Says::Calls(vec![("look", "{}"), ("look", r#"{"n":2}"#)]),
        Says::Text("seen"),
    ];
    let host = Scripted::new(&ledger, None, &script);
    let runs = Runs::new(host.clone(), ledger.clone());
    let run = runs.begin(begin(agent(&[tool("look", Class::Read)]))).await.expect("begun");
    let state = ended(&runs, &run).await;
    let ending = state.ending().expect("over");
    assert_eq!((ending.status, ending.output.as_str()), (EndStatus::Completed, "seen"));
    replays(&ledger, &run);
    assert_eq!(host.told.lock().expect("fine").as_slice(), [Notice::Ended { run: run.clone() }]);
    assert!(matches!(runs.resume(&run).await, Err(StartError::Over { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_lost_in_the_middle_of_a_payment_pays_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let tools = [Tool { probe: Some("was_paid".into()), ..tool("pay", Class::Irreversible) }];
    let (run, done) = {
        let ledger = open(dir.path());
        let host = Scripted::new(&ledger, Some("pay"), &[Says::Calls(vec![("pay", "{}")])]);
        let runs = Runs::new(host.clone(), ledger.clone());
        let run = runs.begin(begin(agent(&tools))).await.expect("begun");
        until("paid", async || !host.done.lock().expect("fine").is_empty()).await;
        // Its call never comes back: as far as the ledger knows, the node was lost here.
        ledger.close().expect("closed");
        (run, host.done.lock().expect("fine").clone())
    };
    let ledger = open(dir.path());
    let host = Scripted::new(&ledger, None, &[Says::Text("paid")]);
    host.done.lock().expect("fine").extend(done);
    let runs = Runs::new(host.clone(), ledger.clone());
    runs.resume(&run).await.expect("taken up");
    let state = ended(&runs, &run).await;
    assert_eq!(state.ending().expect("over").output, "paid");
    assert_eq!(host.done.lock().expect("fine").len(), 1);
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_its_approval_and_nobody_approves_what_was_not_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let script = [Says::Calls(vec![("pay", "{}")]), Says::Text("ok")];
    let host = Scripted::new(&ledger, None, &script);
    let runs = Runs::new(host.clone(), ledger.clone());
    let tools = [Tool { approval: true, ..tool("pay", Class::Irreversible) }];
    let run = runs.begin(begin(agent(&tools))).await.expect("begun");
    until("it waits", async || {
        runs.show(&run).await.is_ok_and(|known| known.state.status() == Status::Waiting)
    })
    .await;
    let other = runs.decide(&run, StepId(7), Decision::Approve, "bob").await;
    assert!(
        matches!(other, Err(BadDecision::NotAsked { waiting, .. }) if waiting == "s1 (pay, for approval)")
    );
    runs.decide(&run, StepId(1), Decision::Approve, "bob").await.expect("asked");
    assert_eq!(ended(&runs, &run).await.ending().expect("over").output, "ok");
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_breaks_off_the_answer_that_comes_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let host = Scripted::new(&ledger, None, &[Says::Never]);
    let runs = Runs::new(host, ledger.clone());
    let run = runs.begin(begin(agent(&[]))).await.expect("begun");
    runs.cancel(&run, "ann").await.expect("taken");
    let state = ended(&runs, &run).await;
    assert_eq!(state.ending().expect("over").status, EndStatus::Cancelled);
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_many_resume_at_once_is_pursued_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let script = [Says::Calls(vec![("pay", "{}")]), Says::Text("ok")];
    let host = Scripted::new(&ledger, None, &script);
    let runs = Runs::new(host.clone(), ledger.clone());
    let tools = [Tool { approval: true, ..tool("pay", Class::Irreversible) }];
    let run = runs.begin(begin(agent(&tools))).await.expect("begun");
    until("it waits", async || {
        runs.show(&run).await.is_ok_and(|known| known.state.status() == Status::Waiting)
    })
    .await;
    ledger.flush().await.expect("flushed");
    // Another node's life: nobody pursues it, and five people say so at once.
    runs.drain().await;
    let again = Runs::new(host.clone(), ledger.clone());
    let before = load(&ledger.reader(), &run).expect("readable").len();
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let (again, run) = (again.clone(), run.clone());
            tokio::spawn(async move { again.resume(&run).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("taken up or left alone");
    }
    let facts = load(&ledger.reader(), &run).expect("readable");
    assert_eq!(facts.len(), before + 1, "it was taken up once");
    again.decide(&run, StepId(1), Decision::Approve, "bob").await.expect("asked");
    assert_eq!(ended(&again, &run).await.ending().expect("over").output, "ok");
    assert_eq!(host.done.lock().expect("fine").len(), 1);
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_at_any_moment_ends_and_replays() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let turn = || Says::Calls(vec![("look", "{}"), ("look", "{}"), ("pay", "{}")]);
    let script: Vec<Says> = (0..400).map(|_| turn()).collect();
    let host = Scripted::new(&ledger, None, &script);
    let runs = Runs::new(host.clone(), ledger.clone());
    let tools = [tool("look", Class::Read), tool("pay", Class::Irreversible)];
    for moment in 0..60 {
        let run = runs.begin(begin(agent(&tools))).await.expect("begun");
        tokio::time::sleep(std::time::Duration::from_micros(moment * 700)).await;
        runs.cancel(&run, "ann").await.expect("taken");
        let state = ended(&runs, &run).await;
        assert_eq!(state.ending().expect("over").status, EndStatus::Cancelled, "{moment}");
        replays(&ledger, &run);
    }
    let mut keys = host.done.lock().expect("fine").clone();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all, "nothing was done twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_that_is_cancelled_begins_nothing_before_it_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let host = Scripted::new(&ledger, None, &[Says::Fails(FailureClass::Auth), Says::Text("never")]);
    let runs = Runs::new(host, ledger.clone());
    let run = runs.begin(begin(agent(&[]))).await.expect("begun");
    assert!(ended(&runs, &run).await.pause().is_some());
    runs.cancel(&run, "ann").await.expect("taken");
    assert_eq!(ended(&runs, &run).await.ending().expect("over").status, EndStatus::Cancelled);
    let facts = load(&ledger.reader(), &run).expect("readable");
    let at = |is: fn(&What) -> bool| facts.iter().rposition(|fact| is(&fact.what)).expect("on record");
    let cancelled = at(|what| matches!(what, What::CancelAsked { .. }));
    assert!(cancelled < at(|what| matches!(what, What::Resumed)), "it is cancelled before it is taken up");
    assert!(at(|what| matches!(what, What::Asked { .. })) < cancelled);
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_a_run_cancels_those_that_it_gave_tasks_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let script = [Says::Calls(vec![("give_task", r#"{"agent":"helper","task":"look"}"#)]), Says::Never];
    let runs = Runs::new(Scripted::new(&ledger, None, &script), ledger.clone());
    let colleague = Colleague { name: "helper".into(), description: String::new() };
    let parent = cella_kernel::Agent { agents: vec![colleague], ..agent(&[]) };
    let run = runs.begin(begin(parent)).await.expect("begun");
    let child = RunId::new(format!("{run}.s1")).expect("an id");
    until("the child is under way", async || runs.show(&child).await.is_ok()).await;
    runs.cancel(&run, "ann").await.expect("taken");
    let over = tokio::time::timeout(std::time::Duration::from_secs(20), ended(&runs, &run)).await;
    assert_eq!(over.expect("in time").ending().expect("over").status, EndStatus::Cancelled);
    let child_state = runs.show(&child).await.expect("known").state;
    assert_eq!(child_state.ending().expect("over").status, EndStatus::Cancelled);
    replays(&ledger, &run);
    replays(&ledger, &child);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agent_has_a_run_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let script = [
        Says::Calls(vec![("give_task", r#"{"agent":"helper","task":"look"}"#)]),
        Says::Text("helped"),
        Says::Text("done"),
    ];
    let host = Scripted::new(&ledger, None, &script);
    let runs = Runs::new(host, ledger.clone());
    let colleague = Colleague { name: "helper".into(), description: String::new() };
    let parent = cella_kernel::Agent { agents: vec![colleague], ..agent(&[]) };
    let run = runs.begin(begin(parent)).await.expect("begun");
    assert_eq!(ended(&runs, &run).await.ending().expect("over").output, "done");
    let child = RunId::new(format!("{run}.s1")).expect("an id");
    let known = runs.show(&child).await.expect("known");
    assert_eq!(known.state.parent(), Some(&run));
    replays(&ledger, &run);
    replays(&ledger, &child);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_goes_its_own_way_and_the_run_it_left_is_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let script = [Says::Calls(vec![("look", "{}")]), Says::Text("one"), Says::Text("two")];
    let host = Scripted::new(&ledger, None, &script);
    let runs = Runs::new(host, ledger.clone());
    let run = runs.begin(begin(agent(&[tool("look", Class::Read)]))).await.expect("begun");
    ended(&runs, &run).await;
    let facts = load(&ledger.reader(), &run).expect("readable");
    let intent = facts.iter().find(|f| matches!(f.what, What::Intended(_))).expect("a call").seq;
    let refused = runs.fork(&run, Some(intent), None, None, "ann").await;
    let Err(StartError::NotAtRest { before, after, .. }) = refused else { panic!("{refused:?}") };
    let (before, after) = (before.expect("before"), after.expect("after"));
    assert!(before < intent && after > intent);
    let fork = runs.fork(&run, Some(after), None, Some("again".into()), "ann").await.expect("forked");
    assert_eq!(ended(&runs, &fork).await.ending().expect("over").output, "two");
    assert_eq!(runs.show(&run).await.expect("known").state.ending().expect("over").output, "one");
    replays(&ledger, &fork);
}

fn with_budget(field: &str, limit: u64, tools: &[Tool]) -> cella_kernel::Agent {
    cella_kernel::Agent { budget: [(field.to_owned(), limit)].into(), ..agent(tools) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_budget_does_not_allow_is_not_asked_and_the_run_goes_on_when_it_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let host = Scripted::new(&ledger, None, &[Says::Text("never")]);
    let runs = Runs::new(host, ledger.clone());
    let run = runs.begin(begin(with_budget("tokens", 1, &[]))).await.expect("begun");
    let state = ended(&runs, &run).await;
    let (code, why) = state.pause().expect("paused");
    assert_eq!(code, "CE1506");
    assert!(why.contains("has 1 tokens"), "{why}");
    assert_eq!(runs.left(&run).expect("open").spent.tokens, 0, "nothing was asked");
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_past_the_budget_are_not_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = open(dir.path());
    let script = [Says::Calls(vec![("look", "{}")]), Says::Calls(vec![("look", "{}")])];
    let host = Scripted::new(&ledger, None, &script);
    let runs = Runs::new(host.clone(), ledger.clone());
    let run = runs.begin(begin(with_budget("calls", 1, &[tool("look", Class::Read)]))).await.expect("begun");
    let state = ended(&runs, &run).await;
    assert_eq!(state.pause().expect("paused").0, "CE1506");
    assert_eq!(host.done.lock().expect("fine").len(), 1);
    assert_eq!(runs.left(&run).expect("open").spent.calls, 1);
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_shared_by_its_runs_and_remembers_them_in_another_life_of_the_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let limits = Limits { tokens: Some(30), ..Limits::default() };
    let budgets = || [("acme".to_owned(), Budget { limits, window: Window::Total })].into();
    let of = |agent| Begin { account: Some("acme/sales".into()), ..begin(agent) };
    {
        let ledger = open(dir.path());
        let host = Scripted::new(&ledger, None, &[Says::Text("one")]);
        let runs = Runs::new(host, ledger.clone());
        runs.set_budgets(budgets());
        let run = runs.begin(of(agent(&[]))).await.expect("begun");
        assert_eq!(ended(&runs, &run).await.ending().expect("over").output, "one");
        ledger.close().expect("closed");
    }
    let ledger = open(dir.path());
    let host = Scripted::new(&ledger, None, &[Says::Text("two"), Says::Text("three")]);
    let runs = Runs::new(host, ledger.clone());
    runs.set_budgets(budgets());
    let second = runs.begin(of(agent(&[]))).await.expect("begun");
    assert_eq!(ended(&runs, &second).await.ending().expect("over").output, "two");
    // 15 tokens each: the third finds nothing left.
    let third = runs.begin(of(agent(&[]))).await.expect("begun");
    let state = ended(&runs, &third).await;
    assert!(
        state.pause().expect("paused").1.contains("the account acme has 30 tokens"),
        "{:?}",
        state.pause()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_a_lost_node_had_open_costs_what_was_reserved() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = {
        let ledger = open(dir.path());
        let host = Scripted::new(&ledger, None, &[Says::Never]);
        let runs = Runs::new(host, ledger.clone());
        let run = runs.begin(begin(agent(&[]))).await.expect("begun");
        until("it asks", async || {
            ledger.flush().await.expect("flushed");
            load(&ledger.reader(), &run).expect("readable").len() == 2
        })
        .await;
        ledger.close().expect("closed");
        run
    };
    let ledger = open(dir.path());
    let host = Scripted::new(&ledger, None, &[Says::Text("done")]);
    let runs = Runs::new(host, ledger.clone());
    runs.resume(&run).await.expect("taken up");
    ended(&runs, &run).await;
    // 2 reserved and lost, 15 used.
    assert_eq!(runs.left(&run).expect("open").spent.tokens, 17);
    replays(&ledger, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_in_order_leaves_the_run_to_be_taken_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = {
        let ledger = open(dir.path());
        let host = Scripted::new(&ledger, None, &[Says::Calls(vec![("look", "{}")]), Says::Never]);
        let runs = Runs::new(host, ledger.clone());
        let run = runs.begin(begin(agent(&[tool("look", Class::Read)]))).await.expect("begun");
        until("it asks again", async || {
            ledger.flush().await.expect("flushed");
            let facts = load(&ledger.reader(), &run).expect("readable");
            facts.iter().filter(|f| matches!(f.what, What::Asked { .. })).count() == 2
        })
        .await;
        let drained = tokio::time::timeout(std::time::Duration::from_millis(200), runs.drain()).await;
        assert!(drained.is_err(), "an answer is coming in");
        assert!(matches!(runs.begin(begin(agent(&[]))).await, Err(StartError::Draining)));
        ledger.close().expect("closed");
        run
    };
    let ledger = open(dir.path());
    let host = Scripted::new(&ledger, None, &[Says::Text("seen")]);
    let runs = Runs::new(host, ledger.clone());
    runs.resume(&run).await.expect("taken up");
    assert_eq!(ended(&runs, &run).await.ending().expect("over").output, "seen");
    replays(&ledger, &run);
}
