//! Messages in the shapes that the providers document: `platform.openai.com/docs/api-reference` (chat, responses; streaming) and
//! `docs.anthropic.com/en/api/messages-streaming`.

use cella_dialogue::{
    Assistant, Json, OutputSchema, Request, Stop, ToolCall, ToolResult, ToolSpec, Turn, Usage, Verbatim, Wire,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn provider(wire: Wire) -> Provider {
    Provider::at("p", wire, "http://127.0.0.1:1/v1").expect("a URL")
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "look".into(), arguments: arguments.into() }
}

fn request() -> Request {
    let result = ToolResult { call: "c1".into(), name: "look".into(), text: "seen".into(), is_error: true };
    Request {
        instructions: "Be brief.".into(),
        tools: vec![ToolSpec {
            name: "look".into(),
            description: "Looks.".into(),
            schema: Json::parse(r#"{"type":"object"}"#).expect("JSON"),
        }],
        turns: vec![
            Turn::User { text: "go".into() },
            Turn::Assistant(Assistant {
                text: "Looking.".into(),
                calls: vec![call("c1", r#"{"n":1}"#)],
                verbatim: None,
            }),
            Turn::Tools { results: vec![result] },
        ],
        output: Some(OutputSchema { name: "o".into(), schema: Json::parse("{}").expect("JSON") }),
        max_output: Some(99),
        extra: Some(Json::parse(r#"{"temperature":0}"#).expect("JSON")),
        ..Request::default()
    }
}

fn encoded(wire: Wire, request: &Request) -> Value {
    serde_json::from_slice(&encode(&provider(wire), "m", request)).expect("JSON")
}

#[test]
fn chat_says_what_its_reference_says() {
    let expected = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 99, "temperature": 0,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "Looking.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"n\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": {}}},
    });
    assert_eq!(encoded(Wire::OpenaiChat, &request()), expected);
    let openai = Provider::at("o", Wire::OpenaiChat, "https://api.openai.com/v1").expect("a URL");
    let body: Value = serde_json::from_slice(&encode(&openai, "m", &request())).expect("JSON");
    assert_eq!(body["max_completion_tokens"], 99);
}

#[test]
fn responses_says_what_its_reference_says() {
    let expected = json!({
        "model": "m", "stream": true, "store": false, "include": ["reasoning.encrypted_content"], "max_output_tokens": 99,
        "temperature": 0, "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "Looking."},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{\"n\":1}"},
            {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        ],
        "tools": [{"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": false}],
        "text": {"format": {"type": "json_schema", "name": "o", "schema": {}}},
    });
    assert_eq!(encoded(Wire::OpenaiResponses, &request()), expected);
}

#[test]
fn messages_says_what_its_reference_says_and_marks_what_stays() {
    let cached = json!({"type": "ephemeral"});
    let expected = json!({
        "model": "m", "stream": true, "max_tokens": 99, "temperature": 0,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": cached}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "go"}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"n": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "seen", "is_error": true, "cache_control": cached}]},
        ],
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
    });
    assert_eq!(encoded(Wire::AnthropicMessages, &request()), expected);
}

#[test]
fn what_one_wire_said_goes_back_to_it_as_it_came_and_is_translated_for_the_others() {
    let items = r#"[{"type":"reasoning","encrypted_content":"xyz"},{"type":"function_call","call_id":"c1","name":"look","arguments":"{}"}]"#;
    let verbatim = Verbatim { wire: Wire::OpenaiResponses, items: Json::parse(items).expect("JSON") };
    let said = Assistant { text: String::new(), calls: vec![call("c1", "{}")], verbatim: Some(verbatim) };
    let request = Request { turns: vec![Turn::Assistant(said)], ..Request::default() };
    let same: Value = serde_json::from_str(items).expect("JSON");
    assert_eq!(encoded(Wire::OpenaiResponses, &request)["input"], same);
    assert_eq!(encoded(Wire::OpenaiChat, &request)["messages"][0]["tool_calls"][0]["id"], "c1");
    assert_eq!(encoded(Wire::AnthropicMessages, &request)["messages"][0]["content"][0]["type"], "tool_use");
}

#[test]
fn a_request_is_the_same_bytes_each_time() {
    for wire in [Wire::OpenaiChat, Wire::OpenaiResponses, Wire::AnthropicMessages] {
        assert_eq!(encode(&provider(wire), "m", &request()), encode(&provider(wire), "m", &request()));
    }
}

const CHAT: &str = r#"data: {"id":"x","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Lo"},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"look","arguments":""}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"n\":"}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}

data: [DONE]

"#;

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","response":{"id":"r","status":"in_progress","output":[]}}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"call_a","name":"look","arguments":""}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"m","delta":"Look"}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","delta":"{\"n\":1}"}

