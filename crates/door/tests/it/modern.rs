use serde_json::json;

use super::{
    scripted::{House, within},
    wire::Modern,
};
use cella_transport::Change;

#[tokio::test]
async fn a_plain_call_is_one_json_answer_in_the_callers_era() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let reply = Modern::call(7, "echo").ask(&mut http).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.head.header("content-type"), Some("application/json"));
    let result = &reply.json()["result"];
    assert_eq!(reply.json()["id"], 7);
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "scripted");
    // on the same connection: what is modern already passes byte for byte
    let reply = Modern::call(8, "modern-echo").ask(&mut http).await;
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.contains(r#"{"x":1.0,"resultType":"complete","content":[],"_meta":{"a":1}}"#), "{body}");
}

#[tokio::test]
async fn discover_is_answered_by_the_door() {
    let house = House::open().await;
    let reply = Modern::new(1, "server/discover", json!({})).ask(&mut house.connect().await).await;
    let result = &reply.json()["result"];
    assert_eq!(result["supportedVersions"][0], "2026-07-28");
    assert_eq!(result["cacheScope"], "private");
    assert!(result["ttlMs"].is_u64() && result["capabilities"]["tools"].is_object());
    assert_eq!(*house.service.begun.borrow(), 0);
}

#[tokio::test]
async fn headers_that_differ_from_the_body_are_refused_before_anything_else() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let call = || Modern::call(1, "echo");
    for wrong in [
        call().header("mcp-method", "tools/list"),
        call().header("mcp-name", "other"),
        call().header("mcp-name", "=?base64?!!?="),
        call().header("mcp-name", "-"),
        call().header("mcp-protocol-version", "2025-11-25"),
        call().header("mcp-protocol-version", "-"),
        Modern::call(1, "mirrored").param("arguments", json!({"region": "eu"})),
        Modern::call(1, "mirrored")
            .param("arguments", json!({"region": "eu"}))
            .header("mcp-param-region", "us"),
        Modern::call(1, "mirrored").header("mcp-param-region", "us"),
    ] {
        let reply = wrong.ask(&mut http).await;
        assert_eq!((reply.status(), reply.code()), (400, -32020), "{:?}", wrong.headers);
        assert_eq!(reply.json()["id"], 1);
    }
    assert_eq!(call().header("mcp-name", "=?base64?ZWNobw==?=").ask(&mut http).await.status(), 200);
    assert_eq!(*house.service.begun.borrow(), 1);
}

#[tokio::test]
async fn unknown_parameter_headers_are_forwarded() {
    let house = House::open().await;
    let call = Modern::call(1, "echo").header("mcp-param-x", "=?base64?eA==?=");
    assert_eq!(call.ask(&mut house.connect().await).await.status(), 200);
    let seen = house.service.seen.lock().unwrap();
    assert_eq!(seen[0].param_headers, [("mcp-param-x".into(), "=?base64?eA==?=".into())]);
}

#[tokio::test]
async fn missing_metadata_and_unknown_revisions_are_400() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let mut bare = Modern::call(1, "echo");
    bare.body["params"]["_meta"] = json!({});
    let reply = bare.ask(&mut http).await;
    assert_eq!((reply.status(), reply.code()), (400, -32602));
    let odd = Modern::call(1, "echo")
        .meta("io.modelcontextprotocol/protocolVersion", json!("2099-01-01"))
        .header("mcp-protocol-version", "2099-01-01");
    let reply = odd.ask(&mut http).await;
    assert_eq!((reply.status(), reply.code()), (400, -32022));
    let data = &reply.json()["error"]["data"];
    assert_eq!(data["requested"], "2099-01-01");
    assert!(data["supported"].as_array().unwrap().contains(&json!("2026-07-28")));
}

#[tokio::test]
async fn removed_and_unknown_methods_are_404_with_the_id() {
    let house = House::open().await;
    let mut http = house.connect().await;
    for method in ["ping", "initialize", "logging/setLevel", "resources/subscribe", "vendor/nothing"] {
        let reply = Modern::new(5, method, json!({})).ask(&mut http).await;
        assert_eq!((reply.status(), reply.code()), (404, -32601), "{method}");
        assert_eq!(reply.json()["id"], 5);
    }
}

