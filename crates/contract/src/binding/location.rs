//! At which places of a request a secret may stand.

use std::fmt;

/// Most names in a JSON path. A deeper body has no place for a secret.
const STEPS_MAX: usize = 32;

/// A place in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `header` or `header:NAME`: the value of any header, or of that one (lower case).
    Header(Option<String>),
    /// `basic`: user name or password of Basic authentication.
    Basic,
    /// `query` or `query:NAME`: the value of any parameter, or of that one.
    Query(Option<String>),
    /// `form` or `form:NAME`: the value of a field of an `application/x-www-form-urlencoded` body.
    Form(Option<String>),
    /// `json:FIELD.PATH`: a string of a JSON body. `json:**`: any string value.
    Json(Vec<JsonStep>),
    /// `sigv4`: never sent; requests are signed with it.
    SigV4,
}

/// A step of a path into a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonStep {
    /// The member of that name.
    Member(String),
    /// `*`: any member or any element.
    Any,
    /// `**`, only as the last step: anything below.
    Rest,
}

// === impl Location ===

impl Location {
    /// True for a header (lower case) in which no secret may stand, because it says where a message goes or how it is framed.
    #[must_use]
    pub fn is_framing(header: &str) -> bool {
        FRAMING.contains(&header)
    }

    /// Reads a word of `in`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word.split_once(':') {
            None => match word {
                "header" => Ok(Self::Header(None)),
                "basic" => Ok(Self::Basic),
                "query" => Ok(Self::Query(None)),
                "form" => Ok(Self::Form(None)),
                "sigv4" => Ok(Self::SigV4),
                _ => Err(WORDS.to_owned()),
            },
            Some(("header", name)) => header(name),
            Some(("query", name)) => Ok(Self::Query(Some(field(name)?))),
            Some(("form", name)) => Ok(Self::Form(Some(field(name)?))),
            Some(("json", path)) => json(path),
            Some(_) => Err(WORDS.to_owned()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, word: &str, name: &Option<String>| match name {
            None => f.write_str(word),
            Some(name) => write!(f, "{word}:{name}"),
        };
        match self {
            Self::Header(name) => named(f, "header", name),
            Self::Basic => f.write_str("basic"),
            Self::Query(name) => named(f, "query", name),
            Self::Form(name) => named(f, "form", name),
            Self::SigV4 => f.write_str("sigv4"),
            Self::Json(steps) => {
                let steps: Vec<&str> = steps.iter().map(JsonStep::as_str).collect();
                write!(f, "json:{}", steps.join("."))
            }
        }
    }
}

// === impl JsonStep ===

impl JsonStep {
    fn as_str(&self) -> &str {
        match self {
            Self::Member(name) => name,
            Self::Any => "*",
            Self::Rest => "**",
        }
    }
}

const WORDS: &str =
    "write header, header:NAME, basic, query, query:NAME, form, form:NAME, json:FIELD.PATH or sigv4";

/// Headers that say where a message goes and how long it is. A secret in one of them would be sent to whoever reads them
/// first, or would change the framing.
const FRAMING: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "content-encoding",
    "content-type",
    "expect",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header(name: &str) -> Result<Location, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let name = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(token) {
        return Err("write the name of a header, for example header:x-api-key".to_owned());
    }
    if Location::is_framing(&name) {
        return Err(format!("choose another header: `{name}` says how the request is sent"));
    }
    Ok(Location::Header(Some(name)))
}

fn field(name: &str) -> Result<String, String> {
    let fits = !name.is_empty() && !name.bytes().any(|b| b.is_ascii_control());
    fits.then(|| name.to_owned())
        .ok_or_else(|| "write the name of a parameter, for example query:key".to_owned())
}

fn json(path: &str) -> Result<Location, String> {
    let steps: Vec<JsonStep> = path
        .split('.')
        .map(|step| match step {
            "*" => JsonStep::Any,
            "**" => JsonStep::Rest,
            name => JsonStep::Member(name.to_owned()),
        })
        .collect();
    let empty = |s: &JsonStep| matches!(s, JsonStep::Member(name) if name.is_empty());
    let early = steps.iter().rev().skip(1).any(|s| *s == JsonStep::Rest);
    if steps.len() > STEPS_MAX || steps.iter().any(empty) || early {
        return Err(
            "write names with dots between, * for any one and ** for all below: json:auth.token".to_owned()
        );
    }
    Ok(Location::Json(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_location_is_written_as_it_is_read() {
        for word in [
            "header",
            "header:x-api-key",
            "basic",
            "query",
            "query:key",
            "form",
            "form:client_secret",
            "json:a.b",
            "json:items.*.key",
            "json:**",
            "sigv4",
        ] {
            assert_eq!(Location::parse(word).expect(word).to_string(), word);
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for wrong in [
            "",
            "body",
            "Header",
            "header:",
            "header:a b",
            "header:Host",
            "basic:user",
            "query:",
            "json",
            "json:",
            "json:a..b",
            "json:**.a",
            "sigv4:x",
            "cookie:x",
        ] {
            assert!(Location::parse(wrong).is_err(), "{wrong}");
        }
    }
}
