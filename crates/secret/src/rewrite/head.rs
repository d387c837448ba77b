//! Target and headers of a request.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use cella_contract::Location;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Gate, Use};
use crate::{
    ACCEPT_ENCODING, Permit, Place, Violation,
    fold::{Escapes, percent_text},
    form::percent,
    sieve::{Piece, Sieve},
};

/// As servers read Basic credentials: padding or not, leftover bits or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const NO_ESCAPES: Escapes = Escapes { percent: false, json: false };
const PERCENT: Escapes = Escapes { percent: true, json: false };

/// The rewritten head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Path and query as they are to be sent.
    pub target: String,
    /// What was put where.
    pub uses: Vec<Use>,
}

pub(super) fn rewrite(gate: &Gate, target: &str, headers: &mut HeaderMap) -> Result<Head, Violation> {
    let mut uses = Vec::new();
    bare(gate, gate.facts.method.as_bytes(), "the method")?;
    bare(gate, gate.facts.authority.as_bytes(), "the authority")?;
    let target = query(gate, target, &mut uses)?;
    for name in headers.keys() {
        bare(gate, name.as_str().as_bytes(), "the name of a header")?;
    }
    for (name, value) in headers.iter_mut() {
        if let Some(rewritten) = header(gate, name, value, &mut uses)? {
            *value = rewritten;
        }
    }
    Ok(Head { target, uses })
}

/// Takes out of `Accept-Encoding` what answers could not be scrubbed in. Before a request is signed: SDKs sign this header.
pub(super) fn narrow(headers: &mut HeaderMap) {
    let asked = headers.get_all(header::ACCEPT_ENCODING).iter();
    let asked: Vec<String> = asked.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect();
    if asked.is_empty() {
        return;
    }
    let asked = asked.join(",");
    let known = |coding: &&str| {
        let name = coding.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        ACCEPT_ENCODING.split(", ").chain(["identity", "x-gzip"]).any(|known| known == name)
    };
    let kept: Vec<&str> = asked.split(',').map(str::trim).filter(known).collect();
    let kept = if kept.is_empty() { "identity".to_owned() } else { kept.join(", ") };
    // A header's value, of parts of one.
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::try_from(kept).unwrap_or(HeaderValue::from_static("identity")),
    );
}

/// Checks that no header holds a placeholder.
pub(super) fn none(gate: &Gate, headers: &HeaderMap, place: &'static str) -> Result<(), Violation> {
    headers.iter().try_for_each(|(name, value)| {
        bare(gate, name.as_str().as_bytes(), place)?;
        bare(gate, value.as_bytes(), place)
    })
}

/// Checks that a text in which nothing may stand holds nothing.
fn bare(gate: &Gate, text: &[u8], place: &'static str) -> Result<(), Violation> {
    Sieve::whole(&gate.index.patterns, text, |piece| match piece {
        Piece::Plain(_) => Ok(()),
        Piece::Hit(hit) => gate.permit(&hit, &Place::Elsewhere(place), NO_ESCAPES).map(|_| ()),
    })
}

/// A text with its placeholders replaced; `write` puts a value in or finds that it does not fit.
fn replaced(
    gate: &Gate,
    text: &[u8],
    (place, usual): (&Place, Escapes),
    uses: &mut Vec<Use>,
    mut write: impl FnMut(Permit<'_>, &mut Vec<u8>) -> Result<(), Violation>,
) -> Result<Option<Vec<u8>>, Violation> {
    let mut out = Vec::with_capacity(text.len());
    let before = uses.len();
    Sieve::whole(&gate.index.patterns, text, |piece| match piece {
        Piece::Plain(plain) => {
            out.extend_from_slice(plain);
            Ok(())
        }
        Piece::Hit(hit) => {
            let permit = gate.permit(&hit, place, usual)?;
            uses.push(Use::of(permit, place));
            write(permit, &mut out)
        }
    })?;
    Ok((uses.len() > before).then_some(out))
}

fn query(gate: &Gate, target: &str, uses: &mut Vec<Use>) -> Result<String, Violation> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    bare(gate, path.as_bytes(), "the path")?;
    let Some(query) = query else { return Ok(target.to_owned()) };
    let mut out = path.to_owned();
    for (n, pair) in query.split('&').enumerate() {
        out.push(if n == 0 { '?' } else { '&' });
        let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
        bare(gate, name.as_bytes(), "the name of a query parameter")?;
        out.push_str(name);
        let Some(value) = value else { continue };
        out.push('=');
        let place = Place::Query(field_name(name.as_bytes()));
        let written = replaced(gate, value.as_bytes(), (&place, PERCENT), uses, |permit, out| {
            out.extend(percent(permit.value(), b"%20"));
            Ok(())
        })?;
        // What is not replaced stays as it was, and what is put in is ASCII.
        out.push_str(&written.map_or_else(|| value.into(), |w| String::from_utf8_lossy(&w).into_owned()));
    }
    Ok(out)
}

