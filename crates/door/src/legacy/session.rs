//! One client with a session: what it said of itself, what it has in progress, and the streams it may come back to.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use cella_mcp::{Id, Notification, Raw, Response, RpcError, codes, member};
use http::StatusCode;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use super::{
    super::{
        codes as ce,
        feed::{Feed, Framing},
        limits::{CALLS_PER_SESSION_MAX, STREAMS_KEPT_MAX},
        reply::Refused,
    },
    ear::Ear,
};
use cella_transport::{Caller, Scope, Transport};

/// A client's answer on its way to the call that waits for it.
pub(in super::super) type Reply = (u64, Result<Raw, RpcError>);

/// A session of the legacy era, or a pipe that may carry both.
pub(in super::super) struct Session {
    pub(in super::super) id: Arc<str>,
    pub(in super::super) principal: Arc<str>,
    pub(in super::super) scope: Scope,
    pub(in super::super) transport: Transport,
    /// Where everything goes when the client has one stream only (stdio, HTTP+SSE).
    pub(in super::super) pipe: Option<Arc<Feed>>,
    /// Whether the identifier alone can bring the session back.
    pub(super) sealed: bool,
    /// Unset until `initialize`.
    caller: Mutex<Option<Arc<Caller>>>,
    /// With a number each, since a client may use an id again once it has cancelled its call.
    calls: Mutex<HashMap<Id, (u64, oneshot::Sender<()>)>>,
    /// The last request in progress has ended.
    quiet: Notify,
    asked: Mutex<HashMap<u64, mpsc::UnboundedSender<Reply>>>,
    next: AtomicU64,
    streams: Mutex<Streams>,
    pub(super) ear: Ear,
    used: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct Streams {
    /// The stream that belongs to no request.
    own: Option<Arc<Feed>>,
    of_calls: VecDeque<Arc<Feed>>,
}

/// A request in progress. Dropping it takes it off the session's books.
pub(in super::super) struct InProgress {
    session: Arc<Session>,
    id: Id,
    number: u64,
    /// Completes with `Ok` when the client cancels, with `Err` when the session ends.
    pub(in super::super) cancelled: oneshot::Receiver<()>,
}

/// Why a request cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum CannotBegin {
    IdInUse,
    TooMany,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Session ===

impl Session {
    pub(in super::super) fn new(
        id: Arc<str>,
        principal: Arc<str>,
        scope: Scope,
        transport: Transport,
        pipe: Option<Arc<Feed>>,
    ) -> Self {
        Self {
            id,
            principal,
            scope,
            transport,
            pipe,
            sealed: false,
            caller: Mutex::default(),
            calls: Mutex::default(),
            quiet: Notify::new(),
            asked: Mutex::default(),
            next: AtomicU64::new(1),
            streams: Mutex::default(),
            ear: Ear::default(),
            used: Mutex::new(Instant::now()),
        }
    }

    /// Who speaks; `None` before `initialize`.
    pub(in super::super) fn caller(&self) -> Option<Arc<Caller>> {
        locked(&self.caller).clone()
    }

    pub(in super::super) fn introduce(&self, caller: Caller) {
        *locked(&self.caller) = Some(Arc::new(caller));
    }

    pub(super) fn set_log_level(&self, level: &str) {
        let mut caller = locked(&self.caller);
        if let Some(old) = caller.as_ref() {
            *caller = Some(Arc::new(Caller { log_level: Some(level.into()), ..Caller::clone(old) }));
        }
    }

    pub(super) fn touch(&self) {
        *locked(&self.used) = Instant::now();
    }

    /// When the session was last used; `None` while it is in use.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let streams = locked(&self.streams);
        let attached = streams.own.iter().chain(&streams.of_calls).any(|feed| feed.is_attached());
        let busy = attached || !locked(&self.calls).is_empty();
        (!busy).then(|| *locked(&self.used))
    }

    /// Books a request, so that it can be cancelled.
    pub(in super::super) fn begin(self: &Arc<Self>, id: &Id) -> Result<InProgress, CannotBegin> {
        let (cancel, cancelled) = oneshot::channel();
        let mut calls = locked(&self.calls);
        if calls.len() >= CALLS_PER_SESSION_MAX {
            return Err(CannotBegin::TooMany);
        }
        if calls.contains_key(id) {
            return Err(CannotBegin::IdInUse);
        }
        let number = self.next.fetch_add(1, Relaxed);
        calls.insert(id.clone(), (number, cancel));
        drop(calls);
        Ok(InProgress { session: self.clone(), id: id.clone(), number, cancelled })
    }

    /// Completes when no request is in progress.
    pub(in super::super) async fn quiet(&self) {
        loop {
            let mut quiet = pin!(self.quiet.notified());
            quiet.as_mut().enable();
            if locked(&self.calls).is_empty() {
                return;
            }
            quiet.await;
        }
    }

