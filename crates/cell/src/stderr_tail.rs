//! The last lines that a program wrote on its standard error, for the status display.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{io::AsyncReadExt, net::unix::pipe};

/// Bytes kept of one line. Stops a program that never writes a newline from growing the node; the rest is cut.
pub const LINE_BYTES: usize = 4096;
/// Bytes read at once.
const READ_BYTES: usize = 8192;

/// A bounded ring of lines, shared between the task that fills it and whoever shows it.
#[derive(Clone, Debug)]
pub struct StderrTail {
    ring: Arc<Mutex<Ring>>,
}

#[derive(Debug)]
struct Ring {
    lines: VecDeque<String>,
    /// The line that has no end yet.
    open: Vec<u8>,
    /// The open line is longer than what is kept of it.
    cut: bool,
    keep: usize,
    total_bytes: u64,
}

impl StderrTail {
    /// Keeps the last `keep` lines, each of at most [`LINE_BYTES`].
    #[must_use]
    pub fn new(keep: usize) -> Self {
        let ring =
            Ring { lines: VecDeque::new(), open: Vec::new(), cut: false, keep: keep.max(1), total_bytes: 0 };
        Self { ring: Arc::new(Mutex::new(ring)) }
    }

    /// Reads until end of file. It never stops reading, so the program never blocks on its standard error.
    pub async fn fill_from(&self, mut stderr: pipe::Receiver) {
        let mut chunk = vec![0; READ_BYTES];
        while let Ok(count) = stderr.read(&mut chunk).await {
            if count == 0 {
                break;
            }
            self.push(&chunk[..count]);
        }
    }

    /// Adds bytes as they come, in any split.
    pub fn push(&self, bytes: &[u8]) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.total_bytes += bytes.len() as u64;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            ring.extend(text);
            if ended {
                ring.end_line();
            }
        }
    }

    /// The lines kept, oldest first, an unfinished last one included. Control characters are replaced: this goes to terminals.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let open = (!ring.open.is_empty()).then(|| display_line(&ring.open, ring.cut));
        let mut lines: Vec<String> = ring.lines.iter().cloned().chain(open).collect();
        let surplus = lines.len().saturating_sub(ring.keep);
        lines.drain(..surplus);
        lines
    }

    /// Bytes seen in all.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).total_bytes
    }
}

impl Ring {
    fn extend(&mut self, text: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.open.len());
        self.cut |= text.len() > room;
        self.open.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn end_line(&mut self) {
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(display_line(&self.open, self.cut));
        self.open.clear();
        self.cut = false;
    }
}

fn display_line(bytes: &[u8], cut: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean =
        text.trim_end_matches('\r').chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c });
    if cut { clean.chain("…".chars()).collect() } else { clean.collect() }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, StderrTail};

    #[test]
    fn only_the_last_lines_are_kept_in_any_split() {
        let tail = StderrTail::new(2);
        for piece in ["one\ntw", "o\nthree", "\nfo", "ur"] {
            tail.push(piece.as_bytes());
        }
        assert_eq!(tail.lines(), ["three", "four"]);
        assert_eq!(tail.total_bytes(), 18);
    }

    #[test]
    fn a_line_without_end_is_cut_and_says_so() {
        let tail = StderrTail::new(4);
        tail.push(&vec![b'x'; LINE_BYTES * 3]);
        tail.push(b"y\nshort\n");
        let lines = tail.lines();
        assert_eq!(lines[0].chars().count(), LINE_BYTES + 1);
        assert!(lines[0].ends_with('…'));
        assert_eq!(lines[1], "short");
    }

    #[test]
    fn terminal_escapes_do_not_pass() {
        let tail = StderrTail::new(4);
        tail.push(b"\x1b]0;owned\x07\xff\r\n");
        assert_eq!(tail.lines(), ["\u{fffd}]0;owned\u{fffd}\u{fffd}"]);
    }
}
