use std::time::Duration;

use serde_json::{Value, json};

use super::{
    scripted::{House, within},
    wire::{Client, Http},
};
use cella_transport::Change;

const NEW: &str = "2025-11-25";

#[tokio::test]
async fn every_revision_is_negotiated_and_an_unknown_one_becomes_the_newest() {
    let house = House::open().await;
    for (asked, got) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        (NEW, NEW),
        ("2026-07-28", NEW),
        ("1.0", NEW),
    ] {
        assert_eq!(Client::initialize(house.address, asked).await.revision, got);
    }
}

#[tokio::test]
async fn a_call_is_one_json_answer_without_marks_of_the_other_era() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let reply = client.ask(Client::call(4, "modern-echo")).await;
    assert_eq!(reply.head.header("content-type"), Some("application/json"));
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.contains(r#""result":{"x":1.0,"content":[],"_meta":{"a":1}}"#), "{body}");
    let ping = client.ask(json!({"jsonrpc": "2.0", "id": "p", "method": "ping"})).await;
    assert_eq!(ping.json(), json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
    let note = client.ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!((note.status(), note.body.len()), (202, 0));
    assert_eq!(client.ask(Client::call(5, "refused")).await.json()["result"]["isError"], true);
    assert_eq!(client.ask(Client::call(6, "peer-error")).await.code(), -32002);
}

#[tokio::test]
async fn a_session_belongs_to_its_principal_and_endpoint_and_ends_with_delete() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let body = Client::call(1, "echo").to_string();
    let mut http = house.connect().await;
    let mut headers = client.headers().to_vec();
    headers.push(("authorization", "Bearer other"));
    assert_eq!(http.ask("POST", "/mcp", &headers, &body).await.status(), 404);
    assert_eq!(http.ask("POST", "/mcp/servers/one", &client.headers(), &body).await.status(), 404);
    assert_eq!(http.ask("DELETE", "/mcp", &headers, "").await.status(), 404);
    assert_eq!(http.ask("DELETE", "/mcp", &client.headers(), "").await.status(), 200);
    assert_eq!(client.ask(Client::call(1, "echo")).await.status(), 404);
    assert_eq!(http.ask("DELETE", "/mcp", &client.headers(), "").await.status(), 404);
}

#[tokio::test]
async fn a_session_outlives_a_restart_of_the_node_with_the_same_key() {
    let house = House::open().await;
    let client = Client::initialize(house.address, "2025-06-18").await;
    assert!(client.session.len() <= 1024);
    let restarted = House::open().await;
    let client = Client { address: restarted.address, ..client };
    assert_eq!(client.ask(Client::call(1, "echo")).await.status(), 200);
    {
        let seen = restarted.service.seen.lock().unwrap();
        assert_eq!(seen[0].caller.revision.as_str(), "2025-06-18");
        assert_eq!(seen[0].caller.capabilities.get(), r#"{"elicitation":{}}"#);
        assert_eq!(seen[0].caller.info.as_ref().unwrap().get(), r#"{"name":"t","version":"1"}"#);
    }
    // it may have missed changes, so it is told to look
    assert_eq!(client.listen(None).await.message().await["method"], "notifications/tools/list_changed");
    let other_key = House::with(|o| o.key = [8; 32]).await;
    let client = Client { address: other_key.address, ..client };
    assert_eq!(client.ask(Client::call(1, "echo")).await.status(), 404);
}

#[tokio::test]
async fn idle_sessions_leave_memory_and_come_back_unseen() {
    let house = House::with(|o| {
        o.limits.session_idle_sealed = Duration::ZERO;
        o.limits.sweep = Duration::from_millis(1);
    })
    .await;
    let client = Client::initialize(house.address, NEW).await;
    client.ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    within(async {
        while house.service.open_watches() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(client.ask(Client::call(1, "echo")).await.status(), 200);
}

#[tokio::test]
async fn a_full_table_makes_room_for_new_sessions() {
    let house = House::with(|o| o.limits.sessions = 3).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Client::initialize(house.address, NEW).await);
    }
    for client in clients {
        assert_eq!(client.ask(Client::call(1, "echo")).await.status(), 200);
    }
}

#[tokio::test]
async fn a_stream_is_primed_only_for_those_who_understand_it() {
    let house = House::open().await;
    for (revision, primed) in [(NEW, true), ("2025-06-18", false), ("2024-11-05", false)] {
        let client = Client::initialize(house.address, revision).await;
        let mut events = client.events(Client::call(1, "progress")).await;
        let first = events.next().await.unwrap();
        assert_eq!((first.data.is_empty(), first.retry.is_some()), (primed, primed), "{revision}");
        assert!(first.id.is_some());
    }
}

#[tokio::test]
async fn questions_are_requests_on_the_stream_and_answers_are_posts() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "ask")).await;
    let question = events.message().await;
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}});
    assert_eq!(client.ask(answer).await.status(), 202);
    assert_eq!(events.message().await["params"]["progressToken"], "p1");
    assert_eq!(events.message().await["result"]["answers"], json!([{"action": "accept"}]));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_lets_the_server_know() {
    let house = House::open().await;
    // elicitation came with 2025-06-18
    let client = Client::initialize(house.address, "2025-03-26").await;
    let mut events = client.events(Client::call(1, "ask")).await;
    events.message().await;
    assert_eq!(events.message().await["result"]["answers"], json!([{"error": -32601}]));
}

