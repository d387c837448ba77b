use std::{sync::Arc, time::Duration};

use cella_door::{DoorOptions, Doors};
use cella_transport::Change;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf},
    task::JoinHandle,
};

use super::{
    scripted::{Scripted, options, within},
    wire::{Client, Modern},
};

/// A client on a pipe.
struct Pipe {
    service: Arc<Scripted>,
    doors: Doors<Scripted>,
    lines: BufReader<ReadHalf<DuplexStream>>,
    input: WriteHalf<DuplexStream>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Pipe {
    fn open() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut DoorOptions)) -> Self {
        let service = Arc::new(Scripted::new());
        let mut options = options();
        options.limits.linger = Duration::from_millis(100);
        change(&mut options);
        let doors = Doors::new(service.clone(), options);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        let serving = doors.clone();
        let serving =
            tokio::spawn(async move { serving.serve_stdio(reader, writer, "local:stdio".into()).await });
        let (lines, input) = tokio::io::split(ours);
        Self { service, doors, lines: BufReader::new(lines), input, serving }
    }

    async fn say(&mut self, message: Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        within(self.lines.read_line(&mut line)).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"))
    }

    async fn initialize(&mut self) {
        self.say(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}}}))
            .await;
        assert_eq!(self.hear().await["result"]["protocolVersion"], "2025-11-25");
    }
}

#[tokio::test]
async fn both_eras_share_one_pipe() {
    let mut pipe = Pipe::open();
    pipe.say(Modern::new(1, "server/discover", json!({})).body).await;
    assert_eq!(pipe.hear().await["result"]["supportedVersions"][0], "2026-07-28");
    pipe.say(Client::call(2, "echo")).await;
    assert_eq!(pipe.hear().await["error"]["data"]["code"], "CE3058");
    pipe.initialize().await;
    pipe.say(Client::call(3, "echo")).await;
    assert!(pipe.hear().await["result"].get("resultType").is_none());
    pipe.say(Modern::call(4, "echo").body).await;
    assert_eq!(pipe.hear().await["result"]["resultType"], "complete");
    pipe.say(Modern::new(5, "ping", json!({})).body).await;
    assert_eq!(pipe.hear().await["error"]["code"], -32601);
}

#[tokio::test]
async fn requests_run_beside_each_other_and_can_be_cancelled() {
    let mut pipe = Pipe::open();
    pipe.initialize().await;
    pipe.say(Client::call(1, "gate")).await;
    pipe.say(Modern::call(2, "gate").body).await;
    pipe.say(Client::call(3, "echo")).await;
    assert_eq!(pipe.hear().await["id"], 3);
    for id in [1, 2] {
        pipe.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}))
            .await;
    }
    pipe.service.cancellations(2).await;
    pipe.say(Client::call(4, "echo")).await;
    assert_eq!(pipe.hear().await["id"], 4);
}

#[tokio::test]
async fn an_id_in_use_is_refused_alike_in_both_eras() {
    let mut pipe = Pipe::open();
    pipe.initialize().await;
    pipe.say(Client::call(1, "gate")).await;
    let mut refusals = Vec::new();
    for again in [Client::call(1, "echo"), Modern::call(1, "echo").body] {
        pipe.say(again).await;
        refusals.push(pipe.hear().await["error"].clone());
    }
    assert_eq!((&refusals[0]["data"]["code"], &refusals[0]), (&json!("CE3068"), &refusals[1]));
}

#[tokio::test]
async fn a_cancellation_on_the_heels_of_its_request_is_not_missed() {
    let mut pipe = Pipe::open();
    let call = Modern::call(1, "gate").body;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    pipe.input.write_all(format!("{call}\n{cancel}\n").as_bytes()).await.unwrap();
    pipe.say(Modern::call(2, "echo").body).await;
    assert_eq!(pipe.hear().await["id"], 2);
    pipe.service.quiet().await;
}

#[tokio::test]
async fn questions_go_the_way_of_each_era() {
    let mut pipe = Pipe::open();
    pipe.initialize().await;
    pipe.say(Client::call(1, "ask")).await;
    let question = pipe.hear().await;
    assert_eq!(question["method"], "elicitation/create");
    pipe.say(json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "cancel"}})).await;
    assert_eq!(pipe.hear().await["params"]["progressToken"], "p1");
    assert_eq!(pipe.hear().await["result"]["answers"][0]["action"], "cancel");
    pipe.say(Modern::call(2, "ask").body).await;
    let asked = pipe.hear().await;
    let keys: Vec<_> = asked["result"]["inputRequests"].as_object().unwrap().keys().cloned().collect();
    let retry = Modern::call(3, "ask")
        .param("requestState", asked["result"]["requestState"].clone())
        .param("inputResponses", json!({&keys[0]: {"action": "accept"}}));
    pipe.say(retry.body).await;
    assert_eq!(pipe.hear().await["result"]["answers"][0]["action"], "accept");
}

