//! Server-sent events, as far as models use them (HTML living standard, 9.2.6): `event` and `data` fields, in any chunking.

/// Longest event, in bytes. Stops a provider that never ends one from filling memory; past it the answer is malformed.
pub(crate) const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Bytes on their way to becoming events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    /// The last byte was a carriage return, so that a line feed now ends no line of its own.
    after_return: bool,
}

/// An event that is longer than [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    /// Takes bytes in, and gives the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let skip = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            match byte {
                _ if skip => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = ": hi\nevent: a\ndata: 1\ndata:2\n\ndata: x\r\n\r\nid: 3\n\nevent: b\rdata: ü\r\r";

    #[test]
    fn events_end_at_empty_lines_of_every_kind() {
        let events = Parser::default().feed(STREAM.as_bytes()).expect("short");
        let found: Vec<(&str, &str)> = events.iter().map(|e| (&*e.name, &*e.data)).collect();
        assert_eq!(found, [("a", "1\n2"), ("", "x"), ("b", "ü")]);
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let whole = Parser::default().feed(STREAM.as_bytes()).expect("short");
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                found.extend(parser.feed(&STREAM.as_bytes()[pair[0]..pair[1]]).expect("short"));
            }
            prop_assert_eq!(found, whole);
        }
    }
}
