//! Small forms of text in files that need no type of their own outside.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    ByteSize, Code, CpuShare, Egress, HeaderName, HostName, Lock, PathError, Phase, Place, Rate, ServerName,
    Template, ToolName,
    read::{Fault, Word, reads_text},
};

reads_text!(
    ByteSize,
    CpuShare,
    Rate,
    std::time::Duration,
    Egress,
    ServerName,
    ToolName,
    Phase,
    Lock,
    HostName
);
reads_text!(HeaderName, PathText, Plain, ValueText, Method, UrlPath, PlaceholderFormat);

/// A path, made absolute.
#[derive(Clone, Debug)]
pub(crate) struct PathText(pub(crate) PathBuf);

/// A text with variables: a program, an argument, a directory, a URL.
#[derive(Clone, Debug)]
pub(crate) struct Plain(pub(crate) Template);

/// A text with variables that may be a secret as a whole: a variable of the environment, a header.
#[derive(Clone, Debug)]
pub(crate) struct ValueText(pub(crate) Template);

/// An HTTP method.
#[derive(Clone, Debug)]
pub(crate) struct Method(pub(crate) Box<str>);

/// A pattern of a URL's path.
#[derive(Clone, Debug)]
pub(crate) struct UrlPath(pub(crate) Box<str>);

/// The beginning of a placeholder.
#[derive(Clone, Debug)]
pub(crate) struct PlaceholderFormat(pub(crate) Box<str>);

impl Word for PathText {
    const EXPECTED: &'static str = "a path";

    fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        place.resolve(text).map(Self).map_err(|error| {
            let fault = Fault::new(Code::BAD_PATH, format!("{text:?} is not a path that can be used here"));
            let fix = match error {
                PathError::Escapes { .. } => Some("the absolute path"),
                PathError::Variable => Some("the path itself; `~/` stands for the home directory"),
                PathError::Home => Some("the absolute path"),
                _ => None,
            };
            let fault = fault.cause(error.to_string());
            match fix {
                Some(fix) => fault.fix(fix),
                None => fault,
            }
        })
    }

    fn schema() -> Value {
        json!({"type": "string", "minLength": 1})
    }
}

impl Word for Plain {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        Template::parse(text, place).map(Self)
    }

    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl Word for ValueText {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        Template::parse_value(text, place).map(Self)
    }

    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl Word for Method {
    const EXPECTED: &'static str = "an HTTP method such as \"GET\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        if (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase()) {
            return Ok(Self(text.into()));
        }
        Err(Fault::new(Code::BAD_FORM, format!("{text:?} is not an HTTP method"))
            .fix("capital letters: \"GET\""))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[A-Z]{1,20}$"})
    }
}

impl Word for UrlPath {
    const EXPECTED: &'static str = "a path such as \"/repos/*\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#') {
            return Ok(Self(text.into()));
        }
        Err(Fault::new(Code::BAD_FORM, format!("{text:?} is not the path of a URL"))
            .cause("it begins with `/` and has neither spaces nor `?` nor `#`"))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^/[^?# ]*$"})
    }
}

impl Word for PlaceholderFormat {
    const EXPECTED: &'static str = "the beginning of a key such as \"ghp_\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if (1..=32).contains(&text.len()) && plain {
            return Ok(Self(text.into()));
        }
        Err(Fault::new(Code::BAD_FORM, format!("{text:?} is not the beginning of a key"))
            .cause("it has 1 to 32 letters, digits, `_`, `-` or `.`"))
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,32}$"})
    }
}

mod config;

pub(crate) use config::{
    ContractText, ExposedName, HostText, IdleStop, ItemText, OriginText, PackageText, Redact, SocketText,
    VersionText,
};
