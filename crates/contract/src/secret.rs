//! Where a secret is kept, and what looks like one.

use std::{fmt, path::PathBuf};

use crate::{Code, Place, read::Fault};

/// Where the value of a secret comes from. This crate never sees the value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretRef {
    /// An environment variable of the node, by name: `env:GITHUB_TOKEN`.
    Env(Box<str>),
    /// The content of a file, without the newline at its end: `file:~/.config/github-token`.
    File(PathBuf),
    /// What a program prints, without the newline at its end: `cmd:pass show github`. Split like a shell does, but no
    /// shell runs.
    Command(Vec<String>),
}

impl SecretRef {
    /// Reads a reference. `None`: the text is none.
    pub(crate) fn parse(text: &str, place: &Place) -> Option<Result<Self, Fault>> {
        let (scheme, rest) = text.split_once(':')?;
        Some(match scheme {
            "env" => env(rest),
            "file" => file(rest, place),
            "cmd" => command(rest),
            "vault" => Err(Fault::new(Code::NOT_YET, "`vault:` is not available yet")
                .cause("this version of Cella has no vault")
                .fix("`env:NAME`, `file:PATH` or `cmd:PROGRAM ARGS`")),
            _ => return None,
        })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(words) => match shlex::try_join(words.iter().map(String::as_str)) {
                Ok(line) => write!(f, "cmd:{line}"),
                Err(_) => f.write_str("cmd:"),
            },
        }
    }
}

fn env(name: &str) -> Result<SecretRef, Fault> {
    if is_variable(name) {
        return Ok(SecretRef::Env(name.into()));
    }
    Err(Fault::new(Code::BAD_SECRET, format!("`env:{name}` does not name a variable"))
        .fix("`env:NAME` for a secret; `text:env:...` to pass this text as it is"))
}

/// A path must say what it is relative to: `file:test.db` is far more often a database URL than a secret.
fn file(path: &str, place: &Place) -> Result<SecretRef, Fault> {
    let fault = |cause: String| {
        Fault::new(Code::BAD_SECRET, format!("`file:{path}` does not name a secret's file"))
            .cause(cause)
            .fix("`file:/absolute/path`, `file:./path` or `file:~/path`; `text:file:...` to pass this text as it is")
    };
    if !["/", "./", "~/"].iter().any(|start| path.starts_with(start)) {
        return Err(fault("the path must begin with `/`, `./` or `~/`".to_owned()));
    }
    if path.starts_with("//") {
        return Err(fault("it is a URL".to_owned()));
    }
    place.resolve(path).map(SecretRef::File).map_err(|error| fault(error.to_string()))
}

fn command(line: &str) -> Result<SecretRef, Fault> {
    let words = shlex::split(line).filter(|words| !words.is_empty() && !line.contains('\0'));
    words.map(SecretRef::Command).ok_or_else(|| {
        Fault::new(Code::BAD_SECRET, format!("`cmd:{line}` is not a command"))
            .cause("it is empty, or a quote is not closed")
            .fix("`cmd:PROGRAM ARGS`; `text:cmd:...` to pass this text as it is")
    })
}

/// Letters, digits and `_`, not beginning with a digit.
pub(crate) fn is_variable(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// How keys of well-known services begin, and how long they are at least.
const KEY_PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("sk-", 20),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xapp-", 20),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 30),
    ("npm_", 20),
    ("pypi-", 20),
    ("hf_", 20),
    ("dop_v1_", 20),
    ("shpat_", 20),
    ("ntn_", 20),
    ("secret_", 20),
    ("lin_api_", 20),
    ("SG.", 20),
    ("eyJ", 40),
    ("-----BEGIN", 10),
    ("Bearer ", 20),
    ("Basic ", 12),
];

/// Words that name a secret.
const SECRET_WORDS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "api_key",
    "private_key",
    "access_key",
    "credential",
];

/// Whether a name says that its value is secret: `GITHUB_TOKEN`, `X-Api-Key`.
#[must_use]
pub fn names_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| lower.contains(word))
        || lower.ends_with("_key")
        || lower.ends_with("_pat")
        || lower == "authorization"
}

/// Whether a text looks like a secret by itself, or by its name and its look.
#[must_use]
pub fn looks_secret(name: &str, text: &str) -> bool {
    let known = KEY_PREFIXES.iter().any(|(start, length)| text.starts_with(start) && text.len() >= *length);
    known || (names_secret(name) && looks_random(text))
}

/// Not a word, a path, a URL or a number: no spaces, long enough, and letters mixed with digits.
fn looks_random(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    let letters = text.bytes().any(|b| b.is_ascii_alphabetic());
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    plain
        && text.len() >= 12
        && letters
        && digits
        && !text.contains("://")
        && !text.starts_with(['/', '.', '~', '$'])
}

/// A line for display, with what looks like a secret replaced character by character, so that columns stay.
pub(crate) fn mask(line: &str) -> String {
    let name = line.split('=').next().unwrap_or_default();
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.find(['"', '\'']) {
        let quote = &rest[open..=open];
        let (before, inside) = rest.split_at(open + 1);
        shown.push_str(before);
        let close = inside.find(quote).unwrap_or(inside.len());
        let (text, after) = inside.split_at(close);
        // The name nearest before the text, for inline tables: `env = { TOKEN = "..." }`.
        let near = before.rsplit([',', '{']).next().unwrap_or(before);
        let option = text.split_once('=').filter(|(name, value)| looks_secret(name, value));
        if let Some((name, value)) = option {
            shown.push_str(name);
            shown.push('=');
            shown.extend(value.chars().map(|_| '*'));
        } else if looks_secret(near, text) || looks_secret(name, text) {
            shown.extend(text.chars().map(|_| '*'));
        } else {
            shown.push_str(text);
        }
        let end = close.saturating_add(1).min(inside.len());
        shown.push_str(if after.is_empty() { "" } else { quote });
        rest = &inside[end..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests;
