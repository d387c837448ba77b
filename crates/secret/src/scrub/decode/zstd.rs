//! Zstandard (RFC 8878), block by block.
//!
//! The decoder below wants whole blocks, so blocks are cut here by their headers; and it keeps a window's length back
//! until the frame ends. Therefore `zstd` is decoded where a server sends it and not asked for.

use std::io::{self, Read, Write as _};

use ruzstd::decoding::FrameDecoder;

use super::Step;
use crate::limits::ZSTD_WINDOW_BYTES_MAX;

/// Longest header of a frame: magic number, descriptor, window, dictionary, content size.
const FRAME_HEADER_BYTES_MAX: usize = 18;
/// Largest block (3.1.1.2.4).
const BLOCK_BYTES_MAX: usize = 128 * 1024;
const BLOCK_HEADER_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;
/// In the frame header's descriptor: a checksum follows the last block.
const CHECKSUM_FLAG: u8 = 4;

/// A stream of frames.
pub(super) struct Zstd {
    frame: FrameDecoder,
    state: State,
    held: Vec<u8>,
    buffer: Vec<u8>,
    /// What came out.
    pub(super) step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// In a frame; whether a checksum ends it.
    Inside {
        checksum: bool,
    },
}

// === impl Zstd ===

impl Default for Zstd {
    fn default() -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        let buffer = vec![0; BLOCK_BYTES_MAX];
        Self { frame, state: State::Between, held: Vec::new(), buffer, step: Step::default() }
    }
}

impl Zstd {
    pub(super) fn write(&mut self, part: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(part);
        self.advance(false)
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.advance(true)?;
        let whole = self.state == State::Between && self.held.is_empty();
        if whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn advance(&mut self, end: bool) -> io::Result<()> {
        loop {
            let State::Inside { checksum } = self.state else {
                let enough = self.held.len() >= FRAME_HEADER_BYTES_MAX || (end && !self.held.is_empty());
                if !enough {
                    return Ok(());
                }
                self.begin()?;
                continue;
            };
            let Some((block, last)) = block(&self.held, checksum)? else { return Ok(()) };
            self.frame.decode_from_to(&self.held[..block], &mut []).map_err(broken)?;
            self.held.drain(..block);
            loop {
                let read = self.frame.read(&mut self.buffer)?;
                if read == 0 {
                    break;
                }
                self.step.write_all(&self.buffer[..read])?;
            }
            if last {
                if checksum && self.frame.get_checksum_from_data() != self.frame.get_calculated_checksum() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.state = State::Between;
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        let checksum = self.held.get(4).is_some_and(|descriptor| descriptor & CHECKSUM_FLAG != 0);
        let mut rest = self.held.as_slice();
        self.frame.reset(&mut rest).map_err(broken)?;
        let read = self.held.len() - rest.len();
        self.held.drain(..read);
        self.state = State::Inside { checksum };
        Ok(())
    }
}

/// Length of the block at the start, with the checksum behind the last one, if it is there; and whether it is the last.
fn block(held: &[u8], checksum: bool) -> io::Result<Option<(usize, bool)>> {
    let [a, b, c, ..] = held else { return Ok(None) };
    let header = u32::from_le_bytes([*a, *b, *c, 0]);
    let (last, kind, size) = (header & 1 == 1, header >> 1 & 3, (header >> 3) as usize);
    if size > BLOCK_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // A run of one byte holds that byte alone.
    let content = if kind == 1 { 1 } else { size };
    let tail = if last && checksum { CHECKSUM_BYTES } else { 0 };
    let whole = BLOCK_HEADER_BYTES + content + tail;
    Ok((held.len() >= whole).then_some((whole, last)))
}

fn broken<E>(_: E) -> io::Error {
    io::ErrorKind::InvalidData.into()
}
