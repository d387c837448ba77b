//! Where in a JSON body a byte stands.
//!
//! Follows the text without keeping it. It need not judge whether a text is JSON, only never to take something for a value
//! that the server takes for something else: at the first thing out of order it is lost, and then nothing has a place.

use crate::{
    fold::json_text,
    limits::{JSON_DEPTH_MAX, JSON_NAME_BYTES_MAX},
};

/// Follows a body.
#[derive(Debug)]
pub(super) struct JsonTracker {
    /// Objects and arrays around what is being read.
    around: Vec<Around>,
    expect: Expect,
    /// Inside a string: whether the next character is escaped.
    escaped: bool,
    /// Strings so far.
    strings: u64,
    /// The name being read, as written.
    name: Vec<u8>,
}

#[derive(Debug)]
enum Around {
    /// With the name of the member; `None` for one that is too long to compare.
    Object(Option<String>),
    /// With the number of the element.
    Array(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    /// After `[`: a value or the end.
    ValueOrEnd,
    /// After `{`: a name or the end.
    NameOrEnd,
    /// After `,` in an object.
    Name,
    Colon,
    /// After a value: `,`, an end, or another text.
    Next,
    InName,
    InString,
    /// A number, `true`, `false` or `null`.
    InLiteral,
    /// It is no JSON.
    Lost,
}

// === impl JsonTracker ===

impl Default for JsonTracker {
    fn default() -> Self {
        let (around, name) = (Vec::new(), Vec::new());
        Self { around, expect: Expect::Value, escaped: false, strings: 0, name }
    }
}

impl JsonTracker {
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            if matches!(self.expect, Expect::InString | Expect::InName) {
                bytes = self.string(bytes);
                continue;
            }
            self.expect = match self.expect {
                Expect::Lost => return,
                Expect::InLiteral if is_literal(*byte) => Expect::InLiteral,
                Expect::InLiteral => self.outside(Expect::Next, *byte),
                other => self.outside(other, *byte),
            };
            bytes = rest;
        }
    }

    /// Number of the string value that is being read, and the path to it.
    pub(super) fn here(&self) -> Option<(u64, Vec<String>)> {
        let known = |around: &Around| match around {
            Around::Object(name) => name.clone(),
            Around::Array(element) => Some(element.to_string()),
        };
        let path = (self.expect == Expect::InString).then(|| self.around.iter().map(known).collect());
        path.flatten().map(|path| (self.strings, path))
    }

    /// Goes on in a string; gives what comes after.
    fn string<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.escaped {
            self.escaped = false;
            self.keep(&bytes[..1]);
            return &bytes[1..];
        }
        let Some(at) = memchr::memchr2(b'"', b'\\', bytes) else {
            self.keep(bytes);
            return &[];
        };
        self.keep(&bytes[..at]);
        if bytes[at] == b'\\' {
            self.escaped = true;
            self.keep(b"\\");
        } else if self.expect == Expect::InString {
            self.expect = Expect::Next;
        } else {
            self.expect = Expect::Colon;
            let fits = self.name.len() <= JSON_NAME_BYTES_MAX;
            let name = fits.then(|| String::from_utf8(json_text(&self.name)).ok()).flatten();
            if let Some(Around::Object(member)) = self.around.last_mut() {
                *member = name;
            }
        }
        &bytes[at + 1..]
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One byte past the limit is kept, to know that it was passed.
        if self.expect == Expect::InName && self.name.len() <= JSON_NAME_BYTES_MAX {
            let room = JSON_NAME_BYTES_MAX + 1 - self.name.len();
            self.name.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn outside(&mut self, expect: Expect, byte: u8) -> Expect {
        use Expect::{Colon, InLiteral, InName, InString, Lost, Name, NameOrEnd, Next, Value, ValueOrEnd};
        let top = self.around.is_empty();
        match (expect, byte) {
            (_, b' ' | b'\n' | b'\r' | b'\t') => expect,
            (Value | ValueOrEnd, b'"') => self.begin(InString),
            // Texts one after the other, as in a stream of them.
            (Next, b'"') if top => self.begin(InString),
            (Name | NameOrEnd, b'"') => self.begin(InName),
            (Value | ValueOrEnd, b'{') => self.enter(Around::Object(None), NameOrEnd),
            (Value | ValueOrEnd, b'[') => self.enter(Around::Array(0), ValueOrEnd),
            (Next, b'{') if top => self.enter(Around::Object(None), NameOrEnd),
            (Next, b'[') if top => self.enter(Around::Array(0), ValueOrEnd),
            (Value | ValueOrEnd, byte) if is_literal(byte) => InLiteral,
            (Next, byte) if top && is_literal(byte) => InLiteral,
            (Colon, b':') => Value,
            (Next, b',') => match self.around.last_mut() {
                Some(Around::Object(_)) => Name,
                Some(Around::Array(element)) => {
                    *element += 1;
                    Value
                }
                None => Lost,
            },
            (NameOrEnd | Next, b'}') if matches!(self.around.last(), Some(Around::Object(_))) => self.leave(),
            (ValueOrEnd | Next, b']') if matches!(self.around.last(), Some(Around::Array(_))) => self.leave(),
            _ => Lost,
        }
    }

    fn begin(&mut self, string: Expect) -> Expect {
        self.strings += 1;
        self.name.clear();
        string
    }

    fn enter(&mut self, around: Around, expect: Expect) -> Expect {
        if self.around.len() == JSON_DEPTH_MAX {
            return Expect::Lost;
        }
        self.around.push(around);
        expect
    }

    fn leave(&mut self) -> Expect {
        self.around.pop();
        Expect::Next
    }
}

const fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path at each `@`, which stands in strings.
    fn paths(text: &str) -> Vec<Option<String>> {
        let mut tracker = JsonTracker::default();
        let mut parts = text.split('@').peekable();
        let mut paths = Vec::new();
        while let Some(part) = parts.next() {
            tracker.pass(part.as_bytes());
            if parts.peek().is_some() {
                paths.push(tracker.here().map(|(_, path)| path.join(".")));
                tracker.pass(b"@");
            }
        }
        paths
    }

    fn some(paths: &[&str]) -> Vec<Option<String>> {
        paths.iter().map(|path| Some((*path).to_owned())).collect()
    }

    #[test]
    fn the_path_to_every_string_is_known() {
        let text =
            r#" {"a": {"b": "@", "c": [1, "@", {"d": "x@"}], "e": -1.5e3}, "f\u0041\"": "\"@", "g": null} "#;
        assert_eq!(paths(text), some(&["a.b", "a.c.1", "a.c.2.d", "fA\""]));
        assert_eq!(paths(r#""@" {"a":"@"}{"b":"@"}"#), some(&["", "a", "b"]));
        assert_eq!(paths(r#"{"a":[],"b":{},"c":"@"}"#), some(&["c"]));
    }

    #[test]
    fn names_and_what_is_no_json_have_no_path() {
        for text in [
            r#"{"@": 1}"#,
            r#"{"a" "@"}"#,
            r#"{"a": "x" "@"}"#,
            r#"["x"}, "@"]"#,
            r#"{"a": @}"#,
            r#"{,"a":"@"}"#,
            r#"["a",,"@"]"#,
            r#"'"@"'"#,
            r#"]["@"]"#,
            r#"{"a":"x",} "@""#,
        ] {
            assert_eq!(paths(text), [None], "{text}");
        }
        assert_eq!(paths(&format!("{}\"@\"", "[".repeat(129))), [None]);
        assert_eq!(paths(&format!("{{\"{}\":\"@\"}}", "n".repeat(1025))), [None]);
    }
}
