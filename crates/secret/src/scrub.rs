//! Values out of answers. A server that repeats what it was sent (an echo, an error message, a debug page) would otherwise
//! hand the value to the cell.
//!
//! Not seen: what a server encrypts, compresses inside of another format, cuts into pieces (ranges), breaks into lines or
//! changes in any way that is not one of the forms.

mod body;
mod decode;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};

pub use self::body::{BodyScrubber, ScrubError};
use crate::{
    Binding,
    patterns::Patterns,
    sieve::{Piece, Sieve},
};

/// The most that `Accept-Encoding` may ask of a host with bindings. `zstd` is decoded but not asked for: its decoder holds
/// a window's length back, and an event stream would stand still.
pub const ACCEPT_ENCODING: &str = "gzip, br, deflate";

/// Finds the values of some bindings and puts their placeholders back. Made once for a cell and shared.
#[derive(Clone, Debug)]
pub struct Scrubber {
    patterns: Arc<Patterns>,
    /// What takes the place of each pattern.
    replacements: Arc<[Box<[u8]>]>,
}

// === impl Scrubber ===

impl Scrubber {
    /// A scrubber for these bindings: those of a cell, or those that reach a host.
    #[must_use]
    pub fn new<'a>(bindings: impl IntoIterator<Item = &'a Binding>) -> Self {
        let bindings: Vec<&Binding> = bindings.into_iter().collect();
        let patterns = Patterns::new(bindings.iter().map(|binding| binding.value()));
        let replacement = |subject: usize| bindings[subject].placeholder().as_str().as_bytes();
        let entries = patterns.entries().iter();
        let replacements =
            entries.map(|entry| entry.form.write(replacement(entry.subject)).into_boxed_slice()).collect();
        Self { patterns: Arc::new(patterns), replacements }
    }

    /// Scrubs the values of headers or trailers in place; tells how many finds there were.
    pub fn headers(&self, headers: &mut HeaderMap) -> u64 {
        let mut hits = 0;
        for value in headers.values_mut() {
            let mut out = Vec::with_capacity(value.len());
            let found = self.text(value.as_bytes(), &mut out);
            if found > 0 {
                // Placeholders are ASCII and what stands around them was a header's value before.
                *value = HeaderValue::from_bytes(&out).unwrap_or_else(|_| HeaderValue::from_static(""));
                hits += found;
            }
        }
        hits
    }

    /// Scrubs the headers of an answer and begins with its body, which comes out without a content coding and with another
    /// length: the headers that speak of those are taken off. Finds in the headers count as finds of the body.
    ///
    /// # Errors
    /// When the body has a coding that cannot be decoded here.
    pub fn answer(&self, headers: &mut HeaderMap) -> Result<BodyScrubber, ScrubError> {
        let mut body = BodyScrubber::new(self.clone(), headers)?;
        for name in [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::ACCEPT_RANGES] {
            headers.remove(name);
        }
        body.found(self.headers(headers));
        Ok(body)
    }

    /// Scrubs a text that is complete.
    fn text(&self, text: &[u8], out: &mut Vec<u8>) -> u64 {
        let mut hits = 0;
        let done: Result<(), std::convert::Infallible> = Sieve::whole(&self.patterns, text, |piece| {
            hits += self.take(&piece, out);
            Ok(())
        });
        match done {
            Ok(()) => hits,
            Err(never) => match never {},
        }
    }

    /// Writes a piece, or what takes its place; tells the number of finds.
    fn take(&self, piece: &Piece<'_>, out: &mut Vec<u8>) -> u64 {
        match piece {
            Piece::Plain(plain) => out.extend_from_slice(plain),
            Piece::Hit(hit) => out.extend_from_slice(&self.replacements[hit.pattern]),
        }
        u64::from(matches!(piece, Piece::Hit(_)))
    }

    fn sieve(&self) -> Sieve {
        Sieve::new(Arc::clone(&self.patterns))
    }
}

#[cfg(test)]
mod tests;