#[tokio::test]
async fn a_modern_servers_questions_are_asked_and_the_call_is_made_again() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "modern-input")).await;
    let question = events.message().await;
    assert_eq!(
        (&question["method"], &question["params"]["message"]),
        (&json!("elicitation/create"), &json!("name?"))
    );
    client.ask(json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}})).await;
    let answer = events.message().await;
    let expected = json!(["its \"own\"", {"who": {"action": "decline"}}]);
    assert_eq!(answer["result"]["structuredContent"]["got"], expected);
    assert!(answer["result"].get("resultType").is_none());
    assert_eq!(*house.service.begun.borrow(), 2);
    let endless = client.ask(Client::call(2, "modern-endless")).await;
    assert_eq!(endless.ce(), "CE3065");
}

#[tokio::test]
async fn a_lost_stream_is_resumed_where_it_broke() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "steps")).await;
    let primed = events.next().await.unwrap();
    let first = events.next().await.unwrap();
    assert!(first.data.contains("progress"));
    drop(events);
    house.service.gate.send_replace(true);
    let mut rest = client.listen(first.id.as_deref()).await;
    assert_eq!(rest.message().await["params"]["progress"], 2);
    assert_eq!(rest.message().await["params"]["progress"], 3);
    assert_eq!(rest.message().await["id"], 1);
    assert!(rest.next().await.is_none());
    // and once more, from the beginning, after the end
    let mut all = client.listen(primed.id.as_deref()).await;
    assert_eq!(all.message().await["params"]["progress"], 1);
    assert_eq!(*house.service.cancelled.borrow(), 0);
}

#[tokio::test]
async fn a_stream_nobody_comes_back_to_ends_its_call() {
    let house = House::with(|o| {
        o.limits.resume_within = Duration::from_millis(5);
        o.limits.stream_after = Duration::ZERO;
    })
    .await;
    let client = Client::initialize(house.address, NEW).await;
    let events = client.events(Client::call(1, "gate")).await;
    drop(events);
    house.service.cancellations(1).await;
}

#[tokio::test]
async fn a_lost_connection_is_no_cancellation() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut http = Http::connect(house.address).await;
    http.request("POST", "/mcp", &client.headers(), &Client::call(1, "gate").to_string()).await;
    house.service.beginnings(1).await;
    drop(http);
    // a second request of the same session is served meanwhile, so the first has long lost its client
    assert_eq!(client.ask(Client::call(2, "echo")).await.status(), 200);
    house.service.gate.send_replace(true);
    house.service.quiet().await;
    assert_eq!(*house.service.cancelled.borrow(), 0);
}

#[tokio::test]
async fn cancelling_drops_the_call_and_nothing_more_is_said() {
    let house = House::with(|o| o.limits.stream_after = Duration::ZERO).await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "gate")).await;
    house.service.beginnings(1).await;
    let cancel = |id: Value| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    assert_eq!(client.ask(cancel(json!("1"))).await.status(), 202);
    assert_eq!(client.ask(cancel(json!(1))).await.status(), 202);
    house.service.cancellations(1).await;
    assert!(events.next().await.unwrap().data.is_empty());
    assert!(events.next().await.is_none());
    assert_eq!(client.ask(cancel(json!(1))).await.status(), 202);
}

#[tokio::test]
async fn an_id_in_use_is_refused() {
    let house = House::with(|o| o.limits.stream_after = Duration::ZERO).await;
    let client = Client::initialize(house.address, NEW).await;
    let _events = client.events(Client::call(1, "gate")).await;
    assert_eq!(client.ask(Client::call(1, "echo")).await.ce(), "CE3068");
}

#[tokio::test]
async fn changes_wait_for_the_stream_and_resume_with_it() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    client.ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    house.service.change(1, Change::Tools).await;
    let mut events = client.listen(None).await;
    assert_eq!(events.head.header("mcp-session-id"), Some(client.session.as_str()));
    let event = loop {
        let event = events.next().await.unwrap();
        if !event.data.is_empty() {
            break event;
        }
    };
    assert!(event.data.contains("notifications/tools/list_changed"));
    drop(events);
    house.service.change(1, Change::Resources).await;
    let mut again = client.listen(event.id.as_deref()).await;
    assert_eq!(again.message().await["method"], "notifications/resources/list_changed");
}

