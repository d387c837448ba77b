//! Names that stand in files, URLs, tool names and events: what they may look like.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde_json::{Value, json};

use crate::{
    Code, Place,
    read::{Fault, Word},
};

/// Longest name of a server, in characters: `mcp__NAME__` then leaves 25 of the 64 that model APIs allow for the tool.
pub const SERVER_NAME_MAX: usize = 32;
/// Longest name of a tool, phase or lock, in bytes. Stops a file from growing status displays without end.
pub const TOOL_NAME_MAX: usize = 128;

/// Taken by Cella itself: its own tools and resources have this prefix.
const RESERVED: [&str; 1] = ["cella"];

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $check:path, $schema:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// [`BadName`] says what is wrong with it.
            pub fn new(text: &str) -> Result<Self, BadName> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Word for $name {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
                Self::new(text).map_err(|bad| {
                    Fault::new(Code::BAD_NAME, format!("{text:?} is not {}", $expected)).cause(bad.reason)
                })
            }

            fn schema() -> Value {
                $schema
            }
        }
    )+};
}

names! {
    /// The name of a server, view or client: 1 to 32 of `A-Z a-z 0-9 _ -`, beginning with a letter or digit, without `__`
    /// and not ending in `_`, so that `mcp__SERVER__TOOL` can be taken apart again.
    ServerName, "a name", place_name,
        json!({"type": "string", "pattern": "^[A-Za-z0-9](?!.*__)([A-Za-z0-9_-]{0,30}[A-Za-z0-9-])?$"});
    /// A tool's own name, as its server gives it.
    ToolName, "the name of a tool", printable,
        json!({"type": "string", "minLength": 1, "maxLength": TOOL_NAME_MAX});
    /// A label of plan steps, for example `execute`.
    Phase, "the name of a phase", word,
        json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"});
    /// What two calls must not touch at once, for example `fs:/invoices/**` or `row:orders/{id}`.
    Lock, "a lock such as \"fs:/invoices/**\"", lock,
        json!({"type": "string", "pattern": "^[a-z][a-z0-9_-]*:.+$"});
    /// The name of a host, in lower case.
    HostName, "a host name such as \"api.github.com\"", host,
        json!({"type": "string", "pattern": "^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$"});
    /// The name of an environment variable.
    EnvName, "the name of an environment variable", env_name,
        json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"});
    /// The name of an HTTP header that an operator may set.
    HeaderName, "the name of an HTTP header", header_name,
        json!({"type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"});
}

/// Why a text is not a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadName {
    /// In words.
    pub reason: &'static str,
}

const fn bad(reason: &'static str) -> BadName {
    BadName { reason }
}

fn place_name(text: &str) -> Result<(), BadName> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if text.is_empty() || text.len() > SERVER_NAME_MAX {
        Err(bad(
            "it must have 1 to 32 characters, so that mcp__SERVER__TOOL fits the 64 that model APIs allow",
        ))
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        Err(bad("only A-Z a-z 0-9 _ and - are allowed, because it becomes a part of tool names and URLs"))
    } else if !edge(text.chars().next()) {
        Err(bad("it must begin with a letter or digit"))
    } else if text.contains("__") || text.ends_with('_') {
        Err(bad(
            "`__` separates server and tool in tool names, so it may neither contain `__` nor end in `_`",
        ))
    } else if RESERVED.iter().any(|name| text.eq_ignore_ascii_case(name)) {
        Err(bad("this name is Cella's own"))
    } else {
        Ok(())
    }
}

fn printable(text: &str) -> Result<(), BadName> {
    if text.is_empty() || text.len() > TOOL_NAME_MAX {
        Err(bad("it must have 1 to 128 bytes"))
    } else if text.chars().any(char::is_control) {
        Err(bad("it has a control character"))
    } else {
        Ok(())
    }
}

fn word(text: &str) -> Result<(), BadName> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b));
    if first && rest && text.len() <= 64 {
        Ok(())
    } else {
        Err(bad("it must be 1 to 64 of a-z 0-9 _ . - beginning with a letter or digit"))
    }
}

fn lock(text: &str) -> Result<(), BadName> {
    let space = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    match text.split_once(':') {
        Some((kind, what))
            if kind.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
                && kind.bytes().all(space)
                && !what.is_empty() =>
        {
            printable(text)
        }
        _ => Err(bad("it must be a kind in lower case, a colon and what is locked")),
    }
}

fn host(text: &str) -> Result<(), BadName> {
    match crate::egress::host_name(text) {
        Some(name) if name == text => Ok(()),
        _ => Err(bad("it must be labels of a-z 0-9 - joined by dots, in lower case, without port")),
    }
}

fn env_name(text: &str) -> Result<(), BadName> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        Ok(())
    } else {
        Err(bad("it must be letters, digits and _, not beginning with a digit"))
    }
}

fn header_name(text: &str) -> Result<(), BadName> {
    /// Headers that carry the protocol or the connection: an operator's value would break or bypass it.
    const OWN: [&str; 12] = [
        "accept",
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "last-event-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    ];
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let lower = text.to_ascii_lowercase();
    if text.is_empty() || !text.bytes().all(token) {
        Err(bad("it has a character that HTTP does not allow in header names"))
    } else if OWN.contains(&lower.as_str()) || lower.starts_with("mcp-") {
        Err(bad("this header belongs to the protocol; Cella sets it"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_can_be_taken_out_of_a_tool_name_again() {
        for name in ["a", "git-hub", "Files2", "a_b", "x".repeat(32).as_str()] {
            assert!(ServerName::new(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "a__b",
            "a_",
            "_a",
            "-a",
            "a.b",
            "a/b",
            "ä",
            "a b",
            "cella",
            "Cella",
            "x".repeat(33).as_str(),
        ] {
            assert!(ServerName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn headers_of_the_protocol_cannot_be_set() {
        assert!(HeaderName::new("Authorization").is_ok());
        for name in ["Host", "MCP-Session-Id", "content-length", "a b", "", "x:y", "x\r\ny"] {
            assert!(HeaderName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_lock_says_which_kind_of_thing_it_locks() {
        for lock in ["fs:/invoices/**", "row:orders/{id}"] {
            assert!(Lock::new(lock).is_ok(), "{lock}");
        }
        for lock in ["", "fs", ":x", "fs:", "Fs:/x", "fs:\n"] {
            assert!(Lock::new(lock).is_err(), "{lock:?}");
        }
    }
}
