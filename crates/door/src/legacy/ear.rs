//! What a session hears without asking: changed lists, and updates of the resources it subscribed to.
//!
//! A client takes these from a stream it may open late or never. Until then the watch waits unread, and the service
//! bounds it; a watch that the service gave up is replaced, and the client is told that anything may have changed.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering::{AcqRel, Release},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use cella_mcp::{ListKind, LogLevel, Message, Notification, RpcError, codes, raw_json, raw_string};

use super::{
    super::{Phase, Shared, codes as ce, feed::Feed, limits::WATCHED_MAX, reply::code_data},
    session::Session,
};
use cella_transport::{Change, Interest, Service, Watch};

/// Pause before a watch that the service gave up is replaced. A service that gives up at once must not be asked in a
/// loop.
const WATCH_AGAIN: Duration = Duration::from_millis(500);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts to watch, once.
pub(in super::super) fn watch_lists<S: Service>(shared: &Shared<S>, session: &Session) {
    let interest = {
        let mut interest = locked(&session.ear.interest);
        if interest.tools {
            return;
        }
        *interest = Interest {
            tools: true,
            prompts: true,
            resources: true,
            uris: std::mem::take(&mut interest.uris),
        };
        interest.clone()
    };
    renew(shared, session, interest);
}

/// `resources/subscribe` and `resources/unsubscribe`.
pub(super) async fn subscribe<S: Service>(
    shared: &Shared<S>,
    session: &Session,
    uri: &str,
    wanted: bool,
) -> Result<(), RpcError> {
    let interest = {
        let mut interest = locked(&session.ear.interest);
        let known = interest.uris.iter().any(|u| u == uri);
        if known == wanted {
            return Ok(());
        }
        if !wanted {
            interest.uris.retain(|u| u != uri);
        } else if interest.uris.len() >= WATCHED_MAX {
            let message = format!("a session may subscribe to {WATCHED_MAX} resources");
            return Err(RpcError { code: codes::INVALID_PARAMS, message, data: code_data(ce::CANNOT_WATCH) });
        } else {
            interest.uris.push(uri.to_owned());
        }
        interest.clone()
    };
    if wanted {
        shared.service.make_watchable(&session.scope, &[uri.to_owned()]).await;
    }
    let (granted, settled) = renew(shared, session, interest);
    if let Some(settled) = settled.filter(|_| wanted) {
        let _told_or_given_up = settled.await;
    }
    if wanted && !granted.uris.iter().any(|u| u == uri) {
        locked(&session.ear.interest).uris.retain(|u| u != uri);
        let message = format!("{uri} cannot be subscribed to");
        return Err(RpcError { code: codes::INVALID_PARAMS, message, data: code_data(ce::CANNOT_WATCH) });
    }
    Ok(())
}

/// Puts a new watch in place of the old one. The old one is read out first, so that nothing falls between.
fn renew<S: Service>(
    shared: &Shared<S>,
    session: &Session,
    interest: Interest,
) -> (Interest, Option<oneshot::Receiver<()>>) {
    let Some(caller) = session.caller() else { return (Interest::default(), None) };
    let mut watch = shared.service.watch(&session.scope, &caller, interest);
    let (granted, settled) = (watch.granted.clone(), watch.settled.take());
    *locked(&session.ear.waiting) = Some(watch);
    session.ear.renewed.notify_one();
    (granted, settled)
}

/// Carries changes to a stream, for as long as the session has one. Runs once per session.
pub(in super::super) fn listen<S: Service>(
    shared: &Arc<Shared<S>>,
    session: &Arc<Session>,
    feed: &Arc<Feed>,
) {
    if session.ear.open.swap(true, AcqRel) {
        return;
    }
    let Some(counted) = shared.streams.enter(super::super::limits::STREAMS_MAX) else {
        session.ear.open.store(false, Release);
        return;
    };
    watch_lists(shared, session);
    let (shared_, session, feed) = (shared.clone(), session.clone(), feed.clone());
    shared.spawn(counted, async move {
        tokio::select! {
            () = carry(&shared_, &session, &feed) => {}
            () = feed.ended() => {}
            () = shared_.reached(Phase::Draining) => {}
        }
        // a pipe has more to say than changes
        if session.pipe.is_none() {
            feed.end();
        }
        session.ear.open.store(false, Release);
    });
}

async fn carry<S: Service>(shared: &Shared<S>, session: &Session, feed: &Feed) {
    let mut watch: Option<Watch> = None;
    let mut catch_up = session.revived;
    loop {
        let new = locked(&session.ear.waiting).take();
        let old = if new.is_some() { std::mem::replace(&mut watch, new) } else { None };
        for change in
            old.into_iter().flat_map(|mut old| std::iter::from_fn(move || old.changes.try_recv().ok()))
        {
            let _ended = feed.send(&message(change)).await.is_err();
        }
        if std::mem::take(&mut catch_up) {
            let granted = watch.as_ref().map(|w| w.granted.clone()).unwrap_or_default();
            for change in everything(granted) {
                let _ended = feed.send(&message(change)).await.is_err();
            }
        }
        let next = async {
            match &mut watch {
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
                    catch_up = true;
                    tokio::time::sleep(WATCH_AGAIN).await;
                    let interest = locked(&session.ear.interest).clone();
                    renew(shared, session, interest);
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
