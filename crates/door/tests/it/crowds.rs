use std::time::Duration;

use serde_json::json;

use super::{
    scripted::{House, within},
    wire::{Client, Http, Modern},
};

const NEW: &str = "2025-11-25";

#[tokio::test]
async fn as_many_calls_of_a_session_may_stream_as_may_be_in_progress() {
    let house = House::with(|o| o.limits.stream_after = Duration::ZERO).await;
    let client = Client::initialize(house.address, NEW).await;
    let mut streams = Vec::new();
    for id in 0..60 {
        streams.push(client.events(Client::call(id, "gate")).await);
    }
    house.service.gate.send_replace(true);
    for mut events in streams {
        assert_eq!(events.message().await["result"]["content"][0]["text"], "through");
    }
    assert_eq!(*house.service.cancelled.borrow(), 0);
}

#[tokio::test]
async fn finished_streams_are_kept_up_to_a_number() {
    let house = House::with(|o| o.limits.stream_after = Duration::ZERO).await;
    let client = Client::initialize(house.address, NEW).await;
    let mut first = Vec::new();
    for id in 0..40 {
        let mut events = client.events(Client::call(id, "progress")).await;
        first.push(events.next().await.unwrap().id.unwrap());
        while events.next().await.is_some() {}
    }
    house.no_streams().await;
    // the oldest is forgotten: its name opens the session's own stream, which has nothing to say
    let mut forgotten = client.listen(Some(&first[0])).await;
    assert!(forgotten.next().await.unwrap().data.is_empty());
    let mut kept = client.listen(Some(&first[39])).await;
    assert_eq!(kept.message().await["params"]["progress"], 1);
}

#[tokio::test]
async fn a_call_that_has_begun_is_answered_without_a_stream_when_there_is_none() {
    let house = House::with(|o| {
        o.limits.stream_after = Duration::ZERO;
        o.limits.streams = 1;
    })
    .await;
    let client = Client::initialize(house.address, NEW).await;
    let mut first = client.events(Client::call(1, "gate")).await;
    let waiting = async {
        // answered while it waits; neither progress nor questions can be told
        let asks = client.ask(Client::call(2, "ask")).await;
        assert_eq!(asks.json()["result"]["answers"], json!([{"error": -32603}]));
        let mut http = Http::connect(house.address).await;
        http.request("POST", "/mcp", &client.headers(), &Client::call(3, "gate").to_string()).await;
        house.service.beginnings(3).await;
        house.service.gate.send_replace(true);
        http.reply().await
    };
    let reply = within(waiting).await;
    assert_eq!(reply.head.header("content-type"), Some("application/json"));
    assert_eq!(reply.json()["result"]["content"][0]["text"], "through");
    assert_eq!(first.message().await["result"]["content"][0]["text"], "through");
    assert_eq!(*house.service.cancelled.borrow(), 0);
}

#[tokio::test]
async fn sessions_that_are_left_without_a_word_hold_no_stream() {
    let house = House::with(|o| o.limits.streams = 2).await;
    let mut left = Vec::new();
    for _ in 0..5 {
        let client = Client::initialize(house.address, NEW).await;
        client.ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        let mut events = client.listen(None).await;
        events.next().await.unwrap();
        drop(events);
        house.no_streams().await;
        left.push(client);
    }
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut listen = Modern::new(1, "subscriptions/listen", filter).events(house.connect().await).await;
    assert_eq!(listen.message().await["method"], "notifications/subscriptions/acknowledged");
    // and whoever comes back hears what it missed
    house.service.change(6, cella_transport::Change::Tools).await;
    let mut back = left[0].listen(None).await;
    assert_eq!(back.message().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_stream_that_would_stay_silent_is_refused_instead() {
    let house = House::with(|o| o.limits.streams = 1).await;
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut listen = Modern::new(1, "subscriptions/listen", filter).events(house.connect().await).await;
    listen.message().await;
    let client = Client::initialize(house.address, NEW).await;
    let reply = house.connect().await.ask("GET", "/mcp", &client.headers(), "").await;
    assert_eq!((reply.status(), reply.ce()), (429, "CE3067".into()));
    drop(listen);
    house.no_streams().await;
    client.listen(None).await.next().await.unwrap();
}

#[tokio::test]
async fn an_old_stream_that_finds_no_place_leaves_no_session_behind() {
    let house = House::with(|o| {
        o.limits.streams = 1;
        o.limits.sessions = 1;
    })
    .await;
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut listen = Modern::new(1, "subscriptions/listen", filter).events(house.connect().await).await;
    listen.message().await;
    let stream = [("accept", "text/event-stream")];
    assert_eq!(house.connect().await.ask("GET", "/sse", &stream, "").await.status(), 429);
    drop(listen);
    house.no_streams().await;
    let mut old = house.connect().await.events("GET", "/sse", &stream, "").await;
    assert_eq!(old.next().await.unwrap().kind, "endpoint");
}
