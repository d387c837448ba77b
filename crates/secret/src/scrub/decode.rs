//! Content codings, undone step by step with a bound on what a step may produce.

mod zstd;

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use self::zstd::Zstd;
use super::ScrubError;
use crate::limits::{CODED_STEP_BYTES, DECODED_FREE_BYTES, DECODED_RATIO_MAX, DECODED_STEP_BYTES_MAX};

/// Bytes that the brotli decoder hands on at one time.
const BROTLI_BUFFER_BYTES: usize = 16 * 1024;

/// Undoes one coding.
pub(super) struct Decoder {
    coding: Coding,
    encoded: u64,
    decoded: u64,
}

enum Coding {
    Gzip(Box<MultiGzDecoder<Step>>),
    /// Before its first two bytes: they tell apart what is meant.
    Deflate(Vec<u8>),
    Zlib(Box<ZlibDecoder<Step>>),
    /// Without the zlib frame that RFC 9110 demands and some servers leave out.
    Bare(Box<DeflateDecoder<Step>>),
    Brotli(Box<DecompressorWriter<Step>>),
    Zstd(Box<Zstd>),
}

/// What a step produced.
#[derive(Default)]
struct Step {
    bytes: Vec<u8>,
    over: bool,
}

// === impl Decoder ===

impl Decoder {
    /// The decoder of a coding, by its name in `Content-Encoding`.
    pub(super) fn new(coding: &str) -> Option<Self> {
        let coding = match coding {
            "gzip" | "x-gzip" => Coding::Gzip(Box::new(MultiGzDecoder::new(Step::default()))),
            "deflate" => Coding::Deflate(Vec::new()),
            "br" => Coding::Brotli(Box::new(DecompressorWriter::new(Step::default(), BROTLI_BUFFER_BYTES))),
            "zstd" => Coding::Zstd(Box::default()),
            _ => return None,
        };
        Some(Self { coding, encoded: 0, decoded: 0 })
    }

    pub(super) fn push(&mut self, chunk: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<(), ScrubError> {
        for part in chunk.chunks(CODED_STEP_BYTES) {
            self.encoded += part.len() as u64;
            let written = self.coding.write(part);
            self.drain(written, sink)?;
        }
        // What the decoder has and keeps for a fuller buffer: an event stream must not wait for it.
        let flushed = self.coding.flush();
        self.drain(flushed, sink)
    }

    pub(super) fn finish(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<(), ScrubError> {
        // An answer without a body (HEAD, 304) still says how it would be encoded.
        if self.encoded == 0 {
            return Ok(());
        }
        let written = self.coding.finish();
        self.drain(written, sink)
    }

    fn drain(&mut self, written: io::Result<()>, sink: &mut impl FnMut(&[u8])) -> Result<(), ScrubError> {
        let coding = self.coding.name();
        let Some(step) = self.coding.step() else {
            return written.map_err(|_| ScrubError::Coding { coding });
        };
        self.decoded += step.bytes.len() as u64;
        let free = self.decoded <= DECODED_FREE_BYTES;
        if step.over || !(free || self.decoded / DECODED_RATIO_MAX <= self.encoded) {
            return Err(ScrubError::Bomb { encoded: self.encoded, decoded: self.decoded });
        }
        written.map_err(|_| ScrubError::Coding { coding })?;
        sink(&step.bytes);
        step.bytes.clear();
        Ok(())
    }
}

impl std::fmt::Debug for Decoder {
    /// Without what it holds: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("coding", &self.coding.name()).finish_non_exhaustive()
    }
}

// === impl Coding ===

impl Coding {
    fn write(&mut self, part: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.write_all(part),
            Self::Zlib(decoder) => decoder.write_all(part),
            Self::Bare(decoder) => decoder.write_all(part),
            Self::Brotli(decoder) => decoder.write_all(part),
            Self::Zstd(decoder) => decoder.write(part),
            Self::Deflate(first) => {
                first.extend_from_slice(part);
                let [a, b, ..] = first[..] else { return Ok(()) };
                let first = std::mem::take(first);
                // RFC 1950: method 8, and a multiple of 31.
                *self = if a & 15 == 8 && (u16::from(a) << 8 | u16::from(b)).is_multiple_of(31) {
                    Self::Zlib(Box::new(ZlibDecoder::new(Step::default())))
                } else {
                    Self::Bare(Box::new(DeflateDecoder::new(Step::default())))
                };
                self.write(&first)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.flush(),
            Self::Zlib(decoder) => decoder.flush(),
            Self::Bare(decoder) => decoder.flush(),
            Self::Deflate(_) | Self::Brotli(_) | Self::Zstd(_) => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Bare(decoder) => decoder.try_finish(),
            Self::Brotli(decoder) => decoder.close(),
            Self::Zstd(decoder) => decoder.finish(),
            Self::Deflate(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// What was produced; `None` as long as nothing can be.
    fn step(&mut self) -> Option<&mut Step> {
        Some(match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Bare(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => &mut decoder.step,
            Self::Deflate(_) => return None,
        })
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Deflate(_) | Self::Zlib(_) | Self::Bare(_) => "deflate",
            Self::Brotli(_) => "br",
            Self::Zstd(_) => "zstd",
        }
    }
}

impl Write for Step {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.over |= self.bytes.len() + bytes.len() > DECODED_STEP_BYTES_MAX;
        if self.over {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
