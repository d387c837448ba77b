//! From bytes to messages, strictly.
//!
//! Refused: bytes that are not UTF-8 or not exactly one JSON value, a `jsonrpc` other than "2.0", ids that are neither
//! string nor integer, `params` that are no object, a response with both or neither of `result` and `error`, repeated
//! keys, and whatever is past a limit. Members of the envelope that JSON-RPC does not know are dropped.

use crate::{
    BATCH_MAX, Duplicates, Id, Limits, METHOD_BYTES_MAX, Message, Notification, Raw, Request, Response,
    RpcError, codes, object, raw,
    scan::{ScanError, Scanner, Stop},
    text,
};

/// Why bytes are no message, and whom to answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flaw}")]
pub struct DecodeError {
    /// The id of the message, when it could be read.
    pub id: Option<Id>,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is wrong with bytes that were offered as a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Larger than the limit.
    #[error("the message is larger than {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// Not UTF-8.
    #[error("the message is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first offending byte.
        at: usize,
    },
    /// Not JSON.
    #[error("the message is not JSON: expected {expected} at byte {at}")]
    Syntax {
        /// Where.
        at: usize,
        /// What would have been right there.
        expected: &'static str,
    },
    /// Nested too deeply.
    #[error("the message is nested deeper than {max} levels")]
    TooDeep {
        /// The limit in levels.
        max: usize,
    },
    /// Too many members and elements.
    #[error("the message has more than {max} members and elements")]
    TooManyParts {
        /// The limit.
        max: usize,
    },
    /// A key stands twice in one object.
    #[error("the key {key:?} stands twice in one object")]
    RepeatedKey {
        /// The key, cut to 64 characters.
        key: Box<str>,
    },
    /// A batch where the protocol revision has none.
    #[error("batches exist in protocol revision 2025-03-26 only")]
    Batch,
    /// A batch without messages.
    #[error("the batch is empty")]
    EmptyBatch,
    /// A batch with too many messages.
    #[error("the batch has more than {max} messages")]
    BatchTooLong {
        /// The limit.
        max: usize,
    },
    /// `initialize` in a batch (2025-03-26, lifecycle).
    #[error("initialize must not be part of a batch")]
    InitializeInBatch,
    /// JSON, but no JSON-RPC 2.0 message.
    #[error("not a JSON-RPC 2.0 message: {what}")]
    Shape {
        /// What is missing or wrong.
        what: &'static str,
    },
}

/// What one body or line held.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// One message.
    One(Message),
    /// Several, each decoded on its own: one bad message does not spoil the others (JSON-RPC 2.0 section 6).
    Batch(Vec<Result<Message, DecodeError>>),
}

impl Message {
    /// Decodes one message.
    ///
    /// # Errors
    /// [`DecodeError`], which also makes the answer for the sender.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let text = checked_text(bytes, limits)?;
        let mut scanner = scanner(text, limits);
        scanner.space();
        if scanner.peek() == Some(b'[') {
            scanner.value().map_err(|Stop| flaw(scanner.error(), limits))?;
            ended(&mut scanner)?;
            return Err(Flaw::Batch.into());
        }
        read_message(&mut scanner, limits)
    }
}

/// Decodes one message, or a batch of them as revision 2025-03-26 knows it.
///
/// # Errors
/// [`DecodeError`] when the whole cannot be read; flaws of single messages of a batch stand in [`Incoming::Batch`].
pub fn parse_batch(bytes: &[u8], limits: &Limits) -> Result<Incoming, DecodeError> {
    let text = checked_text(bytes, limits)?;
    let mut scanner = scanner(text, limits);
    scanner.space();
    if scanner.peek() != Some(b'[') {
        return Message::parse(bytes, limits).map(Incoming::One);
    }
    let mut elements = Vec::new();
    scanner.open().map_err(|Stop| flaw(scanner.error(), limits))?;
    if scanner.eat(b']') {
        return Err(Flaw::EmptyBatch.into());
    }
    loop {
        if elements.len() == BATCH_MAX {
            return Err(Flaw::BatchTooLong { max: BATCH_MAX }.into());
        }
        elements.push(scanner.value().map_err(|Stop| flaw(scanner.error(), limits))?);
        if !scanner.more(b']').map_err(|Stop| flaw(scanner.error(), limits))? {
            break;
        }
    }
    ended(&mut scanner)?;
    Ok(Incoming::Batch(elements.into_iter().map(|e| batch_element(e, limits)).collect()))
}