#[tokio::test]
async fn states_of_tasks_reach_who_listens_for_them() {
    let mut pipe = Pipe::open();
    let filter = json!({"notifications": {"taskIds": ["mine-1", "another's"]}});
    pipe.say(Modern::new(7, "subscriptions/listen", filter).body).await;
    let granted = pipe.hear().await["params"]["notifications"].clone();
    assert_eq!(granted, json!({"taskIds": ["mine-1"]}));
    pipe.service.task(r#"{"taskId":"mine-1","status":"completed"}"#).await;
    let state = pipe.hear().await;
    assert_eq!(
        (&state["method"], &state["params"]["status"]),
        (&json!("notifications/tasks"), &json!("completed"))
    );
    assert_eq!(state["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
}

#[tokio::test]
async fn changes_reach_both_eras_and_a_drain_says_goodbye() {
    let mut pipe = Pipe::open();
    let filter = json!({"notifications": {"toolsListChanged": true}});
    pipe.say(Modern::new(7, "subscriptions/listen", filter.clone()).body).await;
    assert_eq!(pipe.hear().await["method"], "notifications/subscriptions/acknowledged");
    pipe.service.change(1, Change::Tools).await;
    assert_eq!(pipe.hear().await["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    pipe.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    pipe.initialize().await;
    pipe.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    while pipe.service.open_watches() != 1 {
        tokio::task::yield_now().await;
    }
    pipe.service.change(1, Change::Resources).await;
    assert_eq!(pipe.hear().await["method"], "notifications/resources/list_changed");
    pipe.say(Modern::new(8, "subscriptions/listen", filter).body).await;
    pipe.hear().await;
    let doors = pipe.doors.clone();
    let drain = tokio::spawn(async move { doors.drain(Duration::from_secs(5)).await });
    let end = pipe.hear().await;
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!(8), &json!("complete")));
    assert_eq!(pipe.hear().await["method"], "notifications/cancelled");
    within(pipe.serving).await.unwrap().unwrap();
    within(drain).await.unwrap();
}

#[tokio::test]
async fn junk_is_answered_and_skipped() {
    let mut pipe = Pipe::open();
    for junk in ["{", "[]", "[1]", "\u{1}", "\"x\"", "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}"] {
        pipe.input.write_all(format!("{junk}\n").as_bytes()).await.unwrap();
        assert!(pipe.hear().await["error"]["code"].is_i64(), "{junk}");
    }
    pipe.input.write_all(b"\xff\xfe\n").await.unwrap();
    assert_eq!(pipe.hear().await["error"]["code"], -32700);
    pipe.say(Modern::call(2, "echo").body).await;
    assert_eq!(pipe.hear().await["id"], 2);
}

#[tokio::test]
async fn a_closed_pipe_ends_the_service_and_its_calls() {
    let mut pipe = Pipe::open();
    pipe.say(Modern::call(1, "echo").body).await;
    pipe.input.shutdown().await.unwrap();
    assert_eq!(pipe.hear().await["id"], 1);
    within(pipe.serving).await.unwrap().unwrap();
    let mut pipe = Pipe::open();
    pipe.say(Modern::call(1, "gate").body).await;
    pipe.service.beginnings(1).await;
    let Pipe { service, lines, input, serving, .. } = pipe;
    drop((lines, input));
    within(serving).await.unwrap().ok();
    service.cancellations(1).await;
}

#[tokio::test]
async fn a_subscription_that_takes_its_time_keeps_nothing_waiting() {
    let mut pipe = Pipe::open();
    pipe.initialize().await;
    let subscribe = |id: i64, uri: &str| json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe", "params": {"uri": uri}});
    pipe.say(subscribe(1, "test://slow")).await;
    pipe.say(Client::call(2, "echo")).await;
    assert_eq!(pipe.hear().await["id"], 2);
    pipe.say(subscribe(3, "file:///no")).await;
    assert_eq!(pipe.hear().await["error"]["data"]["code"], "CE3071");
    pipe.service.gate.send_replace(true);
    assert_eq!(pipe.hear().await, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
}

#[tokio::test]
async fn a_parked_call_of_a_pipe_is_cancelled_in_time_too() {
    let mut pipe = Pipe::with(|o| {
        o.limits.parked_age = Duration::from_millis(10);
        o.limits.sweep = Duration::from_millis(1);
    });
    pipe.say(Modern::call(1, "ask").body).await;
    assert_eq!(pipe.hear().await["result"]["resultType"], "input_required");
    pipe.service.cancellations(1).await;
}
