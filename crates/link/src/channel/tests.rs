//! One legacy server on one pipe, several clients: who is asked, who waits, and who never notices. Time is the test's.

use std::time::Duration;

use cella_mcp::{Revision, raw_json};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::*;
use crate::{Deadlines, EraPreference, Link, LinkEvent, LinkOptions, Root, Wire};
use cella_transport::{AskKey, Caller, Exchange, Scope, Step};

/// Long enough for everything that does not wait for a turn.
const SOON: Duration = Duration::from_millis(20);

/// The server's end of the pipe.
struct Server {
    lines: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
    out: WriteHalf<DuplexStream>,
    events: mpsc::Receiver<LinkEvent>,
}

fn options() -> LinkOptions {
    let deadlines =
        Deadlines { idle: Duration::from_secs(120), total: Duration::from_secs(900), ..Deadlines::default() };
    LinkOptions { era: EraPreference::Legacy, deadlines, ..LinkOptions::new("s") }
}

async fn pair(options: LinkOptions) -> (Link, Server) {
    let (near, far) = duplex(1 << 16);
    let (stdout, stdin) = split(near);
    let (input, out) = split(far);
    let (changes, events) = mpsc::channel(16);
    let mut server = Server { lines: BufReader::new(input).lines(), out, events };
    let wire = Wire::Stdio { stdin: Box::new(stdin), stdout: Box::new(stdout) };
    let (link, ()) = tokio::join!(Link::open(wire, options, changes), async {
        let initialize = server.next().await.unwrap();
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "s", "version": "1" } });
        server.send(json!({ "jsonrpc": "2.0", "id": initialize["id"], "result": result })).await;
        assert_eq!(server.next().await.unwrap()["method"], "notifications/initialized");
    });
    (link.unwrap(), server)
}

/// A server whose tools are known to answer without asking.
async fn tried_pair() -> (Link, Server) {
    let (link, mut server) = pair(options()).await;
    for tool in ["t", "one", "two"] {
        let first = start(&link, &client("p", Some("first")), tool);
        server.answer(tool).await;
        assert_eq!(ended(first).await, tool);
    }
    (link, server)
}

/// A server that asked within its first call.
async fn asking_pair() -> (Link, Server) {
    let (link, mut server) = pair(options()).await;
    link.take_turns();
    server.nothing_comes().await;
    (link, server)
}

fn client(principal: &str, session: Option<&str>) -> Arc<Caller> {
    Arc::new(Caller {
        principal: principal.into(),
        session: session.map(Into::into),
        revision: if session.is_some() { Revision::V2025_11_25 } else { Revision::V2026_07_28 },
        capabilities: raw_json("{\"elicitation\":{}}").unwrap(),
        ..Caller::cella()
    })
}

fn start(link: &Link, caller: &Arc<Caller>, tool: &str) -> JoinHandle<Exchange> {
    let call = Call {
        scope: Scope::All,
        id: None,
        method: "tools/call".into(),
        params: Some(raw_json(json!({ "name": tool }).to_string()).unwrap()),
        caller: Arc::clone(caller),
        param_headers: Vec::new(),
        own_headers: Vec::new(),
    };
    let link = link.clone();
    tokio::spawn(async move { link.call(call).await })
}

/// The question that a call gets, and the call.
async fn asked(call: JoinHandle<Exchange>) -> (Exchange, AskKey, String) {
    let mut exchange = call.await.unwrap();
    let (key, message) = next_question(&mut exchange).await;
    (exchange, key, message)
}

async fn next_question(exchange: &mut Exchange) -> (AskKey, String) {
    match exchange.next().await {
        Step::Ask(ask) => {
            let params: Value = serde_json::from_str(ask.params.unwrap().get()).unwrap();
            (ask.key, params["message"].as_str().unwrap().to_owned())
        }
        other => panic!("no question: {other:?}"),
    }
}

async fn ended(call: JoinHandle<Exchange>) -> String {
    end_of(call.await.unwrap()).await
}

/// What a call ends with: its answer, or the code of its fault.
async fn end_of(mut exchange: Exchange) -> String {
    match exchange.next().await {
        Step::Done(Answer { outcome: Ok(result), .. }) => {
            serde_json::from_str::<Value>(result.get()).unwrap()["said"].as_str().unwrap().to_owned()
        }
        Step::Done(Answer { outcome: Err(Failure::Fault(fault)), .. }) => {
            format!("{} in_doubt={}", fault.code, fault.in_doubt)
        }
        other => panic!("no end: {other:?}"),
    }
}

fn accept(exchange: &mut Exchange, key: AskKey, who: &str) {
    exchange.answer(key, Ok(raw_json(json!({ "who": who }).to_string()).unwrap()));
}

