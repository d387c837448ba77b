//! Forms of text that only `cella.toml` has.

use core::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Code, ContractRef, ItemName, Place, Preset, Redaction, ServerName, ToolName,
    egress::host_name,
    read::{Fault, Word, reads_text},
    suggest,
};

reads_text!(
    ContractText,
    ExposedName,
    HostText,
    IdleStop,
    OriginText,
    PackageText,
    Redact,
    SocketText,
    VersionText
);

/// Longest name of a tool that model APIs accept, in characters.
const EXPOSED_MAX: usize = 64;

/// A preset or a file.
#[derive(Clone, Debug)]
pub(crate) struct ContractText(pub(crate) ContractRef);

/// A duration or `never`.
#[derive(Clone, Debug)]
pub(crate) struct IdleStop(pub(crate) Option<Duration>);

/// `server/tool`
#[derive(Clone, Debug)]
pub(crate) struct ItemText(pub(crate) ItemName);

/// A name that clients will see.
#[derive(Clone, Debug)]
pub(crate) struct ExposedName(pub(crate) Box<str>);

/// An address with a port.
#[derive(Clone, Debug)]
pub(crate) struct SocketText(pub(crate) SocketAddr);

/// A host name or address without port.
#[derive(Clone, Debug)]
pub(crate) struct HostText(pub(crate) Box<str>);

/// A web origin.
#[derive(Clone, Debug)]
pub(crate) struct OriginText(pub(crate) Box<str>);

/// A member to take out.
#[derive(Clone, Debug)]
pub(crate) struct Redact(pub(crate) Redaction);

/// The name of a package.
#[derive(Clone, Debug)]
pub(crate) struct PackageText(pub(crate) Box<str>);

/// A version or digest.
#[derive(Clone, Debug)]
pub(crate) struct VersionText(pub(crate) Box<str>);

impl Word for ContractText {
    const EXPECTED: &'static str = "\"untrusted\", \"semi-trusted\", \"trusted\" or a file";

    fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        if let Ok(preset) = Preset::parse(text, place) {
            return Ok(Self(ContractRef::Preset(preset)));
        }
        if text.contains('/') || text.ends_with(".toml") {
            return super::PathText::parse(text, place).map(|path| Self(ContractRef::File(path.0)));
        }
        let presets: Vec<&str> = Preset::ALL.iter().map(|p| p.as_str()).collect();
        let fault =
            Fault::new(Code::UNKNOWN_WORD, format!("{text:?} is neither a preset nor a contract file"));
        Err(match suggest::closest(text, &presets) {
            Some(preset) => fault.fix(format!("did you mean {preset:?}?")),
            None => fault
                .fix(format!("\"untrusted\", \"semi-trusted\", \"trusted\", or a file: \"./{text}.toml\"")),
        })
    }

    fn schema() -> Value {
        json!({"anyOf": [Preset::schema(), {"type": "string", "pattern": "/|\\.toml$"}]})
    }
}

impl Word for IdleStop {
    const EXPECTED: &'static str = "a duration such as \"10m\", or \"never\"";

    fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        if text == "never" {
            return Ok(Self(None));
        }
        Duration::parse(text, place).map(|after| Self(Some(after)))
    }

    fn schema() -> Value {
        json!({"anyOf": [Duration::schema(), {"const": "never"}]})
    }
}

impl Word for ItemText {
    const EXPECTED: &'static str = "a tool as \"server/tool\"";

    fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        let Some((server, item)) = text.split_once('/') else {
            return Err(Fault::new(Code::BAD_NAME, format!("{text:?} does not name a tool of a server"))
                .fix("the server, a slash and the tool's own name: \"github/create_issue\""));
        };
        let server = ServerName::parse(server, place)?;
        let item = ToolName::parse(item, place)?.as_str().into();
        Ok(Self(ItemName { server, item }))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}/.+$"})
    }
}

impl Word for ExposedName {
    const EXPECTED: &'static str = "a name for clients";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if plain && (1..=EXPOSED_MAX).contains(&text.len()) {
            return Ok(Self(text.into()));
        }
        Err(Fault::new(Code::BAD_NAME, format!("{text:?} is not a name that clients accept"))
            .cause("model APIs accept 1 to 64 of A-Z a-z 0-9 _ -"))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
    }
}

impl Word for SocketText {
    const EXPECTED: &'static str = "an address such as \"127.0.0.1:7878\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let text = text
            .strip_prefix("localhost:")
            .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse().map(Self).map_err(|_| {
            Fault::new(Code::BAD_FORM, format!("{text:?} is not an address")).fix(
                "a literal address and a port: \"127.0.0.1:7878\", \"[::1]:7878\", \"0.0.0.0:7878\" for all",
            )
        })
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^.+:[0-9]{1,5}$", "examples": ["127.0.0.1:7878"]})
    }
}

impl Word for HostText {
    const EXPECTED: &'static str = "a host name such as \"cella.example.com\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let literal = text.trim_start_matches('[').trim_end_matches(']').parse::<core::net::IpAddr>().is_ok();
        match host_name(text).or_else(|| literal.then(|| text.to_ascii_lowercase())) {
            Some(host) => Ok(Self(host.into())),
            None => Err(Fault::new(Code::BAD_FORM, format!("{text:?} is not a host name"))
                .fix("the name or address alone, without scheme and port: \"cella.example.com\"")),
        }
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[A-Za-z0-9._:\\[\\]-]+$"})
    }
}

impl Word for OriginText {
    const EXPECTED: &'static str = "an origin such as \"https://console.example.com\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let fault = || {
            Fault::new(Code::BAD_FORM, format!("{text:?} is not an origin")).fix(
                "scheme and host, and the port if it is not the usual one: \"https://console.example.com\"",
            )
        };
        let (scheme, host) = text.split_once("://").ok_or_else(fault)?;
        let plain = host.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@*\\".contains(&b));
        if matches!(scheme, "http" | "https") && !host.is_empty() && plain {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        Err(fault())
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^https?://[^/?#@*]+$"})
    }
}

impl Word for Redact {
    const EXPECTED: &'static str = "a name such as \"password\", or a JSON pointer";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        if let Some(pointer) = text.strip_prefix('/') {
            let step = |step: &str| step.replace("~1", "/").replace("~0", "~").into();
            return Ok(Self(Redaction::Pointer(pointer.split('/').map(step).collect())));
        }
        if text.is_empty() || text.contains('/') {
            return Err(Fault::new(Code::BAD_FORM, format!("{text:?} names no member"))
                .fix("a name (\"password\", \"*token*\"), or a pointer that begins with a slash (\"/card/number\")"));
        }
        Ok(Self(Redaction::Name(text.into())))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^/|^[^/]+$"})
    }
}

impl Word for PackageText {
    const EXPECTED: &'static str = "the name of a package";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@/._-[],".contains(&b));
        if plain && (1..=214).contains(&text.len()) && !text.starts_with('-') && !text.contains("..") {
            return Ok(Self(text.into()));
        }
        Err(Fault::new(Code::BAD_FORM, format!("{text:?} is not the name of a package")))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[@A-Za-z0-9][A-Za-z0-9@/._,\\[\\]-]*$", "maxLength": 214})
    }
}

impl Word for VersionText {
    const EXPECTED: &'static str = "an exact version";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+_!:=/".contains(&b));
        if plain && (1..=200).contains(&text.len()) && !text.starts_with('-') {
            return Ok(Self(text.into()));
        }
        Err(Fault::new(Code::BAD_FORM, format!("{text:?} is not an exact version"))
            .cause("ranges and tags change under one's feet"))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9.+_!:=/-]*$", "maxLength": 200})
    }
}
