use serde_json::{Value, json};

use super::{
    scripted::{House, within},
    wire::Client,
};
use cella_transport::Change;

const NEW: &str = "2025-11-25";

fn subscribe(id: usize, uri: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe", "params": {"uri": uri}})
}

fn updated(uri: &str) -> Change {
    Change::Updated { uri: uri.into(), params: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscriptions_made_at_once_all_hold() {
    let house = House::open().await;
    for _ in 0..10 {
        let client = Client::initialize(house.address, NEW).await;
        let subscribing = (0..16).map(|n| {
            let client = Client {
                session: client.session.clone(),
                revision: client.revision.clone(),
                address: client.address,
            };
            tokio::spawn(async move { client.ask(subscribe(n, &format!("test://{n}"))).await.status() })
        });
        for subscribed in subscribing.collect::<Vec<_>>() {
            assert_eq!(within(subscribed).await.unwrap(), 200);
        }
        // what is watched last is all that was subscribed to
        assert_eq!(house.service.watched().last().map(Vec::len), Some(16));
    }
}

#[tokio::test]
async fn a_change_that_nobody_had_read_survives_the_next_subscription() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    client.ask(subscribe(1, "test://a")).await;
    for _ in 0..3 {
        house.service.change(1, updated("test://a")).await;
    }
    client.ask(subscribe(2, "test://b")).await;
    house.service.change(1, updated("test://b")).await;
    let mut events = client.listen(None).await;
    assert_eq!(events.message().await["params"]["uri"], "test://a");
    assert_eq!(events.message().await["params"]["uri"], "test://b");
}

#[tokio::test]
async fn a_change_between_two_readers_is_told_to_the_second() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    client.ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    for change in [Change::Tools, Change::Resources, Change::Tools] {
        drop(client.listen(None).await);
        // what is written before that goes to a closed socket, and only Last-Event-ID brings it back
        house.no_streams().await;
        house.service.change(1, change.clone()).await;
        let mut events = client.listen(None).await;
        let told = events.message().await;
        let kind = if matches!(change, Change::Tools) { "tools" } else { "resources" };
        assert_eq!(told["method"], format!("notifications/{kind}/list_changed"));
    }
}
