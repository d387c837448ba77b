use std::time::Duration;

use serde_json::{Value, json};

use super::{
    scripted::House,
    wire::{Modern, Reply},
};

/// The keys asked for and the state to bring back.
fn asked(reply: &Reply) -> (Vec<String>, Value) {
    let result = &reply.json()["result"];
    assert_eq!(result["resultType"], "input_required", "{result}");
    let keys = result["inputRequests"].as_object().unwrap().keys().cloned().collect();
    (keys, result["requestState"].clone())
}

fn retry(id: i64, tool: &str, state: &Value, answers: Value) -> Modern {
    Modern::call(id, tool).param("requestState", state.clone()).param("inputResponses", answers)
}

fn name(name: &str) -> Value {
    json!({"action": "accept", "content": {"name": name}})
}

#[tokio::test]
async fn a_question_in_the_middle_comes_back_as_a_result_and_the_retry_goes_on() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let call = Modern::call(1, "ask").meta("progressToken", json!("first"));
    let (keys, state) = asked(&call.ask(&mut http).await);
    assert_eq!(keys.len(), 1);
    let answers = json!({&keys[0]: name("Ada"), "unknown": {"x": 1}});
    let again = retry(2, "ask", &state, answers).meta("progressToken", json!("second"));
    let mut events = again.events(http).await;
    assert_eq!(events.message().await["params"]["progressToken"], "second");
    let answer = events.message().await;
    assert_eq!((&answer["id"], &answer["result"]["answers"][0]), (&json!(2), &name("Ada")));
    assert_eq!(*house.service.begun.borrow(), 1);
}

#[tokio::test]
async fn questions_that_come_together_are_asked_together_and_missing_ones_again() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let (keys, state) = asked(&Modern::call(1, "ask-two").ask(&mut http).await);
    assert_eq!(keys.len(), 2);
    let (left, state2) =
        asked(&retry(2, "ask-two", &state, json!({&keys[0]: name("Ada")})).ask(&mut http).await);
    assert_eq!(left, [keys[1].clone()]);
    assert_ne!(state, state2);
    // no answers at all, and answers that are no objects: asked again
    let (left, state3) = asked(&retry(3, "ask-two", &state2, json!({&keys[1]: 7})).ask(&mut http).await);
    assert_eq!(left, [keys[1].clone()]);
    let reply = retry(4, "ask-two", &state3, json!({&keys[1]: name("Bob")})).ask(&mut http).await;
    assert_eq!(reply.json()["result"]["answers"], json!([name("Ada"), name("Bob")]));
}

#[tokio::test]
async fn a_second_question_parks_the_call_again() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let (keys, state) = asked(&Modern::call(1, "ask-twice").ask(&mut http).await);
    let (keys2, state) =
        asked(&retry(2, "ask-twice", &state, json!({&keys[0]: name("Ada")})).ask(&mut http).await);
    assert_ne!(keys, keys2);
    let reply = retry(3, "ask-twice", &state, json!({&keys2[0]: name("Bob")})).ask(&mut http).await;
    assert_eq!(reply.json()["result"]["both"][1]["answers"][0], name("Bob"));
}

#[tokio::test]
async fn a_state_is_good_for_its_own_request_and_owner_once() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let (keys, state) = asked(&Modern::call(1, "ask").ask(&mut http).await);
    let answers = json!({&keys[0]: name("Ada")});
    let mut tampered = state.as_str().unwrap().to_owned();
    let last = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    tampered.push(last);
    let refused = [
        retry(2, "ask", &json!(tampered), answers.clone()),
        retry(
            2,
            "ask",
            &json!(state.as_str().unwrap().rsplit_once('.').unwrap().0.to_owned() + "."),
            answers.clone(),
        ),
        retry(2, "ask-two", &state, answers.clone()),
        retry(2, "ask", &state, answers.clone()).param("arguments", json!({"other": 1})),
        retry(2, "ask", &state, answers.clone()).header("authorization", "Bearer other"),
    ];
    for (n, wrong) in refused.iter().enumerate() {
        let reply = wrong.ask(&mut http).await;
        assert_eq!((reply.code(), reply.ce()), (-32602, "CE3062".into()), "{n}");
    }
    let right = retry(3, "ask", &state, answers);
    assert_eq!(right.ask(&mut http).await.json()["result"]["answers"][0], name("Ada"));
    assert_eq!(right.ask(&mut http).await.ce(), "CE3062");
    // a retry written in another order of keys was the same request
    assert_eq!(*house.service.begun.borrow(), 1);
}

#[tokio::test]
async fn a_client_without_the_capability_is_told_and_the_call_is_cancelled() {
    let house = House::open().await;
    let call =
        Modern::call(1, "ask").meta("io.modelcontextprotocol/clientCapabilities", json!({"sampling": {}}));
    let reply = call.ask(&mut house.connect().await).await;
    assert_eq!((reply.status(), reply.code()), (400, -32021));
    assert_eq!(reply.json()["error"]["data"]["requiredCapabilities"], json!({"elicitation": {}}));
    house.service.quiet().await;
}

#[tokio::test]
async fn a_parked_call_that_nobody_continues_is_cancelled() {
    let house = House::with(|o| {
        o.limits.parked_age = Duration::from_millis(10);
        o.limits.sweep = Duration::from_millis(1);
    })
    .await;
    let mut http = house.connect().await;
    let (keys, state) = asked(&Modern::call(1, "ask").ask(&mut http).await);
    house.service.cancellations(1).await;
    let late = retry(2, "ask", &state, json!({&keys[0]: name("Ada")})).ask(&mut http).await;
    assert_eq!((late.code(), late.ce()), (-32602, "CE3062".into()));
}

#[tokio::test]
async fn one_principal_cannot_park_without_end() {
    let house = House::with(|o| o.limits.parked_per_principal = 2).await;
    let mut http = house.connect().await;
    for id in 0..2 {
        asked(&Modern::call(id, "ask").ask(&mut http).await);
    }
    let reply = Modern::call(3, "ask").ask(&mut http).await;
    assert_eq!(reply.ce(), "CE3061");
    house.service.cancellations(1).await;
    asked(&Modern::call(4, "ask").header("authorization", "Bearer other").ask(&mut http).await);
}

#[tokio::test]
async fn a_servers_own_state_passes_untouched_both_ways() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let (keys, state) = asked(&Modern::call(1, "modern-input").ask(&mut http).await);
    assert_eq!((keys.as_slice(), state.as_str()), (&["who".to_owned()][..], Some("its \"own\"")));
    let answers = json!({"who": name("Ada"), "extra": 1});
    let reply = retry(2, "modern-input", &state, answers.clone()).ask(&mut http).await;
    assert_eq!(reply.json()["result"]["structuredContent"]["got"], json!([state, answers]));
}

#[tokio::test]
async fn a_modern_server_cannot_ask_for_what_the_client_did_not_declare() {
    let house = House::open().await;
    let call = Modern::call(1, "modern-input")
        .meta("io.modelcontextprotocol/clientCapabilities", json!({"sampling": {}}));
    let reply = call.ask(&mut house.connect().await).await;
    assert_eq!((reply.status(), reply.code()), (400, -32021));
    assert_eq!(reply.json()["error"]["data"]["requiredCapabilities"], json!({"elicitation": {}}));
}

#[tokio::test]
async fn a_drain_cancels_parked_calls() {
    let house = House::open().await;
    asked(&Modern::call(1, "ask").ask(&mut house.connect().await).await);
    house.doors.drain(Duration::from_secs(5)).await;
    house.service.cancellations(1).await;
}