#[tokio::test]
async fn notifications_are_202_and_sessions_are_never_minted() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-session-id", "x")];
    let reply = http.ask("POST", "/mcp", &headers, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#).await;
    assert_eq!((reply.status(), reply.body.len()), (202, 0));
    let reply = http.ask("POST", "/mcp", &headers, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await;
    assert_eq!((reply.status(), reply.code()), (400, -32600));
    let reply = Modern::call(1, "echo").header("mcp-session-id", "x").ask(&mut http).await;
    assert_eq!((reply.status(), reply.head.header("mcp-session-id")), (200, None));
}

#[tokio::test]
async fn errors_are_mapped_to_what_the_era_knows() {
    let house = House::open().await;
    let mut http = house.connect().await;
    assert_eq!(Modern::call(1, "peer-error").ask(&mut http).await.code(), -32602);
    assert_eq!(Modern::call(1, "unknown").ask(&mut http).await.code(), -32602);
    let refused = Modern::call(1, "refused").ask(&mut http).await.json();
    assert_eq!(refused["result"]["isError"], true);
    assert!(refused["result"]["content"][0]["text"].as_str().unwrap().contains("CE4001"));
    let refused = Modern::new(1, "prompts/get", json!({"name": "refused"})).ask(&mut http).await;
    assert_eq!((refused.status(), refused.code()), (200, 4001));
}

#[tokio::test]
async fn what_a_modern_server_says_of_our_hop_is_not_told_of_the_clients() {
    let house = House::open().await;
    let mut http = house.connect().await;
    for (tool, status, code) in [
        ("modern-error-32002", 200, -32602),
        ("modern-error-32020", 200, -32603),
        ("modern-error-32021", 400, -32021),
        ("modern-error-32022", 200, -32603),
        ("modern-error-32000", 200, -32000),
    ] {
        let reply = Modern::call(1, tool).ask(&mut http).await;
        assert_eq!((reply.status(), reply.code()), (status, code), "{tool}");
        assert!(reply.json()["error"]["data"].to_string().contains(r#"{"x":1}"#), "{tool}");
    }
}

#[tokio::test]
async fn progress_opens_a_stream_that_ends_with_the_answer() {
    let house = House::open().await;
    let call = Modern::call(3, "progress").meta("progressToken", json!("tok"));
    let mut events = call.events(house.connect().await).await;
    assert_eq!(events.head.header("x-accel-buffering"), Some("no"));
    for n in 1..=3 {
        let note = events.message().await;
        assert_eq!(
            (&note["params"]["progressToken"], &note["params"]["progress"]),
            (&json!("tok"), &json!(n))
        );
    }
    let answer = events.message().await;
    assert_eq!((&answer["id"], &answer["result"]["resultType"]), (&json!(3), &json!("complete")));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn log_messages_come_only_when_asked_for_and_at_the_level() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let reply = Modern::call(1, "log").ask(&mut http).await;
    assert_eq!(reply.head.header("content-type"), Some("application/json"));
    let call = Modern::call(1, "log").meta("io.modelcontextprotocol/logLevel", json!("info"));
    let mut events = call.events(http).await;
    assert_eq!(events.message().await["params"]["level"], "warning");
    assert_eq!(events.message().await["id"], 1);
    let odd = Modern::call(1, "log").meta("io.modelcontextprotocol/logLevel", json!("loud"));
    assert_eq!(odd.ask(&mut house.connect().await).await.code(), -32602);
}

#[tokio::test]
async fn a_client_that_takes_only_json_or_only_streams_gets_that() {
    let house = House::open().await;
    let call =
        Modern::call(1, "progress").meta("progressToken", json!(1)).header("accept", "application/json");
    let reply = call.ask(&mut house.connect().await).await;
    assert_eq!(reply.json()["result"]["content"][0]["text"], "done");
    let reply =
        Modern::call(1, "echo").header("accept", "text/event-stream").ask(&mut house.connect().await).await;
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.starts_with("event: message\ndata: {") && body.ends_with("}\n\n"), "{body}");
}

#[tokio::test]
async fn a_silent_call_becomes_a_stream_with_signs_of_life() {
    let house = House::with(|o| {
        o.limits.stream_after = std::time::Duration::from_millis(1);
        o.limits.keep_alive = std::time::Duration::from_millis(1);
    })
    .await;
    let mut events = Modern::call(1, "gate").events(house.connect().await).await;
    assert!(within(events.next_of_any_kind()).await.unwrap().comment);
    house.service.gate.send_replace(true);
    assert_eq!(events.message().await["result"]["content"][0]["text"], "through");
}

#[tokio::test]
async fn leaving_cancels_the_call_with_or_without_a_stream() {
    let house = House::open().await;
    let mut http = house.connect().await;
    Modern::call(1, "gate").send(&mut http).await;
    house.service.beginnings(1).await;
    drop(http);
    house.service.cancellations(1).await;
    let call = Modern::call(2, "steps").meta("progressToken", json!(1));
    let mut events = call.events(house.connect().await).await;
    events.message().await;
    drop(events);
    house.service.gate.send_replace(true);
    house.service.quiet().await;
}

#[tokio::test]
async fn listen_acknowledges_what_is_granted_and_tags_every_change() {
    let house = House::open().await;
    let filter = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true,
        "resourceSubscriptions": ["test://a", "file:///b"]}});
    let mut events = Modern::new(9, "subscriptions/listen", filter).events(house.connect().await).await;
    let ack = events.message().await;
    assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
    let granted = json!({"toolsListChanged": true, "resourceSubscriptions": ["test://a"]});
    assert_eq!(ack["params"]["notifications"], granted);
    house.service.change(1, Change::Tools).await;
    let uri = "test://a".into();
    house
        .service
        .change(
            1,
            Change::Updated { uri, params: Some(super::scripted::raw(r#"{"uri":"test://a","v":1.0}"#)) },
        )
        .await;
    let changes = [events.message().await, events.message().await];
    assert_eq!(changes[0]["method"], "notifications/tools/list_changed");
    assert_eq!(changes[1]["params"]["v"], json!(1.0));
    for message in [&ack, &changes[0], &changes[1]] {
        assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 9);
    }
    house.doors.drain(std::time::Duration::from_secs(5)).await;
    let end = events.message().await;
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!(9), &json!("complete")));
    assert!(events.next().await.is_none());
    assert_eq!(house.service.open_watches(), 0);
}

#[tokio::test]
async fn a_listener_that_leaves_takes_its_watch_along() {
    let house = House::open().await;
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut events = Modern::new(1, "subscriptions/listen", filter).events(house.connect().await).await;
    events.message().await;
    assert_eq!(house.service.open_watches(), 1);
    drop(events);
    within(async {
        while house.service.open_watches() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
