use std::time::Duration;

use serde_json::json;

use super::{
    scripted::{House, within},
    wire::{Client, Http, Modern},
};

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_and_its_call_cancelled() {
    let house = House::with(|o| {
        o.limits.tick = Duration::from_millis(20);
        o.limits.write_stall = Duration::from_millis(60);
    })
    .await;
    let flood = Modern::call(1, "flood").meta("io.modelcontextprotocol/logLevel", json!("debug"));
    let mut http = house.connect().await;
    flood.send(&mut http).await;
    house.service.cancellations(1).await;
    house.service.quiet().await;
    drop(http);
}

#[tokio::test]
async fn an_unfinished_head_and_an_idle_connection_are_closed() {
    let house = House::with(|o| {
        o.limits.tick = Duration::from_millis(5);
        o.limits.head_read = Duration::from_millis(10);
        o.limits.idle = Duration::from_millis(10);
    })
    .await;
    let mut http = house.connect().await;
    http.send("POST /mcp HTTP/1.1\r\nhost: loc").await;
    assert!(http.is_closed().await);
    let mut http = house.connect().await;
    assert_eq!(Modern::call(1, "echo").ask(&mut http).await.status(), 200);
    assert!(http.is_closed().await);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let house = House::with(|o| o.limits.body_read = Duration::from_millis(5)).await;
    let mut http = house.connect().await;
    http.send("POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer s3cret\r\ncontent-length: 10\r\n\r\n{").await;
    assert_eq!(http.head().await.status, 408);
}

#[tokio::test]
async fn past_the_cap_connections_wait_their_turn() {
    let house = House::with(|o| o.limits.connections = 1).await;
    let mut first = house.connect().await;
    assert_eq!(Modern::call(1, "echo").ask(&mut first).await.status(), 200);
    let mut second = house.connect().await;
    Modern::call(2, "echo").send(&mut second).await;
    assert_eq!(Modern::call(3, "echo").ask(&mut first).await.status(), 200);
    drop(first);
    assert_eq!(second.reply().await.status(), 200);
}

#[tokio::test]
async fn a_drain_finishes_calls_and_then_cuts() {
    let house = House::open().await;
    let mut busy = house.connect().await;
    Modern::call(1, "gate").send(&mut busy).await;
    house.service.beginnings(1).await;
    let doors = house.doors.clone();
    let drain = tokio::spawn(async move { doors.drain(Duration::from_secs(20)).await });
    within(async {
        // the listener closes first
        while let Ok(mut stream) = tokio::net::TcpStream::connect(house.address).await {
            let _refused = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await;
        }
    })
    .await;
    house.service.gate.send_replace(true);
    assert_eq!(busy.reply().await.json()["result"]["content"][0]["text"], "through");
    within(drain).await.unwrap();

    let house = House::open().await;
    let mut stuck = house.connect().await;
    Modern::call(1, "gate").send(&mut stuck).await;
    house.service.beginnings(1).await;
    house.doors.drain(Duration::ZERO).await;
    assert!(stuck.is_closed().await);
    house.service.cancellations(1).await;
}

#[tokio::test]
async fn a_thousand_clients_that_come_and_go_leave_nothing() {
    let house = House::with(|o| {
        o.limits.session_idle_sealed = Duration::ZERO;
        o.limits.resume_within = Duration::from_millis(1);
        o.limits.sweep = Duration::from_millis(5);
    })
    .await;
    for round in 0..10 {
        let clients: Vec<_> = (0..100)
            .map(|n| {
                let address = house.address;
                tokio::spawn(async move {
                    let client = Client::initialize(address, "2025-11-25").await;
                    client.ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
                    let mut events = client.listen(None).await;
                    events.next().await;
                    assert_eq!(client.ask(Client::call(n, "echo")).await.status(), 200);
                    if n % 2 == 0 {
                        Http::connect(address).await.ask("DELETE", "/mcp", &client.headers(), "").await;
                    }
                })
            })
            .collect();
        for client in clients {
            within(client).await.unwrap_or_else(|e| panic!("round {round}: {e}"));
        }
    }
    within(async {
        while house.service.open_watches() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let shown = format!("{:?}", house.doors);
    within(async {
        while !format!("{:?}", house.doors).contains("connections: 0, streams: 0") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(shown.starts_with("Doors"));
}

#[tokio::test]
async fn a_drain_finishes_calls_of_the_old_transport_too() {
    let house = House::open().await;
    let mut events =
        house.connect().await.events("GET", "/sse", &[("accept", "text/event-stream")], "").await;
    let endpoint = events.next().await.unwrap().data;
    let init = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old", "version": "0"}}});
    for message in [init, Client::call(1, "gate")] {
        let reply = house.connect().await.ask("POST", &endpoint, &[], &message.to_string()).await;
        assert_eq!(reply.status(), 202);
    }
    assert_eq!(events.message().await["id"], 0);
    house.service.beginnings(1).await;
    let doors = house.doors.clone();
    let drain = tokio::spawn(async move { doors.drain(Duration::from_secs(20)).await });
    within(async { while tokio::net::TcpStream::connect(house.address).await.is_ok() {} }).await;
    house.service.gate.send_replace(true);
    assert_eq!(events.message().await["result"]["content"][0]["text"], "through");
    assert!(events.next().await.is_none());
    within(drain).await.unwrap();
    assert_eq!(*house.service.cancelled.borrow(), 0);
}
