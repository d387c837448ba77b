use std::time::Duration;

use serde_json::{Value, json};

use super::{
    scripted::House,
    wire::{Client, Events},
};

const NEW: &str = "2025-11-25";

/// The question, and then what withdraws it.
async fn asked(events: &mut Events) -> Value {
    let question = events.message().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    question["id"].clone()
}

fn withdraws(message: &Value, question: &Value) -> bool {
    message["method"] == "notifications/cancelled" && message["params"]["requestId"] == *question
}

#[tokio::test]
async fn a_question_that_is_open_when_its_call_ends_is_withdrawn_before_the_answer() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "ask-and-leave")).await;
    let question = asked(&mut events).await;
    house.service.gate.send_replace(true);
    let withdrawn = events.message().await;
    assert!(withdraws(&withdrawn, &question), "{withdrawn}");
    assert_eq!(events.message().await["id"], 1);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_question_of_a_cancelled_call_is_withdrawn() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "ask-and-leave")).await;
    let question = asked(&mut events).await;
    client
        .ask(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}))
        .await;
    let withdrawn = events.message().await;
    assert!(withdraws(&withdrawn, &question), "{withdrawn}");
    assert!(events.next().await.is_none());
    house.service.cancellations(1).await;
}

#[tokio::test]
async fn a_question_that_waited_too_long_is_withdrawn_and_the_server_told() {
    let house = House::with(|o| o.limits.ask = Duration::from_millis(5)).await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "ask")).await;
    let question = asked(&mut events).await;
    let withdrawn = events.message().await;
    assert!(withdraws(&withdrawn, &question), "{withdrawn}");
    assert_eq!(events.message().await["method"], "notifications/progress");
    assert_eq!(events.message().await["result"]["answers"], json!([{"error": -32603}]));
}

#[tokio::test]
async fn a_question_that_was_answered_is_not_withdrawn() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "ask")).await;
    let question = asked(&mut events).await;
    client.ask(json!({"jsonrpc": "2.0", "id": question, "result": {"action": "accept"}})).await;
    assert_eq!(events.message().await["method"], "notifications/progress");
    assert_eq!(events.message().await["id"], 1);
}

#[tokio::test]
async fn progress_increases_over_all_rounds_of_a_call() {
    let house = House::open().await;
    let client = Client::initialize(house.address, NEW).await;
    let mut events = client.events(Client::call(1, "modern-progress")).await;
    let mut told = Vec::new();
    loop {
        let message = events.message().await;
        if message["method"] == "elicitation/create" {
            client.ask(json!({"jsonrpc": "2.0", "id": message["id"], "result": {"action": "accept"}})).await;
        } else if message["method"] == "notifications/progress" {
            told.push(message["params"]["progress"].as_i64().unwrap());
        } else {
            assert!(message["result"].is_object(), "{message}");
            break;
        }
    }
    assert_eq!(told, [0, 1, 2, 3]);
    assert_eq!(*house.service.begun.borrow(), 2);
}
