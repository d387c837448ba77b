//! Values that may come from elsewhere: the environment, a file, a command.

use std::{fmt, path::PathBuf};

/// A configured value. `Debug` and `Display` show where it comes from, never a literal that might be a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Text {
    /// Written in the file.
    Plain(String),
    /// `env:NAME`: from the node's environment.
    Env(String),
    /// `file:PATH`: the content of a file, its last line break cut off.
    File(PathBuf),
    /// `cmd:PROGRAM ARGS`: what a program prints.
    Command(Vec<String>),
}

// === impl Text ===

impl Text {
    /// Reads a value as it stands in the file.
    #[must_use]
    pub fn read(value: &str) -> Self {
        match value.split_once(':') {
            Some(("env", name)) if is_name(name) => Self::Env(name.to_owned()),
            Some(("file", path)) if !path.is_empty() => Self::File(PathBuf::from(path)),
            Some(("cmd", line)) if !line.trim().is_empty() => {
                Self::Command(line.split_whitespace().map(str::to_owned).collect())
            }
            _ => Self::Plain(value.to_owned()),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => write!(f, "({} characters)", value.chars().count()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(line) => write!(f, "cmd:{}", line.join(" ")),
        }
    }
}

/// Replaces `${NAME}` and `${NAME:-otherwise}`; `$$` is a dollar sign. `lookup` is the environment.
///
/// # Errors
/// The name of a variable that is not set and has no otherwise, or the text after a `${` that never ends.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = inner.find('}').ok_or_else(|| format!("${{{inner}"))?;
            let (name, otherwise) = match inner[..end].split_once(":-") {
                Some((name, otherwise)) => (name, Some(otherwise)),
                None => (&inner[..end], None),
            };
            let value = lookup(name).filter(|v| !v.is_empty() || otherwise.is_none());
            match (value, otherwise) {
                (Some(value), _) => out.push_str(&value),
                (None, Some(otherwise)) => out.push_str(otherwise),
                (None, None) => return Err(name.to_owned()),
            }
            rest = &inner[end + 1..];
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// True when a literal under this name is probably a secret: by the name, or by the look of well-known tokens.
#[must_use]
pub fn looks_like_secret(name: &str, value: &str) -> bool {
    const WORDS: [&str; 8] =
        ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "APIKEY", "CREDENTIAL", "AUTHORIZATION"];
    const STARTS: [&str; 9] =
        ["sk-", "ghp_", "gho_", "github_pat_", "xoxb-", "xoxp-", "AKIA", "glpat-", "Bearer "];
    let name = name.to_uppercase().replace('-', "_");
    let named = WORDS.iter().any(|w| name.contains(w)) || name.ends_with("_KEY");
    let refers =
        matches!(Text::read(value), Text::Env(_) | Text::File(_) | Text::Command(_)) || value.contains("${");
    !refers && value.len() >= 8 && (named || STARTS.iter().any(|s| value.starts_with(s)))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_missing_ones_named() {
        let lookup = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        assert_eq!(expand("${HOME}/x$$y$z", &lookup), Ok("/h/x$y$z".into()));
        assert_eq!(expand("${NO:-other}", &lookup), Ok("other".into()));
        assert_eq!(expand("a${NO}", &lookup), Err("NO".into()));
        assert!(expand("${HOME", &lookup).is_err());
    }

    #[test]
    fn secrets_are_noticed_and_never_printed() {
        assert!(looks_like_secret("GITHUB_TOKEN", "ghp_0123456789"));
        assert!(looks_like_secret("X", "sk-0123456789"));
        assert!(!looks_like_secret("GITHUB_TOKEN", "env:GITHUB_TOKEN"));
        assert!(!looks_like_secret("LANG", "C.UTF-8"));
        assert!(!format!("{:?}", Text::read("hunter2")).contains("hunter2"));
    }
}
