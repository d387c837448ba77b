//! Bodies of requests, chunk by chunk.

use std::sync::Arc;

use cella_contract::Location;
use http::{HeaderMap, header};

use super::{Gate, Use, form::FormTracker, json::JsonTracker};
use crate::{
    Permit, Place, Violation,
    decide::excerpt,
    fold::Escapes,
    form,
    sieve::{Hit, Piece, Sieve},
};

/// Rewrites the body of one request. After an error it must not be used, and what it gave must not be completed.
#[derive(Debug)]
pub struct BodyRewriter {
    gate: Arc<Gate>,
    sieve: Sieve,
    layout: Layout,
    uses: Vec<Use>,
}

/// What is known about the places of a body.
#[derive(Debug)]
enum Layout {
    /// Nothing: no secret may stand in it.
    Opaque,
    Json(JsonTracker),
    Form(FormTracker),
}

// === impl BodyRewriter ===

impl BodyRewriter {
    pub(super) fn new(gate: Arc<Gate>, headers: &HeaderMap) -> Result<Self, Violation> {
        let bound = gate.bound().next().is_some();
        if let Some(coding) = coding(headers).filter(|_| bound) {
            let host = gate.facts.sni.clone().unwrap_or_default();
            return Err(Violation::EncodedBody { host, got: excerpt(&coding) });
        }
        let layout = Layout::of(&gate, headers);
        let sieve = Sieve::new(Arc::clone(&gate.index.patterns));
        Ok(Self { gate, sieve, layout, uses: Vec::new() })
    }

    /// True when the body may come out longer or shorter than it went in: `Content-Length` must then be taken off, and the
    /// body sent in chunks or measured first.
    #[must_use]
    pub fn changes_length(&self) -> bool {
        !matches!(self.layout, Layout::Opaque)
    }

    /// Takes a chunk in and appends to `out` what may be sent.
    ///
    /// # Errors
    /// The first placeholder that stands where it must not.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Violation> {
        self.step(chunk, false, out)
    }

    /// Ends the body: appends what was held back, and tells what was put where.
    ///
    /// # Errors
    /// As for [`BodyRewriter::push`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Vec<Use>, Violation> {
        self.step(&[], true, out)?;
        Ok(self.uses)
    }

    fn step(&mut self, chunk: &[u8], end: bool, out: &mut Vec<u8>) -> Result<(), Violation> {
        let Self { gate, sieve, layout, uses } = self;
        sieve.push(chunk, end, |piece| match piece {
            Piece::Plain(plain) => {
                layout.pass(plain);
                out.extend_from_slice(plain);
                Ok(())
            }
            Piece::Hit(hit) => {
                let place = layout.place_of(&hit);
                let permit = gate.permit(&hit, &place, layout.usual())?;
                out.extend(layout.write(permit, &place)?);
                uses.push(Use::of(permit, &place));
                Ok(())
            }
        })
    }
}

// === impl Layout ===

impl Layout {
    /// The layout that the headers declare, if a binding of the host has a place in it.
    fn of(gate: &Gate, headers: &HeaderMap) -> Self {
        let wanted =
            |fits: fn(&Location) -> bool| gate.bound().any(|binding| binding.places.iter().any(fits));
        match media_type(headers).as_deref() {
            Some(kind) if kind == "application/json" || kind.ends_with("+json") => {
                let json = wanted(|place| matches!(place, Location::Json(_)));
                if json { Self::Json(JsonTracker::default()) } else { Self::Opaque }
            }
            Some("application/x-www-form-urlencoded") => {
                let form = wanted(|place| matches!(place, Location::Form(_)));
                if form { Self::Form(FormTracker::default()) } else { Self::Opaque }
            }
            _ => Self::Opaque,
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        match self {
            Self::Opaque => {}
            Self::Json(tracker) => tracker.pass(bytes),
            Self::Form(tracker) => tracker.pass(bytes),
        }
    }

    /// Where a hit stands: in one value, or elsewhere if it begins and ends in different ones.
    fn place_of(&mut self, hit: &Hit<'_>) -> Place {
        let before = self.here();
        self.pass(hit.written);
        let place = before.filter(|(value, _)| self.here().is_some_and(|(after, _)| after == *value));
        place.map_or(Place::Elsewhere("the body"), |(_, place)| place)
    }

    /// The value that is being read, by a number that is its own, and its place.
    fn here(&self) -> Option<(u64, Place)> {
        match self {
            Self::Opaque => None,
            Self::Json(tracker) => tracker.here().map(|(n, path)| (n, Place::Json(path))),
            Self::Form(tracker) => tracker.here().map(|(n, name)| (n, Place::Form(name))),
        }
    }

    fn usual(&self) -> Escapes {
        Escapes { percent: matches!(self, Self::Form(_)), json: matches!(self, Self::Json(_)) }
    }

    fn write(&self, permit: Permit<'_>, place: &Place) -> Result<Vec<u8>, Violation> {
        match self {
            Self::Form(_) => Ok(form::percent(permit.value(), b"+")),
            // Only text can stand in JSON.
            Self::Json(_) if std::str::from_utf8(permit.value()).is_ok() => Ok(form::json(permit.value())),
            _ => Err(Gate::unfit(permit, place)),
        }
    }
}

/// The codings of a body, but for those that leave it readable.
fn coding(headers: &HeaderMap) -> Option<String> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let codings: Vec<String> = codings
        .flat_map(|value| {
            String::from_utf8_lossy(value.as_bytes()).split(',').map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|coding| coding.trim().to_ascii_lowercase())
        // The framing of chunks that S3 clients declare as a coding.
        .filter(|coding| !matches!(coding.as_str(), "" | "identity" | "aws-chunked"))
        .collect();
    (!codings.is_empty()).then(|| codings.join(", "))
}

/// The declared type, lower case, if the text is UTF-8.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next()?.to_owned();
    let charset = parts.find_map(|parameter| parameter.strip_prefix("charset="));
    charset
        .is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
        .then_some(kind)
}
