//! From messages to bytes.

use std::borrow::Cow;

use crate::{Message, Notification, Raw, Request, Response, RpcError, raw, text};

/// Room for the envelope around a body, so that the buffer grows once.
const ENVELOPE_ROOM: usize = 96;

impl Message {
    /// Appends the message as JSON, on one line: line breaks that a peer put between tokens are left out.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request(m) => m.write(out),
            Self::Notification(m) => m.write(out),
            Self::Response(m) => m.write(out),
        }
    }

    /// The message as one line, the `\n` of stdio framing included.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out.push(b'\n');
        out
    }
}

impl Request {
    /// Appends the request as JSON on one line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(ENVELOPE_ROOM + self.params.as_ref().map_or(0, |p| p.get().len()));
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(self.id.as_json().as_bytes());
        write_call(out, &self.method, self.params.as_ref());
    }
}

impl Notification {
    /// Appends the notification as JSON on one line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(ENVELOPE_ROOM + self.params.as_ref().map_or(0, |p| p.get().len()));
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
        write_call(out, &self.method, self.params.as_ref());
    }
}

impl Response {
    /// Appends the response as JSON on one line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
        // JSON-RPC wants `null` here, the schemas of MCP since 2025-11-25 want the member left out.
        if let Some(id) = &self.id {
            out.extend_from_slice(b",\"id\":");
            out.extend_from_slice(id.as_json().as_bytes());
        }
        match &self.outcome {
            Ok(result) => {
                out.reserve(ENVELOPE_ROOM + result.get().len());
                out.extend_from_slice(b",\"result\":");
                out.extend_from_slice(one_line(result.get()).as_bytes());
            }
            Err(error) => {
                out.extend_from_slice(b",\"error\":");
                out.extend_from_slice(one_line(&error.to_text()).as_bytes());
            }
        }
        out.push(b'}');
    }
}

impl RpcError {
    /// The `error` object.
    #[must_use]
    pub fn to_raw(&self) -> Raw {
        raw::checked(self.to_text())
    }

    fn to_text(&self) -> String {
        let mut out = format!("{{\"code\":{},\"message\":", self.code);
        text::push_string(&mut out, &self.message);
        if let Some(data) = &self.data {
            out.push_str(",\"data\":");
            out.push_str(data.get());
        }
        out.push('}');
        out
    }
}

fn write_call(out: &mut Vec<u8>, method: &str, params: Option<&Raw>) {
    out.extend_from_slice(b",\"method\":");
    out.extend_from_slice(text::quoted(method).as_bytes());
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(one_line(params.get()).as_bytes());
    }
    out.push(b'}');
}

/// Valid JSON without line breaks. A raw CR or LF can stand only between tokens, because inside a string JSON demands
/// an escape; so leaving those two bytes out changes nothing else. Borrows when there is none.
#[must_use]
pub fn one_line(json: &str) -> Cow<'_, str> {
    if !json.as_bytes().contains(&b'\n') && !json.as_bytes().contains(&b'\r') {
        return Cow::Borrowed(json);
    }
    Cow::Owned(json.split(['\n', '\r']).collect())
}

/// Valid JSON without any white space between tokens. Borrows when there is none.
#[must_use]
pub fn compact(json: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => {
                out.push_str(&json[copied..at]);
                copied = at + 1;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[copied..]);
    Cow::Owned(out)
}
