//! Values that may come from elsewhere: the environment, a file, a command, the vault.

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
    /// `vault:NAME`: a secret of the node's vault.
    Vault(String),
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
            Some(("vault", name)) if is_vault_name(name) => Self::Vault(name.to_owned()),
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
            Self::Vault(name) => write!(f, "vault:{name}"),
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

/// True when a literal under this name is probably a secret: by the name, by the look of well-known tokens, or because it
/// is long and looks drawn at random.
#[must_use]
pub fn looks_like_secret(name: &str, value: &str) -> bool {
    const WORDS: [&str; 9] = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "API_KEY",
        "APIKEY",
        "CREDENTIAL",
        "AUTHORIZATION",
    ];
    const ENDS: [&str; 2] = ["_KEY", "_PAT"];
    const STARTS: [&str; 18] = [
        "sk-",
        "sk_live_",
        "ghp_",
        "gho_",
        "ghs_",
        "ghu_",
        "github_pat_",
        "xoxb-",
        "xoxp-",
        "xoxa-",
        "xapp-",
        "AKIA",
        "AIza",
        "glpat-",
        "npm_",
        "hf_",
        "Bearer ",
        "-----BEGIN ",
    ];
    let name = name.to_uppercase().replace('-', "_");
    let named = WORDS.iter().any(|w| name.contains(w)) || ENDS.iter().any(|e| name.ends_with(e));
    // A password is one however short it is, and where it is said to be in a file, it is not the value.
    let password = name.contains("PASSW") && !value.is_empty();
    let path = ["/", "./", "../", "~/"].iter().any(|start| value.starts_with(start));
    let elsewhere =
        path && (name.contains("CREDENTIAL") || name.ends_with("_FILE") || name.ends_with("_PATH"));
    if refers(value) || elsewhere {
        return false;
    }
    let known = STARTS.iter().any(|s| value.starts_with(s));
    password || (value.len() >= 8 && (named || known || (!path && is_random(value))))
}

/// True for a value that says where the secret is, instead of being one.
fn refers(value: &str) -> bool {
    !matches!(Text::read(value), Text::Plain(_)) || value.contains("${")
}

/// True for a text with a long stretch of letters and digits that no word or number has: keys, tokens and hashes.
fn is_random(value: &str) -> bool {
    /// Shortest such stretch, in characters: the keys in use have 20 and more.
    const STRETCH_MIN: usize = 20;
    /// Least entropy, in bits a character: English has less, hexadecimal digits have nearly 4.
    const ENTROPY_MIN: f64 = 3.2;
    if value.contains("://") {
        return false;
    }
    value.split(|c: char| !c.is_ascii_alphanumeric()).any(|stretch| {
        let has = |of: fn(&u8) -> bool| stretch.as_bytes().iter().any(of);
        stretch.len() >= STRETCH_MIN
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
            && entropy(stretch.as_bytes()) >= ENTROPY_MIN
    })
}

/// Shannon's entropy, in bits a character.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let all = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let share = |count: &u32| f64::from(*count) / all;
    counts.iter().filter(|c| **c > 0).map(share).map(|p| -p * p.log2()).sum()
}

/// True for what a vault takes as a name: 1 to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
#[must_use]
pub fn is_vault_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len())
        && text.bytes().all(inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
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
    fn a_vaults_name_is_told_from_a_text_that_only_begins_so() {
        assert_eq!(Text::read("vault:github"), Text::Vault("github".into()));
        assert_eq!(Text::read("vault:github").to_string(), "vault:github");
        for plain in ["vault:", "vault:a b", "vault:/x", "vault"] {
            assert_eq!(Text::read(plain), Text::Plain(plain.into()));
        }
    }

    #[test]
    fn secrets_are_noticed_and_never_printed() {
        assert!(looks_like_secret("GITHUB_TOKEN", "ghp_0123456789"));
        assert!(looks_like_secret("X", "sk-0123456789"));
        assert!(!looks_like_secret("GITHUB_TOKEN", "env:GITHUB_TOKEN"));
        assert!(!looks_like_secret("LANG", "C.UTF-8"));
        for (name, value) in [
            ("X", "xoxb-1234567890"),
            ("X", "AKIAIOSFODNN7EXAMPLE"),
            ("DB_PASSWORD", "x"),
            ("GITLAB_PAT", "abcdefgh"),
            ("Authorization", "Basic dXNlcjpwYXNz"),
            ("X", "16C7e42F292c6912E7710c838347Ae178B4a"),
            ("X", "0f9a7c3e5b1d2864a0f9b7c3"),
        ] {
            assert!(looks_like_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("GITHUB_TOKEN", "vault:github"),
            ("MAX_TOKENS", "4096"),
            ("MODEL", "claude-sonnet-4-5-20250929"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json"),
            ("PACKAGE", "@modelcontextprotocol/server-filesystem"),
            ("URL", "https://host/v1/0f9a7c3e5b1d2864a0f9b7c3"),
            ("DIR", "/nix/store/0f9a7c3e5b1d2864a0f9b7c3"),
            ("N", "123456789012345678901234"),
        ] {
            assert!(!looks_like_secret(name, value), "{name}={value}");
        }
        assert!(!format!("{:?}", Text::read("hunter2")).contains("hunter2"));
    }
}
