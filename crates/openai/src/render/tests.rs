//! What clients are told, in pieces and whole.

use cella_dialogue::{Answer, Assistant, Dialect, Stop, ToolCall, Usage};
use cella_model::Delta;
use serde_json::{Value, json};

use super::Render;

fn answer() -> Answer {
    let call = |id: &str, arguments: &str| ToolCall {
        id: id.into(),
        name: "look".into(),
        arguments: arguments.into(),
    };
    Answer {
        turn: Assistant {
            text: "Let me see.".into(),
            calls: vec![call("c1", "{\"a\":1}"), call("c2", "{}")],
            verbatim: None,
        },
        stop: Stop::Tools,
        usage: Usage { input: 10, output: 5, ..Usage::default() },
        model: "m".into(),
    }
}

fn deltas() -> Vec<Delta> {
    let call = |arguments: &str| Delta::Call {
        at: 1,
        id: "c1".into(),
        name: "look".into(),
        arguments: arguments.into(),
    };
    vec![Delta::Text("Let me".into()), Delta::Text(" see.".into()), call("{\"a\""), call(":1}")]
}

fn events(text: &str) -> Vec<Value> {
    text.split("\n\n")
        .filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}

fn streamed(dialect: Dialect) -> Vec<Value> {
    let mut render = Render::new(dialect, "r-1", "m", true);
    let mut all: String = deltas().iter().map(|delta| render.delta(delta)).collect();
    all.push_str(&render.end(&answer()));
    events(&all)
}

#[test]
fn chunks_come_together_to_the_whole() {
    let (mut text, mut calls, mut finish, mut used) = (String::new(), vec![String::new(); 2], Value::Null, 0);
    for chunk in streamed(Dialect::Chat) {
        used = chunk["usage"]["total_tokens"].as_u64().unwrap_or(used);
        let choice = &chunk["choices"][0];
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let at = call["index"].as_u64().expect("an index") as usize;
            calls[at].push_str(call["function"]["arguments"].as_str().expect("text"));
        }
        if !choice["finish_reason"].is_null() {
            finish = choice["finish_reason"].clone();
        }
    }
    assert_eq!((text.as_str(), calls), ("Let me see.", vec!["{\"a\":1}".to_owned(), "{}".to_owned()]));
    assert_eq!((finish, used), (json!("tool_calls"), 15));
    let whole = Render::new(Dialect::Chat, "r-1", "m", true).whole(&answer());
    assert_eq!(whole["choices"][0]["message"]["tool_calls"][1]["id"], "c2");
    assert_eq!(whole["choices"][0]["message"]["content"], "Let me see.");
}

#[test]
fn events_of_a_response_are_counted_and_end_with_all_of_it() {
    let events = streamed(Dialect::Responses);
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let names: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(names.first(), Some(&"response.created"));
    let last = events.last().expect("an end");
    assert_eq!(last["type"], "response.completed");
    let whole = Render::new(Dialect::Responses, "r-1", "m", true).whole(&answer());
    assert_eq!(last["response"]["output"], whole["output"]);
    assert_eq!(whole["output"][2]["call_id"], "c2");
    let done = events.iter().find(|event| event["type"] == "response.output_text.done").expect("done");
    assert_eq!(done["text"], "Let me see.");
}

#[test]
fn an_answer_without_pieces_is_said_at_the_end() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let text = Render::new(dialect, "r-1", "m", false).end(&answer());
        assert!(text.contains("Let me see.") && text.contains("\\\"a\\\":1"), "{text}");
    }
}
