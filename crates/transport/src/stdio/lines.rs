//! Reading lines with a cap, without an allocation per line.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{LINE_BYTES_MAX, OVERLONG_HEAD_BYTES};

/// Room for reading before the first growth, and what is kept after a long line.
const READ_BYTES: usize = 32 * 1024;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line, without its end, never empty.
    Line(&'a [u8]),
    /// A line past the cap, thrown away.
    Overlong {
        /// Its first bytes, at most [`OVERLONG_HEAD_BYTES`].
        head: &'a [u8],
        /// Its length in bytes, as far as it was read.
        bytes: usize,
    },
}

/// Splits a byte stream into lines.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// What was read and not given out yet is `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Bytes after `start` that are known to hold no line end.
    searched: usize,
    line_max: usize,
    /// Bytes thrown away of a line past the cap; 0 outside of one.
    overlong: usize,
    /// The first bytes of the last such line.
    head: Vec<u8>,
    ended: bool,
}

/// Where the next frame lies.
enum Found {
    Line(usize, usize),
    Overlong(usize),
    End,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads lines of at most [`LINE_BYTES_MAX`].
    pub fn new(source: R) -> Self {
        Self::with_max(source, LINE_BYTES_MAX)
    }

    /// Reads lines of at most `line_max` bytes.
    pub fn with_max(source: R, line_max: usize) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            searched: 0,
            line_max,
            overlong: 0,
            head: Vec::new(),
            ended: false,
        }
    }

    /// The next line that is not empty; `None` at the end of the stream. A last line without an end counts.
    ///
    /// Cancel safe. Errors are those of the stream.
    pub async fn next(&mut self) -> io::Result<Option<Frame<'_>>> {
        let found = self.find().await?;
        self.shrink();
        Ok(match found {
            Found::Line(from, to) => Some(Frame::Line(&self.buffer[from..to])),
            Found::Overlong(bytes) => Some(Frame::Overlong { head: &self.head, bytes }),
            Found::End => None,
        })
    }

    /// True when a whole line is already in memory, so that `next` will not wait.
    #[must_use]
    pub fn has_line(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer[self.start + self.searched..self.end]).is_some()
    }

    async fn find(&mut self) -> io::Result<Found> {
        loop {
            if let Some(found) = self.split() {
                return Ok(found);
            }
            if self.ended {
                return Ok(self.rest());
            }
            self.make_room();
            let read = self.source.read(&mut self.buffer[self.end..]).await?;
            self.end += read;
            self.ended = read == 0;
        }
    }

    /// Looks for a line end in what was read.
    fn split(&mut self) -> Option<Found> {
        loop {
            let unsearched = &self.buffer[self.start + self.searched..self.end];
            let Some(at) = memchr::memchr(b'\n', unsearched) else {
                self.searched = self.end - self.start;
                if self.overlong > 0 || self.searched > self.line_max {
                    self.discard(self.end);
                }
                return None;
            };
            let (from, to) = (self.start, self.start + self.searched + at);
            if self.overlong > 0 || to - from > self.line_max {
                self.discard(to);
                self.start = to + 1;
                return Some(Found::Overlong(std::mem::take(&mut self.overlong)));
            }
            self.start = to + 1;
            self.searched = 0;
            let line = self.buffer[from..to].trim_ascii_end().len();
            if line > 0 {
                return Some(Found::Line(from, from + line));
            }
        }
    }

    /// What stands after the last line end when the stream is over.
    fn rest(&mut self) -> Found {
        if self.overlong > 0 {
            return Found::Overlong(std::mem::take(&mut self.overlong));
        }
        let from = self.start;
        let line = self.buffer[from..self.end].trim_ascii_end().len();
        self.start = self.end;
        self.searched = 0;
        if line == 0 { Found::End } else { Found::Line(from, from + line) }
    }

    /// Throws away `start..upto`, which belongs to an overlong line.
    fn discard(&mut self, upto: usize) {
        let part = &self.buffer[self.start..upto];
        if self.overlong == 0 {
            self.head.clear();
            self.head.extend_from_slice(&part[..part.len().min(OVERLONG_HEAD_BYTES)]);
        }
        self.overlong += part.len();
        self.start = upto;
        self.searched = 0;
    }

    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end >= READ_BYTES / 4 {
            return;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < READ_BYTES / 4 {
            self.buffer.resize((self.buffer.len() * 2).max(READ_BYTES), 0);
        }
    }

    /// Gives memory back after a long line. Nothing is borrowed yet, and what is still to be given out stays in place.
    fn shrink(&mut self) {
        if self.buffer.len() > 8 * READ_BYTES && self.end <= READ_BYTES {
            self.buffer.truncate(READ_BYTES);
            self.buffer.shrink_to_fit();
        }
    }
}