#[tokio::test]
async fn subscriptions_deliver_updates_until_they_are_undone() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let subscribe = |id: i64, method: &str, uri: &str| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"uri": uri}});
    let reply = client.ask(subscribe(1, "resources/subscribe", "test://a")).await;
    assert_eq!(reply.json()["result"], json!({}));
    let reply = client.ask(subscribe(2, "resources/subscribe", "file:///b")).await;
    assert_eq!(reply.ce(), "CE3071");
    let mut events = client.listen(None).await;
    house.service.change(1, Change::Updated { uri: "test://a".into(), params: None }).await;
    let update = events.message().await;
    assert_eq!(update["params"]["uri"], "test://a");
    let reply = client.ask(subscribe(3, "resources/unsubscribe", "test://a")).await;
    assert_eq!(reply.json()["result"], json!({}));
}

#[tokio::test]
async fn a_level_filters_log_messages() {
    let house = House::open().await;
    let client = Client::initialize(house.address, "2025-06-18").await;
    let set = |level: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": level}});
    assert_eq!(client.ask(set("loud")).await.code(), -32602);
    let mut events = client.events(Client::call(2, "log")).await;
    assert_eq!(events.message().await["params"]["level"], "debug");
    assert_eq!(client.ask(set("warning")).await.json()["result"], json!({}));
    let mut events = client.events(Client::call(3, "log")).await;
    assert_eq!(events.message().await["params"]["level"], "warning");
}

#[tokio::test]
async fn batches_exist_in_one_revision() {
    let house = House::open().await;
    let batch = json!([Client::call(1, "echo"), {"jsonrpc": "2.0", "method": "notifications/x"}, 7, Client::call(2, "progress")]);
    let client = Client::initialize(house.address, NEW).await;
    assert_eq!(client.ask(batch.clone()).await.code(), -32600);
    let client = Client::initialize(house.address, "2025-03-26").await;
    let mut events = client.events(batch).await;
    let mut ids = Vec::new();
    while let Some(event) = events.next().await {
        let message: Value = serde_json::from_str(&event.data).unwrap();
        if message.get("method").is_none() {
            ids.push(message["id"].clone());
        }
    }
    ids.sort_by_key(ToString::to_string);
    assert_eq!(ids, [json!(1), json!(2), json!(null)]);
    let notes = json!([{"jsonrpc": "2.0", "method": "notifications/x"}]);
    assert_eq!(client.ask(notes).await.status(), 202);
    // whoever takes no stream is refused before anything is done
    let begun = *house.service.begun.borrow();
    let mut headers = client.headers().to_vec();
    headers.push(("accept", "application/json"));
    let batch = json!([Client::call(3, "echo")]).to_string();
    let refused = house.connect().await.ask("POST", "/mcp", &headers, &batch).await;
    assert_eq!((refused.status(), refused.ce()), (406, "CE3055".into()));
    assert_eq!(*house.service.begun.borrow(), begun);
}

#[tokio::test]
async fn the_old_transport_works_on_its_own_path_and_on_the_new_one() {
    let house = House::open().await;
    for path in ["/sse", "/servers/one/sse", "/mcp"] {
        let mut events =
            house.connect().await.events("GET", path, &[("accept", "text/event-stream")], "").await;
        let endpoint = events.next().await.unwrap();
        assert_eq!(endpoint.kind, "endpoint");
        let post = async |body: Value| {
            let reply = house.connect().await.ask("POST", &endpoint.data, &[], &body.to_string()).await;
            assert_eq!(reply.status(), 202, "{reply:?}");
        };
        post(Client::call(9, "echo")).await;
        assert_eq!(events.message().await["error"]["data"]["code"], "CE3058");
        let init = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2024-11-05", "capabilities": {"roots": {}}, "clientInfo": {"name": "old", "version": "0"}}});
        post(init).await;
        assert_eq!(events.message().await["result"]["protocolVersion"], "2024-11-05");
        post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        post(Client::call(1, "progress")).await;
        assert_eq!(events.message().await["params"]["progress"], 1);
        let reply = house
            .connect()
            .await
            .ask("POST", &endpoint.data, &[("authorization", "Bearer other")], "{}")
            .await;
        assert_eq!(reply.status(), 404);
        drop(events);
        within(async {
            while house.connect().await.ask("POST", &endpoint.data, &[], "{}").await.status() != 404 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
