//! One message as bytes on the wire: a line, or a server-sent event (WHATWG HTML, section 9.2).
//!
//! A message is written on one line (`cella_mcp` leaves out line breaks between tokens), so one `data:` field is enough.

use std::time::Duration;

use bytes::Bytes;
use cella_mcp::Message;

/// A comment, which keeps connections open and says nothing.
pub(super) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// A message and a line end.
pub(super) fn line(message: &Message) -> Bytes {
    let mut out = Vec::new();
    message.write(&mut out);
    out.push(b'\n');
    out.into()
}

/// An event that carries a message.
pub(super) fn event(message: &Message) -> Bytes {
    let mut out = Vec::new();
    data(&mut out, message);
    out.into()
}

/// The same with an identifier, `NAME-SEQUENCE`.
pub(super) fn event_with_id(name: &str, sequence: u64, message: &Message) -> Bytes {
    let mut out = format!("id: {name}-{sequence}\n").into_bytes();
    data(&mut out, message);
    out.into()
}

/// An event without data that tells where to resume, and when (2025-11-25 transports, "prime the client").
pub(super) fn priming(name: &str, sequence: u64, retry: Duration) -> Bytes {
    format!("id: {name}-{sequence}\nretry: {}\ndata: \n\n", retry.as_millis()).into()
}

/// The first event of the HTTP+SSE transport (2024-11-05).
pub(super) fn endpoint(uri: &str) -> Bytes {
    format!("event: endpoint\ndata: {uri}\n\n").into()
}

/// The stream's name and the sequence number of a `Last-Event-ID`.
pub(super) fn parse_event_id(id: &str) -> Option<(&str, u64)> {
    let (name, sequence) = id.rsplit_once('-')?;
    Some((name, sequence.parse().ok()?))
}

fn data(out: &mut Vec<u8>, message: &Message) {
    out.extend_from_slice(b"event: message\ndata: ");
    message.write(out);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use cella_mcp::Limits;

    use super::*;

    fn note() -> Message {
        Message::parse(
            b"{\"jsonrpc\":\"2.0\",\"method\":\"n\",\"params\":{\r\n \"a\": \"b\\n\"\n}}",
            &Limits::CLIENT,
        )
        .unwrap()
    }

    #[test]
    fn a_message_with_line_ends_stays_one_line_and_one_event() {
        let text = r#"{"jsonrpc":"2.0","method":"n","params":{ "a": "b\n"}}"#;
        assert_eq!(line(&note()), format!("{text}\n"));
        assert_eq!(event(&note()), format!("event: message\ndata: {text}\n\n"));
    }

    #[test]
    fn an_event_id_is_read_back() {
        let event = event_with_id("p7", 12, &note());
        assert!(event.starts_with(b"id: p7-12\n"));
        assert_eq!(parse_event_id("p7-12"), Some(("p7", 12)));
        for odd in ["", "p7", "p7-", "p7-x", "p7--1", "-"] {
            assert!(parse_event_id(odd).is_none_or(|(name, _)| name != "p7"), "{odd}");
        }
    }
}
