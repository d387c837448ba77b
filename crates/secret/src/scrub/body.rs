//! Bodies of answers, chunk by chunk.

use http::{HeaderMap, header};

use super::{Scrubber, decode::Decoder};
use crate::{decide::excerpt, sieve::Sieve};

/// Scrubs the body of one answer. After an error it must not be used, and the answer must end as broken.
#[derive(Debug)]
pub struct BodyScrubber {
    scrubber: Scrubber,
    sieve: Sieve,
    decoder: Option<Decoder>,
    hits: u64,
}

/// Why an answer cannot be scrubbed. It is then not passed on: what nobody looked into may hold a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScrubError {
    /// It decodes to far more than it is.
    #[error("{encoded} bytes of the answer became more than {decoded}")]
    Bomb {
        /// Bytes taken in.
        encoded: u64,
        /// Bytes given out.
        decoded: u64,
    },
    /// It is not what its `Content-Encoding` says.
    #[error("the answer is no valid {coding}")]
    Coding {
        /// The coding.
        coding: &'static str,
    },
    /// There is no decoder for it.
    #[error("the answer is encoded as {got}, which was not asked for and cannot be looked into")]
    Unknown {
        /// Its `Content-Encoding`.
        got: String,
    },
}

// === impl BodyScrubber ===

impl BodyScrubber {
    pub(super) fn new(scrubber: Scrubber, headers: &HeaderMap) -> Result<Self, ScrubError> {
        let decoder = decoder(headers)?;
        Ok(Self { sieve: scrubber.sieve(), scrubber, decoder, hits: 0 })
    }

    /// Counts finds that were made elsewhere in the answer.
    pub(super) fn found(&mut self, hits: u64) {
        self.hits += hits;
    }

    /// Takes a chunk in and appends to `out` what may be passed on: decoded and scrubbed.
    ///
    /// # Errors
    /// When the coding is broken or the answer grows too much.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), ScrubError> {
        let Self { scrubber, sieve, decoder, hits } = self;
        let mut scrub = |decoded: &[u8]| *hits += sift(scrubber, sieve, decoded, false, out);
        match decoder {
            None => scrub(chunk),
            Some(decoder) => decoder.push(chunk, &mut scrub)?,
        }
        Ok(())
    }

    /// Ends the body: appends what was held back; tells how many finds there were.
    ///
    /// # Errors
    /// When the coding is not complete.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<u64, ScrubError> {
        let Self { scrubber, sieve, decoder, hits } = &mut self;
        if let Some(decoder) = decoder {
            decoder.finish(&mut |decoded| *hits += sift(scrubber, sieve, decoded, false, out))?;
        }
        Ok(*hits + sift(scrubber, sieve, &[], true, out))
    }
}

// === impl ScrubError ===

impl ScrubError {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bomb { .. } => "CE2347",
            Self::Coding { .. } => "CE2348",
            Self::Unknown { .. } => "CE2349",
        }
    }
}

fn sift(scrubber: &Scrubber, sieve: &mut Sieve, decoded: &[u8], end: bool, out: &mut Vec<u8>) -> u64 {
    let mut hits = 0;
    let done: Result<(), std::convert::Infallible> = sieve.push(decoded, end, |piece| {
        hits += scrubber.take(&piece, out);
        Ok(())
    });
    match done {
        Ok(()) => hits,
        Err(never) => match never {},
    }
}

/// The decoder that the headers ask for. One coding: nobody sends two, and each more is a way to hide something.
fn decoder(headers: &HeaderMap) -> Result<Option<Decoder>, ScrubError> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let all: Vec<String> =
        values.map(|v| String::from_utf8_lossy(v.as_bytes()).to_ascii_lowercase()).collect();
    let all = all.join(",");
    let mut codings = all.split(',').map(str::trim).filter(|c| !matches!(*c, "" | "identity"));
    let (first, second) = (codings.next(), codings.next());
    let unknown = || ScrubError::Unknown { got: excerpt(&all) };
    match (first, second) {
        (None, _) => Ok(None),
        (Some(coding), None) => Decoder::new(coding).map(Some).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}