event: response.completed
data: {"type":"response.completed","response":{"id":"r","model":"m-1","status":"completed","output":[{"type":"reasoning","id":"rs","encrypted_content":"zz"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Look"}]},{"type":"function_call","id":"fc_1","call_id":"call_a","name":"look","arguments":"{\"n\":1}"}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2}}}}

"#;

const MESSAGES: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg","type":"message","role":"assistant","content":[],"model":"m-1","stop_reason":null,"usage":{"input_tokens":6,"cache_read_input_tokens":3,"cache_creation_input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Look"}}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_a","name":"look","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"n\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":5}}

event: message_stop
data: {"type":"message_stop"}

"#;

const STREAMS: [(Wire, &str); 3] =
    [(Wire::OpenaiChat, CHAT), (Wire::OpenaiResponses, RESPONSES), (Wire::AnthropicMessages, MESSAGES)];

fn read(wire: Wire, stream: &[u8]) -> Result<Answer, Failure> {
    let mut reading = Reading::new(wire);
    reading.feed(stream)?;
    reading.finish()
}

#[test]
fn a_stream_becomes_an_answer_in_every_wire() {
    for (wire, stream) in STREAMS {
        let answer = read(wire, stream.as_bytes()).expect("an answer");
        assert!(answer.turn.text.starts_with("Look") || answer.turn.text == "Look", "{wire:?}");
        assert_eq!(answer.turn.calls, [call("call_a", r#"{"n":1}"#)], "{wire:?}");
        assert_eq!((answer.stop, answer.model.as_str()), (Stop::Tools, "m-1"), "{wire:?}");
        let usage = Usage { reasoning: 0, cache_write: 0, ..answer.usage };
        assert_eq!(
            usage,
            Usage {
                input: 10,
                cached_input: if wire == Wire::AnthropicMessages { 3 } else { 4 },
                output: 5,
                ..Usage::default()
            }
        );
    }
}

#[test]
fn thinking_goes_back_with_its_signature() {
    let answer = read(Wire::AnthropicMessages, MESSAGES.as_bytes()).expect("an answer");
    let request = Request { turns: vec![Turn::Assistant(answer.turn)], ..Request::default() };
    let block = encoded(Wire::AnthropicMessages, &request)["messages"][0]["content"][0].clone();
    assert_eq!(block, json!({"type": "thinking", "thinking": "Hm.", "signature": "sig"}));
}

#[test]
fn pieces_are_told_as_they_come() {
    for (wire, stream) in STREAMS {
        let mut deltas = Reading::new(wire).feed(stream.as_bytes()).expect("a stream");
        deltas.retain(|delta| !matches!(delta, Delta::Reasoning(_)));
        let arguments: String = deltas
            .iter()
            .filter_map(|delta| match delta {
                Delta::Call { arguments, .. } => Some(arguments.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(arguments, r#"{"n":1}"#, "{wire:?}");
        assert!(deltas.iter().any(|delta| matches!(delta, Delta::Text(_))), "{wire:?}");
    }
}

#[test]
fn a_stream_that_ends_too_early_is_cut_wherever_it_ends() {
    for (wire, stream) in STREAMS {
        let ends = stream.match_indices("\n\n").map(|(at, _)| at + 2);
        let mut ends: Vec<usize> = ends.collect();
        // From the reason to stop on, a chat answer is whole; its count of tokens may be missing.
        let whole = if wire == Wire::OpenaiChat { 3 } else { 1 };
        ends.truncate(ends.len() - whole);
        for end in ends {
            let failure = read(wire, &stream.as_bytes()[..end]).expect_err("cut");
            assert_eq!(failure.class, FailureClass::Cut, "{wire:?} at {end}");
        }
    }
}

#[test]
fn an_error_in_the_middle_of_a_stream_has_its_class() {
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let failure = read(Wire::AnthropicMessages, overloaded.as_bytes()).expect_err("an error");
    assert_eq!((failure.class, failure.message.as_str()), (FailureClass::Overloaded, "Overloaded"));
    let chat = "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\"}}\n\n";
    assert_eq!(read(Wire::OpenaiChat, chat.as_bytes()).expect_err("an error").class, FailureClass::Server);
    let failed = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}}\n\n";
    assert_eq!(
        read(Wire::OpenaiResponses, failed.as_bytes()).expect_err("an error").class,
        FailureClass::RateLimited
    );
    assert_eq!(
        read(Wire::OpenaiChat, b"data: {\"a\":\n\n").expect_err("no JSON").class,
        FailureClass::Malformed
    );
}

#[test]
fn an_answer_that_comes_whole_is_read_in_every_wire() {
    let chat = json!({"model": "m", "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    let responses = json!({"model": "m", "status": "completed", "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
        "usage": {"input_tokens": 1, "output_tokens": 2}});
    let messages = json!({"model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": "hi"}],
        "usage": {"input_tokens": 1, "output_tokens": 2}});
    for (wire, body) in
        [(Wire::OpenaiChat, chat), (Wire::OpenaiResponses, responses), (Wire::AnthropicMessages, messages)]
    {
        let answer = Reading::whole(wire, body.to_string().as_bytes()).expect("an answer");
        assert_eq!((answer.turn.text.as_str(), answer.stop), ("hi", Stop::End), "{wire:?}");
        assert_eq!(answer.usage.total(), 3, "{wire:?}");
    }
}

#[test]
fn a_refusal_and_an_answer_that_is_cut_off_are_told_apart() {
    let stop = |wire, body: Value| Reading::whole(wire, body.to_string().as_bytes()).expect("an answer").stop;
    let chat = |finish: &str| json!({"choices": [{"finish_reason": finish, "message": {"content": "x"}}]});
    assert_eq!(stop(Wire::OpenaiChat, chat("length")), Stop::Length);
    assert_eq!(stop(Wire::OpenaiChat, chat("content_filter")), Stop::Refused);
    let messages = |reason: &str| json!({"stop_reason": reason, "content": []});
    assert_eq!(stop(Wire::AnthropicMessages, messages("refusal")), Stop::Refused);
    assert_eq!(stop(Wire::AnthropicMessages, messages("max_tokens")), Stop::Length);
    let responses =
        json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []});
    assert_eq!(stop(Wire::OpenaiResponses, responses), Stop::Length);
}

proptest! {
    #[test]
    fn chunking_changes_no_answer(which in 0..3_usize, cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let (wire, stream) = STREAMS[which];
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let mut reading = Reading::new(wire);
        for pair in places.windows(2) {
            reading.feed(&stream.as_bytes()[pair[0]..pair[1]]).expect("a stream");
        }
        prop_assert_eq!(reading.finish().expect("an answer"), read(wire, stream.as_bytes()).expect("an answer"));
    }

    #[test]
    fn nothing_that_a_provider_sends_is_a_panic(
        which in 0..3_usize,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (wire, stream) = STREAMS[which];
        let mut bytes = stream.as_bytes().to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _whatever = (read(wire, &bytes), read(wire, &noise), Reading::whole(wire, &bytes), Reading::whole(wire, &noise));
    }
}