impl Server {
    async fn next(&mut self) -> Option<Value> {
        let line = self.lines.next_line().await.unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    async fn send(&mut self, message: Value) {
        self.out.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    /// The id of the call of this tool, which is the next to come.
    async fn called(&mut self, tool: &str) -> Value {
        let request = self.next().await.unwrap();
        assert_eq!(request["params"]["name"], tool, "{request}");
        request["id"].clone()
    }

    async fn reply(&mut self, id: Value, said: &str) {
        self.send(json!({ "jsonrpc": "2.0", "id": id, "result": { "said": said } })).await;
    }

    /// Answers the next call with its tool's name.
    async fn answer(&mut self, tool: &str) {
        let id = self.called(tool).await;
        self.reply(id, tool).await;
    }

    async fn ask(&mut self, id: u64, message: &str) {
        let params = json!({ "message": message, "requestedSchema": {} });
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params }))
            .await;
    }

    /// The answer to a question, which is the next to come.
    async fn told(&mut self, id: u64) -> Value {
        let response = self.next().await.unwrap();
        assert_eq!(response["id"], id, "{response}");
        response
    }

    async fn nothing_comes(&mut self) {
        let came = timeout(SOON, self.next()).await;
        assert!(came.is_err(), "{came:?}");
    }

    fn turns(&mut self) -> bool {
        std::iter::from_fn(|| self.events.try_recv().ok()).any(|e| matches!(e, LinkEvent::TakesTurns { .. }))
    }
}

#[tokio::test(start_paused = true)]
async fn calls_to_a_server_that_never_asks_run_side_by_side() {
    let (link, mut server) = tried_pair().await;
    let began = Instant::now();
    let calls = ["a", "b", "c"].map(|who| start(&link, &client(who, None), "t"));
    let mut ids = Vec::new();
    for _ in &calls {
        ids.push(server.called("t").await);
    }
    for id in ids {
        server.reply(id, "done").await;
    }
    for call in calls {
        assert_eq!(ended(call).await, "done");
    }
    assert!(began.elapsed() < SOON && !server.turns());
}

#[tokio::test(start_paused = true)]
async fn a_new_tool_is_tried_with_one_party_but_not_for_long() {
    let (link, mut server) = pair(options()).await;
    let began = Instant::now();
    let known = start(&link, &client("c", None), "known");
    server.answer("known").await;
    assert_eq!(ended(known).await, "known");
    let (_a, _b) = (start(&link, &client("a", None), "slow"), start(&link, &client("b", None), "other"));
    server.called("slow").await;
    let _known = start(&link, &client("c", None), "known");
    server.called("known").await;
    server.nothing_comes().await;
    server.called("other").await;
    assert!(began.elapsed() >= turns::TRIAL_LASTS && began.elapsed() < turns::TRIAL_LASTS + SOON);
}

#[tokio::test(start_paused = true)]
async fn clients_that_come_at_once_are_each_asked_their_own_question() {
    let (link, mut server) = pair(options()).await;
    let callers = [client("p", None), client("p", Some("s")), client("q", None)];
    let calls: Vec<_> =
        callers.iter().zip(["ann", "bob", "cem"]).map(|(c, who)| (who, start(&link, c, who))).collect();
    for (n, (who, call)) in (1..).zip(calls) {
        let id = server.called(who).await;
        server.nothing_comes().await;
        server.ask(n, who).await;
        let (mut exchange, key, message) = asked(call).await;
        assert_eq!(message, who);
        accept(&mut exchange, key, who);
        assert_eq!(server.told(n).await["result"]["who"], who);
        server.reply(id, who).await;
        assert_eq!(end_of(exchange).await, who);
    }
    assert!(server.turns());
}

#[tokio::test(start_paused = true)]
async fn a_question_in_the_midst_of_several_clients_waits_until_it_is_clear_whose_it_is() {
    let (link, mut server) = tried_pair().await;
    let (ann, bob) = (client("ann", None), client("bob", None));
    let (one, two) = (start(&link, &ann, "one"), start(&link, &bob, "two"));
    let (first, second) = (server.called("one").await, server.called("two").await);
    server.ask(1, "for bob").await;
    server.nothing_comes().await;
    let late = start(&link, &ann, "late");
    server.nothing_comes().await;
    server.reply(first, "one").await;
    assert_eq!(ended(one).await, "one");
    let (mut exchange, key, message) = asked(two).await;
    assert_eq!(message, "for bob");
    accept(&mut exchange, key, "bob");
    server.told(1).await;
    server.reply(second, "two").await;
    server.answer("late").await;
    assert_eq!((end_of(exchange).await, ended(late).await), ("two".into(), "late".into()));
    assert!(server.turns());
}

