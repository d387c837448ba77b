//! What a session hears without asking: changed lists, and updates of the resources it subscribed to.
//!
//! A client takes these from a stream it may open late or never. Until then the watch waits unread, and the service
//! bounds it; a watch that the service gave up is replaced, and the client is told that anything may have changed. The
//! task that carries changes lives only while somebody reads: sessions that are left without a word hold no stream.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Release},
        },
    },
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use cella_mcp::{ListKind, LogLevel, Message, Notification, RpcError, codes, raw_json, raw_string};

use super::{
    super::{Phase, Shared, codes as ce, feed::Feed, limits::WATCHED_MAX, reply::code_data},
    session::Session,
};
use cella_transport::{Change, Interest, Service, Watch};

/// Pause before a watch that the service gave up is replaced. A service that gives up at once must not be asked in a
/// loop.
const WATCH_AGAIN: Duration = Duration::from_millis(500);

/// Changes that wait for a reader after the watch that told them was replaced: one per resource that may be watched, and
/// one per list. Past it the client is told that anything may have changed.
const MISSED_MAX: usize = WATCHED_MAX + 3;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is watched for a session.
#[derive(Debug, Default)]
pub(super) struct Ear {
    /// Held while a watch is made from it, so that the newest watch is also the newest interest.
    interest: Mutex<Interest>,
    waiting: Mutex<Waiting>,
    renewed: Notify,
    /// Somebody reads.
    open: AtomicBool,
}

/// What nobody reads at the moment.
#[derive(Debug, Default)]
struct Waiting {
    watch: Option<Watch>,
    /// What watches before that one had still to say: each change once.
    missed: Vec<Change>,
    /// The client may have missed anything.
    anything: bool,
}

// === impl Ear ===

impl Ear {
    /// For a client that may have missed changes while its session was out of memory.
    pub(super) fn of_revived() -> Self {
        Self { waiting: Mutex::new(Waiting { anything: true, ..Waiting::default() }), ..Self::default() }
    }

    fn wait(&self, watch: Watch) {
        let mut waiting = locked(&self.waiting);
        // made before the old one is read out, so that nothing falls between
        if let Some(old) = waiting.watch.replace(watch) {
            waiting.keep(old);
        }
    }

    /// What is there to be read.
    fn take(&self) -> Waiting {
        std::mem::take(&mut *locked(&self.waiting))
    }

    /// Gives a watch back that nobody reads any more.
    fn give_back(&self, watch: Option<Watch>) {
        let Some(watch) = watch else { return };
        let mut waiting = locked(&self.waiting);
        if waiting.watch.is_none() {
            waiting.watch = Some(watch);
        } else {
            waiting.keep(watch);
        }
    }
}

impl Waiting {
    /// Reads out a watch that has a successor.
    fn keep(&mut self, mut old: Watch) {
        while let Ok(change) = old.changes.try_recv() {
            self.missed.retain(|missed| !is_same(missed, &change));
            self.missed.push(change);
        }
        if self.missed.len() > MISSED_MAX {
            // some of them about resources that are watched no more
            self.missed.clear();
            self.anything = true;
        }
    }
}

/// True when telling the latter makes telling the former needless.
fn is_same(one: &Change, other: &Change) -> bool {
    match (one, other) {
        (Change::Updated { uri: one, .. }, Change::Updated { uri: other, .. }) => one == other,
        (Change::Tools, Change::Tools)
        | (Change::Prompts, Change::Prompts)
        | (Change::Resources, Change::Resources) => true,
        _ => false,
    }
}

/// Starts to watch, once.
pub(in super::super) fn watch_lists<S: Service>(shared: &Shared<S>, session: &Session) {
    let mut interest = locked(&session.ear.interest);
    if interest.tools {
        return;
    }
    *interest =
        Interest { tools: true, prompts: true, resources: true, uris: std::mem::take(&mut interest.uris) };
    renew(shared, session, &interest);
}

/// Notes what the client wants by `resources/subscribe` or `resources/unsubscribe`, at once, so that its next message
/// finds it noted. [`fulfil`] does it.
pub(super) fn wish(session: &Session, uri: &str, wanted: bool) -> Result<(), RpcError> {
    let mut interest = locked(&session.ear.interest);
    interest.uris.retain(|u| u != uri);
    if !wanted {
        return Ok(());
    }
    if interest.uris.len() >= WATCHED_MAX {
        return Err(refusal(format!("a session may subscribe to {WATCHED_MAX} resources")));
    }
    interest.uris.push(uri.to_owned());
    Ok(())
}

/// Watches what is wanted by now, and waits until the servers know of it.
pub(super) async fn fulfil<S: Service>(
    shared: &Shared<S>,
    session: &Session,
    uri: &str,
    wanted: bool,
) -> Result<(), RpcError> {
    if wanted {
        shared.service.make_watchable(&session.scope, &[uri.to_owned()]).await;
    }
    let settled = {
        let mut interest = locked(&session.ear.interest);
        let (granted, settled) = renew(shared, session, &interest);
        let is_wanted = |interest: &Interest| interest.uris.iter().any(|u| u == uri);
        if wanted && is_wanted(&interest) && !is_wanted(&granted) {
            interest.uris.retain(|u| u != uri);
            return Err(refusal(format!("{uri} cannot be subscribed to")));
        }
        settled.filter(|_| wanted)
    };
    if let Some(settled) = settled {
        let _told_or_given_up = settled.await;
    }
    Ok(())
}

