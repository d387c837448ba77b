//! Server-sent events (HTML Living Standard, section 9.2), as MCP's HTTP transports use them: pure encoder and decoder.

use memchr::memchr2;

/// Bytes of one event while it is collected. Stops a stream without line ends or blank lines from filling memory; past
/// it the stream is given up.
pub const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Characters of an event id. Ids are kept and sent back as a header; a longer one is ignored.
const EVENT_ID_MAX: usize = 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event type; "message" unless the stream says otherwise.
    pub kind: Box<str>,
    /// The data as bytes, since only the reader of the data can say whether they are valid. Never empty.
    pub data: Vec<u8>,
    /// The last event id of the stream so far.
    pub id: Option<Box<str>>,
}

/// What can go wrong in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// An event is larger than the decoder accepts. The decoder accepts nothing after it.
    #[error("an event is larger than {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
}

/// Turns bytes in pieces of any size into events.
#[derive(Debug)]
pub struct Decoder {
    max: usize,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    kind: Box<str>,
    id: Option<Box<str>>,
    retry_ms: Option<u64>,
    at_start: bool,
    after_cr: bool,
    failed: bool,
}

// === impl Decoder ===

impl Default for Decoder {
    fn default() -> Self {
        Self::new(EVENT_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder that accepts events of at most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            kind: "".into(),
            id: None,
            retry_ms: None,
            at_start: true,
            after_cr: false,
            failed: false,
        }
    }

    /// Takes the next bytes of the stream and returns the events that are complete now.
    ///
    /// # Errors
    /// [`SseError::TooLarge`]; the stream is unusable from then on.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, SseError> {
        let mut events = Vec::new();
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let line = &bytes[..end];
            self.check(line.len())?;
            if self.line.is_empty() {
                self.take_line(line, &mut events);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take_line(&whole, &mut events);
                whole.clear();
                self.line = whole;
            }
            let rest = &bytes[end + 1..];
            if bytes[end] == b'\r' {
                self.after_cr = rest.is_empty();
                bytes = rest.strip_prefix(b"\n").unwrap_or(rest);
            } else {
                bytes = rest;
            }
        }
        self.check(bytes.len())?;
        self.line.extend_from_slice(bytes);
        Ok(events)
    }

    /// The id to resume after, from any event so far, with or without data.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !id.is_empty())
    }

    /// How long to wait before reconnecting, in milliseconds, if the stream said.
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    fn check(&mut self, more: usize) -> Result<(), SseError> {
        self.failed |= self.line.len() + self.data.len() + more > self.max;
        if self.failed { Err(SseError::TooLarge { max: self.max }) } else { Ok(()) }
    }

    fn take_line(&mut self, mut line: &[u8], events: &mut Vec<Event>) {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(events);
            return;
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.kind = String::from_utf8_lossy(value).into(),
            b"id" if !value.contains(&0) && value.len() <= EVENT_ID_MAX => {
                self.id = Some(String::from_utf8_lossy(value).into());
            }
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry_ms =
                    std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()).or(self.retry_ms);
            }
            // A comment (empty field name) keeps the connection alive; unknown fields mean nothing.
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let kind = std::mem::take(&mut self.kind);
        self.has_data = false;
        let data = std::mem::take(&mut self.data);
        if data.is_empty() {
            return;
        }
        let kind = if kind.is_empty() { "message".into() } else { kind };
        events.push(Event { kind, data, id: self.id.clone().filter(|id| !id.is_empty()) });
    }
}

/// What to write as one event. A part that is `None` is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The event type; `None` means "message".
    pub kind: Option<&'a str>,
    /// The event id. Line breaks and NUL end it.
    pub id: Option<&'a str>,
    /// How long the client is to wait before it reconnects, in milliseconds.
    pub retry_ms: Option<u64>,
    /// The data; line breaks make several `data` fields.
    pub data: Option<&'a [u8]>,
}

impl Outgoing<'_> {
    /// Appends the event, the blank line at its end included.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(64 + self.data.map_or(0, <[u8]>::len));
        if let Some(kind) = self.kind {
            write_field(out, b"event: ", one_line(kind));
        }
        if let Some(id) = self.id {
            write_field(out, b"id: ", one_line(id));
        }
        if let Some(ms) = self.retry_ms {
            write_field(out, b"retry: ", ms.to_string().as_bytes());
        }
        let mut data = self.data;
        while let Some(rest) = data {
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                write_field(out, b"data: ", rest);
                break;
            };
            write_field(out, b"data: ", &rest[..end]);
            let after = &rest[end + 1..];
            data = Some(if rest[end] == b'\r' { after.strip_prefix(b"\n").unwrap_or(after) } else { after });
        }
        out.push(b'\n');
    }
}

/// A comment that keeps a silent connection open and means nothing to the reader.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn one_line(text: &str) -> &[u8] {
    text.split(['\n', '\r', '\0']).next().unwrap_or_default().as_bytes()
}

#[cfg(test)]
mod tests;