/// The name of a parameter or field as it is meant.
pub(super) fn field_name(written: &[u8]) -> String {
    let spaced: Vec<u8> = written.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    String::from_utf8_lossy(&percent_text(&spaced)).into_owned()
}

fn header(
    gate: &Gate,
    name: &HeaderName,
    value: &HeaderValue,
    uses: &mut Vec<Use>,
) -> Result<Option<HeaderValue>, Violation> {
    if Location::is_framing(name.as_str()) {
        bare(gate, value.as_bytes(), "a header that says how the request is sent")?;
        if *name != header::PROXY_AUTHORIZATION {
            return Ok(None);
        }
    }
    if let Some((scheme, credentials)) = basic(value) {
        // To the proxy that this process is itself: nothing to put in, but nothing to let pass either.
        if *name != header::AUTHORIZATION {
            bare(gate, &credentials, "Basic authentication outside of the header authorization")?;
        } else if let Some(written) = user_and_password(gate, &credentials, uses)? {
            let encoded = format!("{scheme} {}", STANDARD.encode(written));
            return Ok(HeaderValue::try_from(encoded).ok().map(sensitive));
        }
    }
    if Location::is_framing(name.as_str()) {
        return Ok(None);
    }
    let place = Place::Header(name.as_str().to_owned());
    let mut last = None;
    let written = replaced(gate, value.as_bytes(), (&place, NO_ESCAPES), uses, |permit, out| {
        // Checked here too, so that the message names the right one of several.
        HeaderValue::from_bytes(permit.value()).map_err(|_| Gate::unfit(permit, &place))?;
        last = Some(permit.secret().to_owned());
        out.extend_from_slice(permit.value());
        Ok(())
    })?;
    let Some(written) = written else { return Ok(None) };
    let unfit = || Violation::Unfit { secret: last.unwrap_or_default(), got: place.to_string() };
    HeaderValue::from_bytes(&written).map(|value| Some(sensitive(value))).map_err(|_| unfit())
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Scheme as written and decoded credentials of Basic authentication (RFC 7617).
fn basic(value: &HeaderValue) -> Option<(&str, Vec<u8>)> {
    let (scheme, rest) = value.to_str().ok()?.trim_start().split_once(' ')?;
    let credentials = LENIENT.decode(rest.trim()).ok()?;
    scheme.eq_ignore_ascii_case("basic").then_some((scheme, credentials))
}

fn user_and_password(
    gate: &Gate,
    credentials: &[u8],
    uses: &mut Vec<Use>,
) -> Result<Option<Vec<u8>>, Violation> {
    let place = Place::Basic;
    replaced(gate, credentials, (&place, NO_ESCAPES), uses, |permit, out| {
        // A colon ends the user name; one inside of it would move its rest into the password.
        let in_user = !out.contains(&b':');
        let breaks = |b: &u8| b.is_ascii_control() || (in_user && *b == b':');
        if permit.value().iter().any(breaks) {
            return Err(Gate::unfit(permit, &place));
        }
        out.extend_from_slice(permit.value());
        Ok(())
    })
}