    /// Books a question to the client; its number is the request id on the wire.
    pub(super) fn ask(&self, replies: &mpsc::UnboundedSender<Reply>) -> u64 {
        let number = self.next.fetch_add(1, Relaxed);
        locked(&self.asked).insert(number, replies.clone());
        number
    }

    /// The question is no longer open.
    pub(super) fn forget(&self, number: u64) {
        locked(&self.asked).remove(&number);
    }

    /// The client answered a question. An answer to nothing is ignored: it may have come too late.
    pub(in super::super) fn answered(&self, response: Response) {
        let number = response.id.as_ref().and_then(Id::as_u64);
        let waiting = number.and_then(|n| locked(&self.asked).remove(&n).map(|waiting| (n, waiting)));
        if let Some((number, waiting)) = waiting {
            let _call_is_gone = waiting.send((number, response.outcome)).is_err();
        }
    }

    /// The client no longer wants the answer to a request.
    pub(in super::super) fn cancel(&self, notification: &Notification) {
        let id = notification.params.as_ref().and_then(|p| member(p, "requestId"));
        let call = id.and_then(|id| Id::from_json(id.get())).and_then(|id| locked(&self.calls).remove(&id));
        if let Some((_, call)) = call {
            let _call_is_gone = call.send(()).is_err();
        }
    }

    /// A new resumable stream for one request.
    pub(super) fn open_stream(&self) -> Arc<Feed> {
        let name = format!("{:x}", self.next.fetch_add(1, Relaxed));
        let feed = Feed::new(Framing::Resumable(name.into()));
        locked(&self.streams).of_calls.push_back(feed.clone());
        feed
    }

    /// Ends the stream of a request and keeps it for a client that comes back, at the cost of the oldest one kept.
    pub(super) fn finish_stream(&self, feed: &Feed) {
        feed.end();
        let mut streams = locked(&self.streams);
        let kept = streams.of_calls.iter().filter(|feed| feed.has_ended()).count();
        let mut surplus = kept.saturating_sub(STREAMS_KEPT_MAX);
        streams.of_calls.retain(|feed| {
            let forget = surplus > 0 && feed.has_ended();
            surplus -= usize::from(forget);
            !forget
        });
    }

    /// The stream that belongs to no request, and whether it is new.
    pub(super) fn own_stream(&self) -> (Arc<Feed>, bool) {
        let mut streams = locked(&self.streams);
        if let Some(own) = &streams.own {
            return (own.clone(), false);
        }
        let feed = Feed::new(Framing::Resumable(format!("own-{:x}", self.next.fetch_add(1, Relaxed)).into()));
        streams.own = Some(feed.clone());
        (feed, true)
    }

    pub(super) fn is_own_stream(&self, feed: &Arc<Feed>) -> bool {
        locked(&self.streams).own.as_ref().is_some_and(|own| Arc::ptr_eq(own, feed))
    }

    /// The stream of that name, if it is still kept.
    pub(super) fn stream(&self, name: &str) -> Option<Arc<Feed>> {
        let streams = locked(&self.streams);
        streams.own.iter().chain(&streams.of_calls).find(|feed| feed.name() == name).cloned()
    }

    /// Cancels what is in progress and ends all streams.
    pub(in super::super) fn end(&self) {
        locked(&self.calls).clear();
        locked(&self.asked).clear();
        let streams = std::mem::take(&mut *locked(&self.streams));
        for feed in streams.own.iter().chain(&streams.of_calls).chain(&self.pipe) {
            feed.end();
        }
    }
}

impl CannotBegin {
    /// What the client is told, the same in both eras and on every wire.
    pub(in super::super) fn refused(self) -> Refused {
        match self {
            Self::IdInUse => {
                let text = "a request with this id is in progress";
                Refused::new(StatusCode::BAD_REQUEST, codes::INVALID_REQUEST, ce::ID_IN_USE, text)
            }
            Self::TooMany => {
                let text = "too many requests or streams are in progress";
                Refused::new(StatusCode::TOO_MANY_REQUESTS, codes::INTERNAL_ERROR, ce::TOO_MANY_CALLS, text)
            }
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut calls = locked(&self.session.calls);
        if calls.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            calls.remove(&self.id);
        }
        if calls.is_empty() {
            drop(calls);
            self.session.quiet.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_used_again_after_a_cancellation_belongs_to_the_new_call() {
        let session = Arc::new(Session::new("s".into(), "p".into(), Scope::All, Transport::Pipe, None));
        let id = Id::number(1);
        let cancelled =
            Notification { method: "n".into(), params: cella_mcp::raw_json("{\"requestId\":1}").ok() };
        let first = session.begin(&id).ok().unwrap();
        session.cancel(&cancelled);
        let mut second = session.begin(&id).ok().unwrap();
        drop(first);
        assert_eq!(second.cancelled.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(session.begin(&id).err(), Some(CannotBegin::IdInUse));
        session.cancel(&cancelled);
        assert_eq!(second.cancelled.try_recv(), Ok(()));
    }
}
