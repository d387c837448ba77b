//! The wires: how a request is written and an answer is read. One file each, with the same three things in it: `path`, `encode`, and a
//! reader that takes the events of a stream, or a whole body.

mod chat;
mod messages;
mod responses;

use cella_dialogue::{Answer, Assistant, Failure, FailureClass, Request, Stop, Usage, Wire};
use serde_json::{Map, Value};

use crate::{
    Delta, Provider, Seen,
    failure::{failure, of_error},
    sse::{Parser, SseEvent},
};

/// Reads one answer as it comes in.
#[derive(Debug)]
pub struct Reading {
    parser: Parser,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Chat(chat::Reader),
    Responses(responses::Reader),
    Messages(messages::Reader),
}

/// The body of a request in the wire of its provider. The same request gives the same bytes.
#[must_use]
pub fn encode(provider: &Provider, model: &str, request: &Request) -> Vec<u8> {
    let mut body = match provider.wire {
        Wire::OpenaiChat => chat::encode(provider, model, request),
        Wire::OpenaiResponses => responses::encode(model, request),
        Wire::AnthropicMessages => messages::encode(model, request),
        // A recording looks at the request itself.
        Wire::Cassette => return serde_json::to_vec(request).unwrap_or_default(),
    };
    if let Some(extra) = request.extra.as_ref().and_then(|extra| serde_json::from_str(extra.text()).ok()) {
        let extra: Map<String, Value> = extra;
        body.extend(extra);
    }
    // Our own values have text keys only.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// At most so many tokens are in these bytes, by a safe estimate: two bytes each, where text in any language has three or
/// more, and a token is never less than one.
#[must_use]
pub const fn input_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(2)
}

/// The path of a request, behind the provider's base.
pub(crate) const fn path(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenaiChat | Wire::Cassette => chat::PATH,
        Wire::OpenaiResponses => responses::PATH,
        Wire::AnthropicMessages => messages::PATH,
    }
}

impl Reading {
    /// For an answer in this wire.
    #[must_use]
    pub fn new(wire: Wire) -> Self {
        let reader = match wire {
            Wire::OpenaiChat | Wire::Cassette => Reader::Chat(chat::Reader::default()),
            Wire::OpenaiResponses => Reader::Responses(responses::Reader::default()),
            Wire::AnthropicMessages => Reader::Messages(messages::Reader::default()),
        };
        Self { parser: Parser::default(), reader }
    }

    /// Takes bytes of a stream in, in any chunking.
    ///
    /// # Errors
    /// The stream is not what the wire says, or an error came in it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Delta>, Failure> {
        let mut deltas = Vec::new();
        self.follow(bytes, &mut |seen| {
            if let Seen::Delta(delta) = seen {
                deltas.push(delta.clone());
            }
        })?;
        Ok(deltas)
    }

    /// The same, for somebody who wants to see the events themselves too.
    ///
    /// # Errors
    /// As [`Reading::feed`]; an event that is an error was seen.
    pub fn follow(&mut self, bytes: &[u8], sees: &mut dyn FnMut(Seen<'_>)) -> Result<(), Failure> {
        let events = self.parser.feed(bytes).map_err(|_| malformed("an event without an end"))?;
        let mut deltas = Vec::new();
        for event in events {
            sees(Seen::Event { name: &event.name, data: &event.data });
            self.take(&event, &mut deltas)?;
            deltas.drain(..).for_each(|delta| sees(Seen::Delta(&delta)));
        }
        Ok(())
    }

    fn take(&mut self, event: &SseEvent, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        if event.data.trim() == "[DONE]" || event.name == "ping" {
            return Ok(());
        }
        let data: Value = serde_json::from_str(&event.data)
            .map_err(|fault| malformed(&format!("an event that is no JSON ({fault})")))?;
        // In every wire an error may come in the middle of an answer.
        if let Some(error) = data.get("error").filter(|error| !error.is_null()) {
            return Err(of_error(error));
        }
        match &mut self.reader {
            Reader::Chat(reader) => reader.take(&data, deltas),
            Reader::Responses(reader) => reader.take(&data, &event.data, deltas)?,
            Reader::Messages(reader) => reader.take(&data, deltas)?,
        }
        Ok(())
    }

    /// The answer, when the stream is over.
    ///
    /// # Errors
    /// It broke off before its end.
    pub fn finish(self) -> Result<Answer, Failure> {
        match self.reader {
            Reader::Chat(reader) => reader.finish(),
            Reader::Responses(reader) => reader.finish(),
            Reader::Messages(reader) => reader.finish(),
        }
    }

    /// The answer of a provider that sent it whole.
    ///
    /// # Errors
    /// It is not what the wire says.
    pub fn whole(wire: Wire, body: &[u8]) -> Result<Answer, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| malformed("a body that is no text"))?;
        let value: Value = serde_json::from_str(text)
            .map_err(|fault| malformed(&format!("a body that is no JSON ({fault})")))?;
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Err(of_error(error));
        }
        match wire {
            Wire::OpenaiChat | Wire::Cassette => chat::whole(&value),
            Wire::OpenaiResponses => responses::whole(&value, text),
            Wire::AnthropicMessages => messages::whole(&value),
        }
    }
}

/// What an answer of vectors used. The vectors themselves are for whoever asked.
pub(crate) fn embeddings(body: &[u8]) -> Result<Answer, Failure> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|fault| malformed(&format!("a body that is no JSON ({fault})")))?;
    if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
        return Err(of_error(error));
    }
    let usage = Usage { input: number(&value, &["usage", "prompt_tokens"]), ..Usage::default() };
    let model = text(&value, "model").to_owned();
    Ok(Answer { turn: Assistant::default(), stop: Stop::End, usage, model })
}

pub(crate) fn malformed(got: &str) -> Failure {
    failure(FailureClass::Malformed, format!("the provider sent {got}"))
}

pub(crate) fn cut() -> Failure {
    failure(FailureClass::Cut, "the answer broke off before its end")
}

/// A text field, empty where there is none.
fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A count, zero where there is none.
fn number(value: &Value, path: &[&str]) -> u64 {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_u64).unwrap_or_default()
}

/// JSON of ours as a value; it was checked when it was made.
fn value(json: &cella_dialogue::Json) -> Value {
    serde_json::from_str(json.text()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
