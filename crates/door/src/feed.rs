//! Messages on their way to one peer: bounded, and where the peer may come back for them, kept.
//!
//! Every stream a door writes is a feed: the answer to one POST, a session's own stream, a pipe. Writers wait when the
//! peer reads slowly, so that memory is bounded from the client back to the server's own pipe. A resumable feed keeps
//! its latest messages; while nobody reads it, it forgets the oldest rather than hold up its writer.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use cella_mcp::Message;
use tokio::{
    sync::Notify,
    time::{Instant, Sleep},
};

use super::{
    frame,
    limits::{REPLAY_BYTES_MAX, REPLAY_MESSAGES_MAX, RETRY_AFTER, UNREAD_BYTES_MAX, UNREAD_MESSAGES_MAX},
};

/// How messages are put on the wire.
#[derive(Debug)]
pub(super) enum Framing {
    /// One message per line.
    Lines,
    /// Server-sent events.
    Events,
    /// Server-sent events with identifiers that begin with this name.
    Resumable(Box<str>),
}

/// The reader is gone and will not come back, or the feed has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// A bounded sequence of framed messages with at most one reader at a time.
#[derive(Debug)]
pub(super) struct Feed {
    framing: Framing,
    state: Mutex<State>,
    /// The reader took something.
    room: Notify,
    /// A reader came or went, or the feed ended.
    turned: Notify,
}

/// The reading end. Dropping it detaches.
#[derive(Debug)]
pub(super) struct Reader {
    feed: Arc<Feed>,
    generation: u64,
    keep_alive: Option<(Duration, Pin<Box<Sleep>>)>,
}

#[derive(Debug)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    unread_bytes: usize,
    /// Sequence number of the front of `frames`.
    base: u64,
    /// Sequence number the reader takes next.
    cursor: u64,
    /// Which reader counts; an earlier one ends.
    generation: u64,
    attached: bool,
    turned_at: Instant,
    waker: Option<Waker>,
    ended: bool,
}

// === impl Feed ===

