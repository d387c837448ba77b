//! One writer for many senders.
//!
//! A message sent while nothing waits is written at once, on the sender's own task: no wake-up between a call and its
//! pipe. Otherwise messages gather and leave in one write. A message is never torn by a sender that goes away.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::io::AsyncWrite;

use super::OUTBOX_BYTES_MAX;

/// Gathered bytes past which the room for them is given back once they are written.
const KEPT_BYTES: usize = 256 * 1024;

/// Where messages for one peer are put. Clones send to the same peer.
#[derive(Clone)]
pub struct Outbox {
    state: Arc<Mutex<State>>,
}

/// Writes what the outbox gathered; completes when the stream is closed or broken. To be spawned.
#[must_use = "nothing that gathers is written unless this future runs"]
pub struct Writer {
    state: Arc<Mutex<State>>,
}

/// The peer cannot be written to. Exhaustive on purpose: what each reason means for a call in progress is decided by the
/// crates above, and a new one must be decided there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboxClosed {
    /// The stream was closed by us or broke.
    #[error("the stream is closed")]
    Closed,
    /// The peer has not read for so long that [`OUTBOX_BYTES_MAX`] bytes wait for it.
    #[error("the peer does not read: {OUTBOX_BYTES_MAX} bytes wait for it")]
    Full,
}

struct State {
    sink: Box<dyn AsyncWrite + Send + Unpin>,
    waiting: Vec<u8>,
    /// Bytes at the start of `waiting` that are written already.
    gone: usize,
    /// Bytes ever accepted and ever written, to tell whether a message had left when the stream broke.
    accepted: u64,
    written: u64,
    unflushed: bool,
    closing: bool,
    broken: bool,
    writer: Option<Waker>,
}

// === impl Outbox ===

impl Outbox {
    /// An outbox over `sink`, and the future that writes to it.
    pub fn new(sink: Box<dyn AsyncWrite + Send + Unpin>) -> (Self, Writer) {
        let state = Arc::new(Mutex::new(State {
            sink,
            waiting: Vec::new(),
            gone: 0,
            accepted: 0,
            written: 0,
            unflushed: false,
            closing: false,
            broken: false,
            writer: None,
        }));
        (Self { state: Arc::clone(&state) }, Writer { state })
    }

    /// Accepts one message, its line end included, and writes it at once when nothing waits.
    ///
    /// Returns the position in the stream where the message starts, for [`Outbox::has_left`].
    pub fn send_now(&self, message: &[u8]) -> Result<u64, OutboxClosed> {
        let mut state = lock(&self.state);
        let start = state.accept(message)?;
        if state.waiting.is_empty() {
            state.write_through(message);
        } else {
            state.waiting.extend_from_slice(message);
        }
        Ok(start)
    }

    /// Accepts one message and leaves the writing to [`Writer`], so that messages of several senders share a write.
    pub fn send(&self, message: &[u8]) -> Result<u64, OutboxClosed> {
        let mut state = lock(&self.state);
        let start = state.accept(message)?;
        state.waiting.extend_from_slice(message);
        state.wake();
        Ok(start)
    }

    /// True when at least the first byte of the message that starts at `position` was given to the system.
    #[must_use]
    pub fn has_left(&self, position: u64) -> bool {
        lock(&self.state).written > position
    }

    /// Closes the stream after what waits is written.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closing = true;
        state.wake();
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Outbox")
            .field("accepted", &state.accepted)
            .field("written", &state.written)
            .field("closing", &state.closing)
            .field("broken", &state.broken)
            .finish()
    }
}

// === impl Writer ===

impl Future for Writer {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.state);
        let outcome = state.drain(cx);
        match &outcome {
            Poll::Ready(Err(_)) => state.broken = true,
            Poll::Ready(Ok(())) => state.closing = true,
            Poll::Pending => return outcome,
        }
        state.let_go();
        outcome
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.broken = true;
        state.let_go();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

// === impl State ===

impl State {
    fn accept(&mut self, message: &[u8]) -> Result<u64, OutboxClosed> {
        if self.closing || self.broken {
            return Err(OutboxClosed::Closed);
        }
        let waiting = self.waiting.len() - self.gone;
        if waiting > 0 && waiting + message.len() > OUTBOX_BYTES_MAX {
            return Err(OutboxClosed::Full);
        }
        let start = self.accepted;
        self.accepted += message.len() as u64;
        Ok(start)
    }

    /// Writes what the system takes without waiting and leaves the rest to the writer.
    fn write_through(&mut self, message: &[u8]) {
        // A sender that goes away must not take the wake-up with it, so no waker is given; the writer polls again.
        let mut cx = Context::from_waker(Waker::noop());
        let mut rest = message;
        while !rest.is_empty() {
            match Pin::new(&mut self.sink).poll_write(&mut cx, rest) {
                Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => break,
                Poll::Ready(Ok(count)) => {
                    self.written += count as u64;
                    rest = &rest[count..];
                }
            }
        }
        self.waiting.extend_from_slice(rest);
        self.unflushed = !matches!(Pin::new(&mut self.sink).poll_flush(&mut cx), Poll::Ready(Ok(())));
        if self.unflushed || !rest.is_empty() {
            self.wake();
        }
    }

    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.gone < self.waiting.len() {
                let count =
                    std::task::ready!(Pin::new(&mut self.sink).poll_write(cx, &self.waiting[self.gone..]))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.gone += count;
                self.written += count as u64;
                self.unflushed = true;
            } else if self.unflushed {
                self.recycle();
                std::task::ready!(Pin::new(&mut self.sink).poll_flush(cx))?;
                self.unflushed = false;
            } else if self.closing {
                return Pin::new(&mut self.sink).poll_shutdown(cx);
            } else {
                self.recycle();
                self.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    /// Drops the stream: a pipe has no other way to tell its reader that nothing more will come.
    fn let_go(&mut self) {
        self.sink = Box::new(tokio::io::sink());
    }

    fn recycle(&mut self) {
        self.waiting.clear();
        self.gone = 0;
        if self.waiting.capacity() > KEPT_BYTES {
            self.waiting.shrink_to(KEPT_BYTES);
        }
    }

    fn wake(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic cannot leave the state torn: every field is written after the call that may panic.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