fn batch_element(text: &str, limits: &Limits) -> Result<Message, DecodeError> {
    if !text.starts_with('{') {
        return Err(Flaw::Shape { what: "a message is an object" }.into());
    }
    let message = read_message(&mut scanner(text, limits), limits)?;
    match message {
        Message::Request(Request { id, method, .. }) if &*method == "initialize" => {
            Err(DecodeError { id: Some(id), flaw: Flaw::InitializeInBatch })
        }
        other => Ok(other),
    }
}

// === impl DecodeError ===

impl DecodeError {
    /// The JSON-RPC error code: -32700 for what is no JSON, -32600 for what is no acceptable message.
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self.flaw {
            Flaw::NotUtf8 { .. } | Flaw::Syntax { .. } => codes::PARSE_ERROR,
            _ => codes::INVALID_REQUEST,
        }
    }

    /// The error object for the sender.
    #[must_use]
    pub fn to_rpc_error(&self) -> RpcError {
        RpcError { code: self.code(), message: self.flaw.to_string(), data: None }
    }

    /// The answer to the sender.
    #[must_use]
    pub fn to_response(&self) -> Response {
        Response { id: self.id.clone(), outcome: Err(self.to_rpc_error()) }
    }
}

impl From<Flaw> for DecodeError {
    fn from(flaw: Flaw) -> Self {
        Self { id: None, flaw }
    }
}

fn checked_text<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, DecodeError> {
    if bytes.len() > limits.bytes {
        return Err(Flaw::TooLarge { max: limits.bytes }.into());
    }
    std::str::from_utf8(bytes).map_err(|e| Flaw::NotUtf8 { at: e.valid_up_to() }.into())
}

fn scanner<'a>(text: &'a str, limits: &Limits) -> Scanner<'a> {
    Scanner::new(text, limits.depth, limits.parts, limits.duplicates == Duplicates::RefusedAtEveryDepth)
}

fn flaw(error: ScanError, limits: &Limits) -> DecodeError {
    match error {
        ScanError::Syntax { at, expected } => Flaw::Syntax { at, expected },
        ScanError::TooDeep => Flaw::TooDeep { max: limits.depth },
        ScanError::TooManyParts => Flaw::TooManyParts { max: limits.parts },
    }
    .into()
}

fn ended(scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
    if scanner.at_end() {
        return Ok(());
    }
    Err(Flaw::Syntax { at: scanner.position(), expected: "the end" }.into())
}

/// The members of the envelope as they stand, each at most once.
#[derive(Default)]
struct Envelope<'a> {
    jsonrpc: Option<&'a str>,
    id: Option<&'a str>,
    method: Option<&'a str>,
    params: Option<&'a str>,
    result: Option<&'a str>,
    error: Option<&'a str>,
}

