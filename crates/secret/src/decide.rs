//! Whether a value may take the place of its placeholder. Decided here and nowhere else; a mismatch of any kind is a
//! refusal.

use std::fmt;

use cella_contract::{JsonStep, Location};

use crate::{Binding, NormalPath, Violation, limits::EXCERPT_BYTES_MAX};

/// What is known about a request and the connection it is to travel on. Facts, not wishes: who fills this in has looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Server name of the TLS connection; `None` without TLS.
    pub sni: Option<String>,
    /// Whether the connection's address is one that the broker's own resolver gave for that name.
    pub address_vetted: bool,
    /// Whether the server's certificate was valid for that name.
    pub certificate_valid: bool,
    /// `Host` or `:authority` of the request.
    pub authority: String,
    /// Method of the request.
    pub method: String,
    /// Path of the request as sent, without its query.
    pub path: String,
}

/// Where in a request a placeholder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In the value of a header (lower case).
    Header(String),
    /// In the user name or password of Basic authentication.
    Basic,
    /// In the value of a query parameter.
    Query(String),
    /// In the value of a form field.
    Form(String),
    /// In a string of a JSON body, below these members and elements (by number).
    Json(Vec<String>),
    /// As the key of a signature.
    SigV4,
    /// Anywhere else, in words. No binding allows it.
    Elsewhere(&'static str),
}

/// Leave to put the value of one secret at one place of one request. Only [`decide`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Permit<'a> {
    binding: &'a Binding,
}

// === impl Permit ===

impl<'a> Permit<'a> {
    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &'a str {
        self.binding.name()
    }

    /// Its value.
    pub(crate) fn value(&self) -> &'a [u8] {
        self.binding.value()
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header {}", excerpt(name)),
            Self::Basic => f.write_str("Basic authentication"),
            Self::Query(name) => write!(f, "the query parameter {}", excerpt(name)),
            Self::Form(name) => write!(f, "the form field {}", excerpt(name)),
            Self::Json(steps) => write!(f, "the JSON field {}", excerpt(&steps.join("."))),
            Self::SigV4 => f.write_str("a signature"),
            Self::Elsewhere(words) => f.write_str(words),
        }
    }
}

/// Decides about one placeholder at one place.
///
/// # Errors
/// The first thing that does not fit, from the connection inwards.
pub fn decide<'a>(binding: &'a Binding, facts: &Facts, place: &Place) -> Result<Permit<'a>, Violation> {
    connection(binding, facts)?;
    request(binding, facts)?;
    if binding.places.iter().any(|location| allows(location, place)) {
        return Ok(Permit { binding });
    }
    Err(Violation::Place {
        secret: binding.name().to_owned(),
        expected: binding.places.iter().map(ToString::to_string).collect(),
        got: place.to_string(),
    })
}

/// Is at the other end who the binding names?
fn connection(binding: &Binding, facts: &Facts) -> Result<(), Violation> {
    let secret = || binding.name().to_owned();
    let Some(sni) = &facts.sni else { return Err(Violation::NoTls { secret: secret() }) };
    let host = sni.to_ascii_lowercase();
    if !binding.reaches(&host) {
        return Err(Violation::Host {
            secret: secret(),
            expected: binding.hosts.clone(),
            got: excerpt(&host),
        });
    }
    if !facts.address_vetted {
        return Err(Violation::Address { secret: secret(), host });
    }
    if !facts.certificate_valid {
        return Err(Violation::Certificate { secret: secret(), host });
    }
    if host_of(&facts.authority).is_none_or(|named| !named.eq_ignore_ascii_case(&host)) {
        let got = excerpt(&facts.authority);
        return Err(Violation::Authority { secret: secret(), expected: host, got });
    }
    Ok(())
}

/// Is it a request that the binding names?
fn request(binding: &Binding, facts: &Facts) -> Result<(), Violation> {
    let secret = || binding.name().to_owned();
    if let Some(methods) = binding.methods.as_ref().filter(|methods| !methods.contains(&facts.method)) {
        let got = excerpt(&facts.method);
        return Err(Violation::Method { secret: secret(), expected: methods.clone(), got });
    }
    let Some(paths) = &binding.paths else { return Ok(()) };
    let path = NormalPath::read(&facts.path).map_err(|why| {
        let got = excerpt(&facts.path);
        Violation::AmbiguousPath { secret: secret(), got, why }
    })?;
    if !paths.iter().any(|pattern| pattern.fits(path.as_str())) {
        let expected = paths.iter().map(ToString::to_string).collect();
        return Err(Violation::Path { secret: secret(), expected, got: excerpt(path.as_str()) });
    }
    Ok(())
}

/// The host of `host` or `host:port`. A user name in it is an attempt to be misread.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let numbered = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (numbered && !host.contains('@')).then_some(host)
}

fn allows(location: &Location, place: &Place) -> bool {
    let named = |wanted: &Option<String>, got: &String| wanted.as_ref().is_none_or(|wanted| wanted == got);
    match (location, place) {
        (Location::Header(name), Place::Header(got)) => named(name, got),
        (Location::Query(name), Place::Query(got)) | (Location::Form(name), Place::Form(got)) => {
            named(name, got)
        }
        (Location::Basic, Place::Basic) | (Location::SigV4, Place::SigV4) => true,
        (Location::Json(steps), Place::Json(path)) => leads(steps, path),
        _ => false,
    }
}

fn leads(steps: &[JsonStep], path: &[String]) -> bool {
    match (steps, path) {
        ([JsonStep::Rest], _) | ([], []) => true,
        ([JsonStep::Any, steps @ ..], [_, path @ ..]) => leads(steps, path),
        ([JsonStep::Member(name), steps @ ..], [got, path @ ..]) => name == got && leads(steps, path),
        _ => false,
    }
}

/// A part of a request that is fit for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let end = text.floor_char_boundary(EXCERPT_BYTES_MAX);
    let cut = if end < text.len() { "…" } else { "" };
    text[..end].chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).chain(cut.chars()).collect()
}

#[cfg(test)]
mod tests;