impl Feed {
    pub(super) fn new(framing: Framing) -> Arc<Self> {
        let state = State {
            frames: VecDeque::new(),
            bytes: 0,
            unread_bytes: 0,
            base: 0,
            cursor: 0,
            generation: 0,
            attached: false,
            turned_at: Instant::now(),
            waker: None,
            ended: false,
        };
        Arc::new(Self { framing, state: Mutex::new(state), room: Notify::new(), turned: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resumable(&self) -> bool {
        matches!(self.framing, Framing::Resumable(_))
    }

    /// The name by which clients ask for the rest of a resumable feed.
    pub(super) fn name(&self) -> &str {
        match &self.framing {
            Framing::Resumable(name) => name,
            Framing::Lines | Framing::Events => "",
        }
    }

    /// Starts reading, at `from` or where the last reader stopped. An earlier reader ends.
    pub(super) fn attach(self: &Arc<Self>, from: Option<u64>, keep_alive: Option<Duration>) -> Reader {
        let mut state = self.state();
        state.generation += 1;
        let generation = state.generation;
        state.turn(true);
        if let Some(from) = from {
            state.seek(from);
        }
        drop(state);
        self.turned.notify_waiters();
        self.room.notify_waiters();
        let keep_alive = keep_alive.map(|every| (every, Box::pin(tokio::time::sleep(every))));
        Reader { feed: self.clone(), generation, keep_alive }
    }

    /// Adds a message, waiting while the reader is behind.
    pub(super) async fn send(&self, message: &Message) -> Result<(), Gone> {
        if let Some(sent) = self.try_send(message) {
            return sent;
        }
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            if let Some(sent) = self.try_send(message) {
                return sent;
            }
            room.await;
        }
    }

    /// Adds the event by which a client learns where to come back to, before there is anything to say.
    pub(super) fn prime(&self) {
        let mut state = self.state();
        if let Framing::Resumable(name) = &self.framing {
            let frame = frame::priming(name, state.next(), RETRY_AFTER);
            state.push(frame, true);
        }
    }

    /// Adds the first event of the old transport.
    pub(super) fn announce(&self, endpoint: &str) {
        self.state().push(frame::endpoint(endpoint), false);
    }

    /// Nothing will be added. The reader takes what is there, then ends.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        self.turned.notify_waiters();
        self.room.notify_waiters();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    pub(super) fn is_attached(&self) -> bool {
        self.state().attached
    }

    /// Completes when nobody has read for `within`, or the feed has ended.
    pub(super) async fn abandoned(&self, within: Duration) {
        loop {
            let mut turned = pin!(self.turned.notified());
            turned.as_mut().enable();
            let deadline = {
                let state = self.state();
                if state.ended {
                    return;
                }
                (!state.attached).then(|| state.turned_at + within)
            };
            match deadline {
                None => turned.await,
                Some(deadline) => tokio::select! {
                    () = turned => {}
                    () = tokio::time::sleep_until(deadline) => return,
                },
            }
        }
    }

    /// Completes when the feed has ended.
    pub(super) async fn ended(&self) {
        loop {
            let mut turned = pin!(self.turned.notified());
            turned.as_mut().enable();
            if self.has_ended() {
                return;
            }
            turned.await;
        }
    }

    /// None: no room now.
    fn try_send(&self, message: &Message) -> Option<Result<(), Gone>> {
        let mut state = self.state();
        if state.ended || !(state.attached || self.resumable()) {
            return Some(Err(Gone));
        }
        if state.attached && state.is_full() {
            return None;
        }
        let frame = match &self.framing {
            Framing::Lines => frame::line(message),
            Framing::Events => frame::event(message),
            Framing::Resumable(name) => frame::event_with_id(name, state.next(), message),
        };
        state.push(frame, self.resumable());
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(Ok(()))
    }
}

// === impl State ===

impl State {
    fn next(&self) -> u64 {
        self.base + self.frames.len() as u64
    }

    fn is_full(&self) -> bool {
        let unread = self.next() - self.cursor;
        unread as usize >= UNREAD_MESSAGES_MAX || (unread > 0 && self.unread_bytes >= UNREAD_BYTES_MAX)
    }

    fn turn(&mut self, attached: bool) {
        self.attached = attached;
        self.turned_at = Instant::now();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn push(&mut self, frame: Bytes, kept: bool) {
        self.bytes += frame.len();
        self.unread_bytes += frame.len();
        self.frames.push_back(frame);
        while kept
            && self.frames.len() > 1
            && self.is_past_replay()
            && !(self.attached && self.base >= self.cursor)
        {
            self.drop_front();
        }
    }

    fn is_past_replay(&self) -> bool {
        self.frames.len() > REPLAY_MESSAGES_MAX || self.bytes > REPLAY_BYTES_MAX
    }

    fn drop_front(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.len();
            if self.cursor == self.base {
                self.cursor += 1;
                self.unread_bytes -= frame.len();
            }
            self.base += 1;
        }
    }

    fn take(&mut self, kept: bool) -> Option<Bytes> {
        let at = usize::try_from(self.cursor - self.base).ok()?;
        let frame = self.frames.get(at)?.clone();
        self.cursor += 1;
        self.unread_bytes -= frame.len();
        if !kept || self.is_past_replay() {
            self.drop_front();
        }
        Some(frame)
    }

    fn seek(&mut self, from: u64) {
        self.cursor = from.clamp(self.base, self.next());
        let at = usize::try_from(self.cursor - self.base).unwrap_or(usize::MAX);
        self.unread_bytes = self.frames.iter().skip(at).map(Bytes::len).sum();
    }
}

// === impl Reader ===

impl Reader {
    /// The next frame, or a keep-alive comment when it has been quiet; `None` at the end.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.feed.state();
        if state.generation != self.generation {
            return Poll::Ready(None);
        }
        if let Some(frame) = state.take(self.feed.resumable()) {
            drop(state);
            self.feed.room.notify_waiters();
            if let Some((every, sleep)) = &mut self.keep_alive {
                sleep.as_mut().reset(Instant::now() + *every);
            }
            return Poll::Ready(Some(frame));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if !state.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        drop(state);
        let Some((every, sleep)) = &mut self.keep_alive else { return Poll::Pending };
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        sleep.as_mut().reset(Instant::now() + *every);
        let _registered = sleep.as_mut().poll(cx).is_pending();
        Poll::Ready(Some(frame::COMMENT))
    }

    /// The next frame; `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// A frame that needs no waiting.
    pub(super) fn try_next(&mut self) -> Option<Bytes> {
        match self.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame,
            Poll::Pending => None,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        if state.generation == self.generation {
            state.turn(false);
            drop(state);
            self.feed.turned.notify_waiters();
            self.feed.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
