//! A connection's byte stream, watched for peers that do not read, do not finish a request head, or are gone.
//!
//! hyper has a timer per request head; that costs an allocation and a timer for every call. Here a connection is looked
//! at once per tick instead, and the data path only sets flags.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::limits::Limits;

/// What the data path tells the watch.
#[derive(Debug, Default)]
pub(super) struct Vital {
    /// Requests whose response has not been handed over completely.
    busy: AtomicU32,
    /// Bytes came in since the last request was complete.
    heard: AtomicBool,
    /// The last write found no room.
    blocked: AtomicBool,
    /// Counts writes that found room.
    writes: AtomicU32,
}

/// What the watch thinks of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    /// Nothing has been asked for too long: close in an orderly way.
    Idle,
    /// The peer is hostile or gone: cut.
    Cut,
}

/// The watch over one connection: counts ticks.
#[derive(Debug)]
pub(super) struct Watchman {
    vital: Arc<Vital>,
    idle: u32,
    head: u32,
    stall: u32,
    seen_writes: u32,
    limits: [u32; 3],
}

/// Held while a request is being served.
#[derive(Debug)]
pub(super) struct Busy(Arc<Vital>);

impl Vital {
    /// A request head is complete.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        self.heard.store(false, Relaxed);
        Busy(self.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
        // what was read meanwhile belongs to this request's body
        self.0.heard.store(false, Relaxed);
    }
}

impl Watchman {
    pub(super) fn new(vital: Arc<Vital>, limits: &Limits) -> Self {
        let ticks = |time: std::time::Duration| {
            let ticks = time.as_millis().div_ceil(limits.tick.as_millis().max(1));
            u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
        };
        let limits = [ticks(limits.idle), ticks(limits.head_read), ticks(limits.write_stall)];
        Self { vital, idle: 0, head: 0, stall: 0, seen_writes: 0, limits }
    }

    /// Called once per tick.
    pub(super) fn look(&mut self) -> Verdict {
        let Vital { busy, heard, blocked, writes } = &*self.vital;
        let writes = writes.load(Relaxed);
        let stalled = blocked.load(Relaxed) && writes == self.seen_writes;
        self.seen_writes = writes;
        let waiting = busy.load(Relaxed) == 0 && !blocked.load(Relaxed);
        let heard = heard.load(Relaxed);
        let count = |n: u32, on: bool| if on { n.saturating_add(1) } else { 0 };
        self.idle = count(self.idle, waiting && !heard);
        self.head = count(self.head, waiting && heard);
        self.stall = count(self.stall, stalled);
        let [idle, head, stall] = self.limits;
        if self.stall >= stall || self.head >= head {
            Verdict::Cut
        } else if self.idle >= idle {
            Verdict::Idle
        } else {
            Verdict::Well
        }
    }
}

/// A byte stream that keeps a [`Vital`].
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    vital: Arc<Vital>,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, vital: Arc<Vital>) -> Self {
        Self { stream, vital }
    }

    fn wrote<T>(&self, result: Poll<T>) -> Poll<T> {
        if result.is_pending() {
            self.vital.blocked.store(true, Relaxed);
        } else {
            self.vital.blocked.store(false, Relaxed);
            self.vital.writes.fetch_add(1, Relaxed);
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.vital.heard.store(true, Relaxed);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn watchman() -> (Arc<Vital>, Watchman) {
        let second = Duration::from_secs(1);
        let limits = Limits {
            tick: second,
            idle: 3 * second,
            head_read: 2 * second,
            write_stall: 2 * second,
            ..Limits::default()
        };
        let vital = Arc::new(Vital::default());
        (vital.clone(), Watchman::new(vital, &limits))
    }

    #[test]
    fn a_silent_connection_is_closed_after_its_idle_time() {
        let (_, mut watchman) = watchman();
        let seen: Vec<_> = (0..3).map(|_| watchman.look()).collect();
        assert_eq!(seen, [Verdict::Well, Verdict::Well, Verdict::Idle]);
    }

    #[test]
    fn an_unfinished_head_is_cut() {
        let (vital, mut watchman) = watchman();
        vital.heard.store(true, Relaxed);
        assert_eq!([watchman.look(), watchman.look()], [Verdict::Well, Verdict::Cut]);
    }

    #[test]
    fn a_request_in_progress_may_take_its_time() {
        let (vital, mut watchman) = watchman();
        let _busy = vital.begin();
        assert!((0..10).all(|_| watchman.look() == Verdict::Well));
    }

    #[test]
    fn a_reader_that_takes_nothing_is_cut_and_a_slow_one_is_not() {
        let (vital, mut watchman) = watchman();
        let _busy = vital.begin();
        vital.blocked.store(true, Relaxed);
        for n in 1..5 {
            vital.writes.store(n, Relaxed);
            assert_eq!(watchman.look(), Verdict::Well);
        }
        assert_eq!([watchman.look(), watchman.look()], [Verdict::Well, Verdict::Cut]);
    }
}