fn read_message(scanner: &mut Scanner<'_>, limits: &Limits) -> Result<Message, DecodeError> {
    if scanner.peek() != Some(b'{') {
        // Tells "valid JSON, but no message" from "no JSON": the codes differ.
        scanner.value().map_err(|Stop| flaw(scanner.error(), limits))?;
        ended(scanner)?;
        return Err(Flaw::Shape { what: "a message is an object" }.into());
    }
    let mut envelope = Envelope::default();
    let mut repeated = None;
    scanner.open().map_err(|Stop| flaw(scanner.error(), limits))?;
    if !scanner.eat(b'}') {
        loop {
            let key = scanner.key().map_err(|Stop| flaw(scanner.error(), limits))?;
            let value = scanner.value().map_err(|Stop| flaw(scanner.error(), limits))?;
            if envelope.slot(&key).is_some_and(|slot| slot.replace(value).is_some()) {
                repeated.get_or_insert_with(|| Box::from(key.as_ref()));
            }
            if !scanner.more(b'}').map_err(|Stop| flaw(scanner.error(), limits))? {
                break;
            }
        }
    }
    ended(scanner)?;
    let id_repeated = repeated.as_deref() == Some("id");
    if let Some(key) = repeated.or_else(|| scanner.take_repeated()) {
        let id = if id_repeated { None } else { envelope.id.and_then(Id::from_checked) };
        let key = key.chars().take(64).collect::<String>().into_boxed_str();
        return Err(DecodeError { id, flaw: Flaw::RepeatedKey { key } });
    }
    envelope.message().map_err(|what| DecodeError {
        id: envelope.id.and_then(Id::from_checked),
        flaw: Flaw::Shape { what },
    })
}

// === impl Envelope ===

impl<'a> Envelope<'a> {
    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        match key {
            "jsonrpc" => Some(&mut self.jsonrpc),
            "id" => Some(&mut self.id),
            "method" => Some(&mut self.method),
            "params" => Some(&mut self.params),
            "result" => Some(&mut self.result),
            "error" => Some(&mut self.error),
            _ => None,
        }
    }

    fn message(&self) -> Result<Message, &'static str> {
        if self.jsonrpc.and_then(text::unescape).as_deref() != Some("2.0") {
            return Err("jsonrpc must be \"2.0\"");
        }
        match (self.method, self.result, self.error) {
            (Some(method), None, None) => self.call(method),
            (None, Some(result), None) => self.success(result),
            (None, None, Some(error)) => self.failure(error),
            (None, None, None) => Err("it has neither method, result nor error"),
            _ => Err("method, result and error exclude each other"),
        }
    }

    fn call(&self, method: &str) -> Result<Message, &'static str> {
        let method = text::unescape(method).ok_or("method must be a string")?;
        if method.is_empty() || method.len() > METHOD_BYTES_MAX {
            return Err("method is empty or too long");
        }
        let method = method.into_owned().into_boxed_str();
        let params = self.params()?;
        Ok(match self.id()? {
            Some(id) => Message::Request(Request { id, method, params }),
            None => Message::Notification(Notification { method, params }),
        })
    }

    /// `null` stands for absent: some clients serialise it, and it can mean nothing else.
    fn params(&self) -> Result<Option<Raw>, &'static str> {
        match self.params {
            None | Some("null") => Ok(None),
            Some(params) if params.starts_with('{') => Ok(Some(raw::copied(params))),
            Some(_) => Err("params must be an object"),
        }
    }

    fn id(&self) -> Result<Option<Id>, &'static str> {
        self.id.map(|id| Id::from_checked(id).ok_or("id must be a string or an integer")).transpose()
    }

    fn success(&self, result: &str) -> Result<Message, &'static str> {
        let id = self.id()?.ok_or("a result needs an id")?;
        if !result.starts_with('{') {
            return Err("result must be an object");
        }
        Ok(Message::Response(Response { id: Some(id), outcome: Ok(raw::copied(result)) }))
    }

    fn failure(&self, error: &str) -> Result<Message, &'static str> {
        let id = if self.id == Some("null") { None } else { self.id()? };
        let error = read_error(error).ok_or("error must have an integer code and a string message")?;
        Ok(Message::Response(Response { id, outcome: Err(error) }))
    }
}

fn read_error(text: &str) -> Option<RpcError> {
    let code = object::member_text(text, "code")?.parse().ok()?;
    let message = text::unescape_lossy(object::member_text(text, "message").filter(|m| m.starts_with('"'))?);
    let data = object::member_text(text, "data").map(raw::copied);
    Some(RpcError { code, message: message.into_owned(), data })
}

#[cfg(test)]
mod tests;
