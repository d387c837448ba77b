//! Texts with holes: `${NAME}`, `${NAME:-default}` and references to secrets, filled in by the caller.

use std::{fmt, ops::Range};

use crate::{Code, Place, SecretRef, read::Fault, secret};

/// A text with holes.
///
/// `${NAME}` is a variable, `${NAME:-text}` one with a default, `${env:NAME}`, `${file:PATH}` and `${cmd:LINE}` are
/// secrets, `$${` is the text `${`; any other `$` is itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// Text as it is.
    Text(Box<str>),
    /// A variable of the node's environment.
    Variable {
        /// Its name.
        name: Box<str>,
        /// What stands in for it when it is unset or empty.
        default: Option<Box<str>>,
    },
    /// A secret.
    Secret(SecretRef),
}

/// A filled template. Its text is not shown by `Debug` when a secret went into it.
#[derive(Clone, PartialEq, Eq)]
pub struct Filled {
    text: String,
    secrets: Vec<Range<usize>>,
}

/// Why a template cannot be filled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError<E> {
    /// A variable without default is not set.
    #[error("{code}: the variable {name} is not set and `${{{name}}}` has no default", code = Code::UNSET_VARIABLE)]
    Unset {
        /// Its name.
        name: Box<str>,
    },
    /// A secret could not be had.
    #[error("the secret {reference} cannot be read: {source}")]
    Secret {
        /// Where it should be.
        reference: SecretRef,
        /// Why.
        source: E,
    },
}

// === impl Template ===

impl Template {
    /// A text without holes.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        let part = (!text.is_empty()).then(|| Part::Text(text.into()));
        Self { parts: part.into_iter().collect() }
    }

    /// A secret and nothing else.
    #[must_use]
    pub fn secret(reference: SecretRef) -> Self {
        Self { parts: vec![Part::Secret(reference)] }
    }

    /// Its pieces, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, when there is no hole in it.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The secrets that go into it.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.parts.iter().filter_map(|part| if let Part::Secret(secret) = part { Some(secret) } else { None })
    }

    /// Fills the holes. `variable` looks up the node's environment, `secret` fetches a value.
    ///
    /// # Errors
    /// [`FillError`] for the first hole that cannot be filled.
    pub fn fill<E>(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        mut secret: impl FnMut(&SecretRef) -> Result<String, E>,
    ) -> Result<Filled, FillError<E>> {
        let mut filled = Filled { text: String::new(), secrets: Vec::new() };
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.text.push_str(text),
                Part::Variable { name, default } => {
                    let value = variable(name).filter(|v| !v.is_empty() || default.is_none());
                    match value.as_deref().or(default.as_deref()) {
                        Some(value) => filled.text.push_str(value),
                        None => return Err(FillError::Unset { name: name.clone() }),
                    }
                }
                Part::Secret(reference) => {
                    let value = secret(reference)
                        .map_err(|source| FillError::Secret { reference: reference.clone(), source })?;
                    let start = filled.text.len();
                    filled.text.push_str(&value);
                    filled.secrets.push(start..filled.text.len());
                }
            }
        }
        Ok(filled)
    }

    /// Reads a text with holes.
    pub(crate) fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                plain.push_str(&rest[..at - 1]);
                plain.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            plain.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}').map(|end| at + end) else {
                return Err(
                    Fault::new(Code::BAD_VARIABLE, "`${` without `}`").fix("`$${` stands for the text `${`")
                );
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(hole(&rest[at + 2..end], place)?);
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        if text.contains('\0') {
            return Err(
                Fault::new(Code::BAD_FORM, "a NUL character").cause("programs and headers cannot take it")
            );
        }
        Ok(Self { parts })
    }

    /// Reads a text that may be a secret as a whole: `env:NAME`. `text:` before it means that it is none.
    pub(crate) fn parse_value(text: &str, place: &Place) -> Result<Self, Fault> {
        if let Some(text) = text.strip_prefix("text:") {
            return Self::parse(text, place);
        }
        match SecretRef::parse(text, place) {
            Some(reference) => reference.map(Self::secret),
            None => Self::parse(text, place),
        }
    }

    /// As it is written where it may be a secret as a whole.
    pub(crate) fn value_text(&self) -> String {
        match &*self.parts {
            [Part::Secret(reference)] => reference.to_string(),
            [Part::Text(text), ..]
                if text.starts_with("text:") || SCHEMES.iter().any(|s| text.starts_with(s)) =>
            {
                format!("text:{self}")
            }
            _ => self.to_string(),
        }
    }
}

/// What [`Template::parse_value`] takes for a reference.
const SCHEMES: [&str; 4] = ["env:", "file:", "cmd:", "vault:"];

fn hole(inside: &str, place: &Place) -> Result<Part, Fault> {
    if let Some(reference) = SecretRef::parse(inside, place).filter(|_| !inside.contains(":-")) {
        return reference.map(Part::Secret);
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default.into())),
        None => (inside, None),
    };
    if secret::is_variable(name) {
        return Ok(Part::Variable { name: name.into(), default });
    }
    Err(Fault::new(Code::BAD_VARIABLE, format!("`${{{inside}}}` is not a variable"))
        .fix("`${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${file:PATH}` or `${cmd:LINE}`; `$${` for the text `${`"))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace("${", "$${"))?,
                Part::Variable { name, default: None } => write!(f, "${{{name}}}")?,
                Part::Variable { name, default: Some(default) } => write!(f, "${{{name}:-{default}}}")?,
                Part::Secret(reference) => write!(f, "${{{reference}}}")?,
            }
        }
        Ok(())
    }
}

/// Literals may be secrets that somebody has not moved yet: only their length is shown.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |part: &Part| match part {
            Part::Text(text) if text.split('=').any(|t| secret::looks_secret("token", t)) => {
                format!("[{} bytes]", text.len())
            }
            Part::Text(text) => text.to_string(),
            other => Self { parts: vec![other.clone()] }.to_string(),
        };
        write!(f, "{:?}", self.parts.iter().map(shown).collect::<String>())
    }
}

// === impl Filled ===

impl Filled {
    /// The text, secrets included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text, secrets included.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Whether a secret went into it.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The values of the secrets in it, for scrubbing.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|range| &self.text[range.clone()])
    }
}

impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() { f.write_str("[secret]") } else { write!(f, "{:?}", self.text) }
    }
}

#[cfg(test)]
mod tests;