fn refusal(message: String) -> RpcError {
    RpcError { code: codes::INVALID_PARAMS, message, data: code_data(ce::CANNOT_WATCH) }
}

/// Puts a new watch in place of the old one. Called with the interest locked.
fn renew<S: Service>(
    shared: &Shared<S>,
    session: &Session,
    interest: &Interest,
) -> (Interest, Option<oneshot::Receiver<()>>) {
    let Some(caller) = session.caller() else { return (Interest::default(), None) };
    let mut watch = shared.service.watch(&session.scope, &caller, interest.clone());
    let (granted, settled) = (watch.granted.clone(), watch.settled.take());
    session.ear.wait(watch);
    session.ear.renewed.notify_one();
    (granted, settled)
}

/// Carries changes to a stream, for as long as somebody reads it, once per session. False when too many streams are
/// open; a pipe is counted already.
pub(in super::super) fn listen<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
) -> bool {
    if session.ear.open.swap(true, AcqRel) {
        return true;
    }
    let max = if session.pipe.is_some() { usize::MAX } else { shared.limits.streams };
    let Some(counted) = shared.streams.enter(max) else {
        session.ear.open.store(false, Release);
        return false;
    };
    watch_lists(shared, session);
    let (shared_, session, feed) = (shared.clone(), session.clone(), feed.clone());
    shared.spawn(counted, async move {
        // a reader that came back while the ear closed finds it closed, or is found here
        while attend(&shared_, &session, &feed).await && !session.ear.open.swap(true, AcqRel) {}
    });
    true
}

/// Carries changes until nobody reads. True when somebody does again.
async fn attend<S: Service>(shared: &Shared<S>, session: &Session, feed: &Feed) -> bool {
    let mut watch = None;
    let over = tokio::select! {
        biased;
        // first: what it holds when the reader leaves is written, where the next reader finds it
        () = carry(shared, session, feed, &mut watch) => true,
        () = feed.abandoned(Duration::ZERO) => feed.has_ended(),
        () = shared.reached(Phase::Draining) => true,
    };
    // a pipe has more to say than changes
    if over && session.pipe.is_none() {
        feed.end();
    }
    session.ear.give_back(watch);
    session.ear.open.store(false, Release);
    !over && feed.is_attached()
}

/// Ends when the feed does.
async fn carry<S: Service>(shared: &Shared<S>, session: &Session, feed: &Feed, watch: &mut Option<Watch>) {
    loop {
        let mut late = session.ear.take();
        if let Some(new) = late.watch.take()
            && let Some(old) = watch.replace(new)
        {
            late.keep(old);
        }
        if late.anything {
            late.missed = everything(watch.as_ref().map(|w| w.granted.clone()).unwrap_or_default());
        }
        for change in late.missed {
            if feed.send(&message(change)).await.is_err() {
                return;
            }
        }
        let next = async {
            match &mut *watch {
                Some(watch) => watch.changes.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            change = next => match change {
                Some(Change::Told(note)) if !is_loud_enough(session, &note) => {}
                Some(change) => {
                    if feed.send(&message(change)).await.is_err() {
                        return;
                    }
                }
                None => {
                    tokio::time::sleep(WATCH_AGAIN).await;
                    let interest = locked(&session.ear.interest);
                    locked(&session.ear.waiting).anything = true;
                    renew(shared, session, &interest);
                }
            },
            () = session.ear.renewed.notified() => {}
        }
    }
}

/// What to say to a client that may have missed any change.
fn everything(granted: Interest) -> Vec<Change> {
    let mut changes = Vec::new();
    changes.extend(granted.tools.then_some(Change::Tools));
    changes.extend(granted.prompts.then_some(Change::Prompts));
    changes.extend(granted.resources.then_some(Change::Resources));
    changes.extend(granted.uris.into_iter().map(|uri| Change::Updated { uri: uri.into(), params: None }));
    changes
}

/// False for a log message below the level of the session.
fn is_loud_enough(session: &Session, note: &Notification) -> bool {
    if &*note.method != "notifications/message" {
        return true;
    }
    let wanted = session.caller().and_then(|c| c.log_level.as_deref()?.parse::<LogLevel>().ok());
    let level = LogLevel::of_message(note.params.as_deref());
    wanted.is_some_and(|wanted| level.is_none_or(|level| level >= wanted))
}

fn message(change: Change) -> Message {
    let list = |kind: ListKind| Notification { method: kind.changed().into(), params: None };
    Message::Notification(match change {
        Change::Tools => list(ListKind::Tools),
        Change::Prompts => list(ListKind::Prompts),
        Change::Resources => list(ListKind::Resources),
        Change::Updated { uri, params } => Notification {
            method: "notifications/resources/updated".into(),
            params: params.or_else(|| raw_json(format!("{{\"uri\":{}}}", raw_string(&uri).get())).ok()),
        },
        Change::Told(note) => note,
    })
}
