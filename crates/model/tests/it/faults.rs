//! Each way in which a provider fails has its class.

use std::time::Duration;

use cella_dialogue::{Failure, FailureClass, Request, Turn, Wire};
use cella_model::{ApiKey, Deadlines, Provider, Reply, Stop, ask, encode};

use crate::server::{Act, serve};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const HELLO: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hello, this is a text\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn quick() -> Deadlines {
    Deadlines {
        first_token: Duration::from_millis(400),
        between_tokens: Duration::from_millis(400),
        total: Duration::from_secs(20),
    }
}

async fn asked_with(provider: &Provider, deadlines: Deadlines, output_tokens_max: Option<u64>) -> Reply {
    let request = Request { turns: vec![Turn::User { text: "hi".into() }], ..Request::default() };
    let body = encode(provider, "m", &request);
    let stop = Stop { output_tokens_max, when: Box::pin(std::future::pending()), sees: &mut |_| {} };
    ask(provider, body, None, deadlines, stop).await
}

async fn against(acts: Vec<Act>) -> Reply {
    let (provider, _) = serve(Wire::OpenaiChat, acts).await;
    asked_with(&provider, quick(), None).await
}

async fn failed(acts: Vec<Act>) -> Failure {
    against(acts).await.result.expect_err("a failure")
}

#[tokio::test]
async fn an_answer_comes_in_and_is_kept_as_it_came() {
    let (mut provider, asked) =
        serve(Wire::OpenaiChat, vec![Act::Write(HEAD), Act::Write(HELLO), Act::Write(END)]).await;
    provider.key = Some(ApiKey::new("k-1"));
    let reply = asked_with(&provider, quick(), None).await;
    assert_eq!(reply.result.expect("an answer").turn.text, "hello, this is a text");
    assert_eq!(reply.raw, format!("{HELLO}{END}").into_bytes());
    let asked = asked.await.expect("asked");
    assert!(asked.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer k-1\r\n"), "{asked}");
}

#[tokio::test]
async fn errors_are_told_by_status_and_words() {
    let limited = failed(vec![Act::Write(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n{}",
    )])
    .await;
    assert_eq!(
        (limited.class, limited.retry_after_ms, limited.status),
        (FailureClass::RateLimited, Some(3_000), Some(429))
    );
    let bare = failed(vec![Act::Write("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")]).await;
    assert_eq!((bare.class, bare.retry_after_ms), (FailureClass::RateLimited, None));
    let broken = failed(vec![Act::Write("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")]).await;
    assert_eq!((broken.class, broken.message.as_str()), (FailureClass::Server, "500: oops"));
    let overloaded = failed(vec![Act::Write("HTTP/1.1 529 Overloaded\r\nContent-Length: 0\r\n\r\n")]).await;
    assert_eq!(overloaded.class, FailureClass::Overloaded);
}

#[tokio::test]
async fn silence_has_a_class_before_and_after_the_first_token() {
    assert_eq!(failed(vec![Act::Stall]).await.class, FailureClass::FirstToken);
    assert_eq!(failed(vec![Act::Write(HEAD), Act::Stall]).await.class, FailureClass::FirstToken);
    let reply = against(vec![Act::Write(HEAD), Act::Write(HELLO), Act::Stall]).await;
    assert_eq!(reply.result.expect_err("stalled").class, FailureClass::Stalled);
    assert_eq!(reply.raw, HELLO.as_bytes(), "what came is kept");
}

#[tokio::test]
async fn a_slow_answer_meets_the_total_deadline() {
    let (provider, _) = serve(Wire::OpenaiChat, vec![Act::Write(HEAD), Act::Write(HELLO), Act::Stall]).await;
    let deadlines =
        Deadlines { between_tokens: Duration::from_secs(30), total: Duration::from_millis(300), ..quick() };
    let failure = asked_with(&provider, deadlines, None).await.result.expect_err("too slow");
    assert_eq!(failure.class, FailureClass::Stalled);
}

#[tokio::test]
async fn a_cut_stream_invalid_json_and_another_content_type_are_told_apart() {
    assert_eq!(failed(vec![Act::Write(HEAD), Act::Write(HELLO)]).await.class, FailureClass::Cut);
    let length = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n";
    assert_eq!(failed(vec![Act::Write(length), Act::Write(HELLO)]).await.class, FailureClass::Cut);
    assert_eq!(
        failed(vec![Act::Write(HEAD), Act::Write("data: {no\n\n")]).await.class,
        FailureClass::Malformed
    );
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    let failure = failed(vec![Act::Write(page)]).await;
    assert_eq!(failure.class, FailureClass::Malformed);
    assert!(failure.message.contains("text/html"), "{}", failure.message);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let provider = Provider::at("p", Wire::OpenaiChat, "http://127.0.0.1:1/v1").expect("a URL");
    let failure = asked_with(&provider, quick(), None).await.result.expect_err("nobody");
    assert_eq!(failure.class, FailureClass::Unreachable);
}

#[tokio::test]
async fn an_answer_is_broken_off_at_its_budget_and_when_the_run_ends() {
    let (provider, _) = serve(Wire::OpenaiChat, vec![Act::Write(HEAD), Act::Write(HELLO), Act::Stall]).await;
    let reply = asked_with(&provider, quick(), Some(2)).await;
    assert_eq!(reply.result.expect_err("cut").class, FailureClass::OverBudget);
    assert_eq!(reply.seen_tokens, 5);

    let (provider, _) = serve(Wire::OpenaiChat, vec![Act::Write(HEAD), Act::Stall]).await;
    let body = encode(&provider, "m", &Request::default());
    let when = Box::pin(async { FailureClass::Cancelled });
    let reply =
        ask(&provider, body, None, quick(), Stop { output_tokens_max: None, when, sees: &mut |_| {} }).await;
    assert_eq!(reply.result.expect_err("cut").class, FailureClass::Cancelled);
}