#[tokio::test(start_paused = true)]
async fn when_every_call_asks_at_once_one_question_is_refused_and_the_others_are_put() {
    let (link, mut server) = tried_pair().await;
    let (one, two) = (start(&link, &client("ann", None), "one"), start(&link, &client("bob", None), "two"));
    let (first, second) = (server.called("one").await, server.called("two").await);
    server.ask(1, "one").await;
    server.ask(2, "two").await;
    assert_eq!(server.told(1).await["error"]["code"], -32600);
    server.reply(first, "gave up").await;
    assert_eq!(ended(one).await, "gave up");
    let (mut exchange, key, message) = asked(two).await;
    assert_eq!(message, "two");
    accept(&mut exchange, key, "bob");
    server.told(2).await;
    server.reply(second, "two").await;
    assert_eq!(end_of(exchange).await, "two");
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_question_holds_up_other_principals_only() {
    let (link, mut server) = asking_pair().await;
    let (ann, also_ann, bob) = (client("ann", None), client("ann", None), client("bob", None));
    let one = start(&link, &ann, "one");
    let first = server.called("one").await;
    server.ask(1, "one").await;
    let (mut exchange, key, _) = asked(one).await;
    let (other, two) = (start(&link, &bob, "other"), start(&link, &also_ann, "two"));
    let second = server.called("two").await;
    server.ask(2, "two").await;
    let (mut another, another_key, message) = asked(two).await;
    assert_eq!(message, "two");

    // an answer waits until its call may run on
    let three = start(&link, &also_ann, "three");
    let third = server.called("three").await;
    accept(&mut exchange, key, "ann");
    server.nothing_comes().await;
    server.reply(third, "three").await;
    assert_eq!(ended(three).await, "three");
    server.told(1).await;
    server.reply(first, "one").await;
    accept(&mut another, another_key, "ann");
    server.told(2).await;
    server.reply(second, "two").await;
    assert_eq!((end_of(exchange).await, end_of(another).await), ("one".into(), "two".into()));
    server.answer("other").await;
    assert_eq!(ended(other).await, "other");
}

#[tokio::test(start_paused = true)]
async fn a_dialog_whose_client_is_silent_gives_way_to_who_waits() {
    let (link, mut server) = asking_pair().await;
    let one = start(&link, &client("ann", None), "one");
    server.called("one").await;
    server.ask(1, "one").await;
    let (mut exchange, key, _) = asked(one).await;
    // nobody waits: nothing happens to it
    tokio::time::advance(Duration::from_secs(300)).await;
    server.nothing_comes().await;
    let (began, waiting) = (Instant::now(), start(&link, &client("bob", None), "two"));
    assert!(server.told(1).await["error"].is_object());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(server.next().await.unwrap()["method"], "notifications/cancelled");
    server.answer("two").await;
    assert_eq!(ended(waiting).await, "two");
    accept(&mut exchange, key, "ann");
    assert_eq!(end_of(exchange).await, "CE3038 in_doubt=true");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_shows_itself_keeps_its_dialog_but_not_for_ever() {
    let (link, mut server) = asking_pair().await;
    let ann = client("ann", None);
    let one = start(&link, &ann, "one");
    server.called("one").await;
    server.ask(1, "one").await;
    let (exchange, ..) = asked(one).await;
    let began = Instant::now();
    let waiting = start(&link, &client("bob", None), "two");
    for _ in 0..2 {
        assert!(timeout(turns::DIALOG_SILENT - SOON, server.next()).await.is_err());
        let look = start(&link, &ann, "look");
        server.answer("look").await;
        assert_eq!(ended(look).await, "look");
    }
    assert!(server.told(1).await["error"].is_object());
    assert_eq!(began.elapsed().as_secs(), options().deadlines.idle.as_secs());
    assert_eq!(server.next().await.unwrap()["method"], "notifications/cancelled");
    server.answer("two").await;
    assert_eq!(
        (ended(waiting).await.as_str(), end_of(exchange).await.as_str()),
        ("two", "CE3038 in_doubt=true")
    );
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_is_told_and_nothing_was_sent() {
    let (link, mut server) = asking_pair().await;
    let one = start(&link, &client("ann", None), "one");
    let first = server.called("one").await;
    server.ask(0, "one").await;
    let (mut exchange, mut key, _) = asked(one).await;
    let waiting = start(&link, &client("bob", None), "two");
    let given_up = start(&link, &client("cem", None), "three");
    server.nothing_comes().await;
    given_up.abort();
    let began = Instant::now();
    // a client that answers, and a server that asks again and again
    for round in 1.. {
        tokio::time::advance(turns::DIALOG_SILENT / 2).await;
        if waiting.is_finished() {
            break;
        }
        accept(&mut exchange, key, "ann");
        server.told(round - 1).await;
        server.ask(round, "one").await;
        (key, _) = next_question(&mut exchange).await;
    }
    assert_eq!(ended(waiting).await, "CE3036 in_doubt=false");
    assert!(began.elapsed() >= options().deadlines.total - turns::DIALOG_SILENT);
    server.reply(first, "one").await;
    assert_eq!(end_of(exchange).await, "one");
    assert!(server.next().await.unwrap()["error"].is_object(), "the open question has an end");
    server.nothing_comes().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_of_a_cancelled_call_is_put_to_nobody() {
    let (link, mut server) = asking_pair().await;
    let one = start(&link, &client("p", None), "one");
    let first = server.called("one").await;
    let two = start(&link, &client("p", None), "two");
    server.nothing_comes().await;
    one.abort();
    assert_eq!(server.next().await.unwrap()["method"], "notifications/cancelled");
    server.ask(1, "one").await;
    assert!(server.told(1).await["error"].is_object());
    server.nothing_comes().await;
    // its end is seen: nobody waits any longer
    server.reply(first, "late").await;
    let second = timeout(SOON, server.called("two")).await.unwrap();
    server.reply(second, "two").await;
    assert_eq!(ended(two).await, "two");
}

#[tokio::test(start_paused = true)]
async fn questions_of_one_client_with_several_calls_are_all_answered() {
    let (link, mut server) = asking_pair().await;
    let ann = client("p", Some("s"));
    let (one, two) = (start(&link, &ann, "one"), start(&link, &ann, "two"));
    let (first, second) = (server.called("one").await, server.called("two").await);
    server.ask(1, "of one").await;
    server.ask(2, "of two").await;
    let (mut crossed, its_key, message) = asked(two).await;
    assert_eq!(message, "of one");
    let (mut other, other_key, _) = asked(one).await;
    accept(&mut crossed, its_key, "ann");
    server.told(1).await;
    // the call under whose name the other question was put is over, and that question still has to be answered
    server.reply(first, "one").await;
    accept(&mut other, other_key, "ann");
    assert_eq!(server.told(2).await["result"]["who"], "ann");
    server.reply(second, "two").await;
    assert_eq!((end_of(other).await, end_of(crossed).await), ("one".into(), "two".into()));
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_is_asked_for_the_tasks_that_are_watched() {
    let (near, far) = duplex(1 << 16);
    let ((stdout, stdin), (input, out)) = (split(near), split(far));
    let (changes, events) = mpsc::channel(16);
    let mut server = Server { lines: BufReader::new(input).lines(), out, events };
    let wire = Wire::Stdio { stdin: Box::new(stdin), stdout: Box::new(stdout) };
    let options = LinkOptions { era: EraPreference::Modern, ..options() };
    let (link, ()) = tokio::join!(Link::open(wire, options, changes), async {
        let discover = server.next().await.unwrap();
        let capabilities = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        let result = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": capabilities });
        server.send(json!({ "jsonrpc": "2.0", "id": discover["id"], "result": result })).await;
    });
    let link = link.unwrap();
    link.watch_task("t1").unwrap();
    let listen = server.next().await.unwrap();
    assert_eq!(listen["params"]["notifications"], json!({ "taskIds": ["t1"] }));
    let tag = json!({ "io.modelcontextprotocol/subscriptionId": listen["id"] });
    let granted = json!({ "notifications": { "taskIds": ["t1"] }, "_meta": tag });
    let acknowledged = "notifications/subscriptions/acknowledged";
    server.send(json!({ "jsonrpc": "2.0", "method": acknowledged, "params": granted })).await;
    let state = json!({ "taskId": "t1", "status": "completed", "_meta": tag });
    server.send(json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": state })).await;
    let Some(LinkEvent::Other(note)) = server.events.recv().await else { panic!("nothing is told") };
    assert!(note.params.unwrap().get().contains("completed"));
}

#[tokio::test(start_paused = true)]
async fn directories_asked_for_at_the_start_or_declared_do_not_make_calls_take_turns() {
    for roots in [Vec::new(), vec![Root { uri: "file:///w".into(), name: None }]] {
        let declared = !roots.is_empty();
        let (link, mut server) = pair(LinkOptions { roots, ..options() }).await;
        let roots_list = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "roots/list" });
        server.send(roots_list(1)).await;
        assert!(server.told(1).await["result"]["roots"].is_array());
        let one = start(&link, &client("a", None), "one");
        let first = server.called("one").await;
        server.send(roots_list(2)).await;
        if declared {
            assert_eq!(server.told(2).await["result"]["roots"][0]["uri"], "file:///w");
        } else {
            // the call's client did not declare that it can be asked for directories: its call is over
            assert!(server.told(2).await["error"].is_object());
        }
        assert_eq!(server.turns(), !declared);
        server.reply(first, "one").await;
        drop(one);
    }
}
