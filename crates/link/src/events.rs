//! What a link tells its owner, without ever waiting for it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_mcp::{Notification, Raw};
use tokio::sync::{Notify, mpsc};

use super::{Challenge, LinkError, limits::EVENTS_WAITING_MAX};

/// Something about a server that its owner must know.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// The tool list changed, or may have changed while nobody listened.
    ToolsChanged,
    /// The prompt list changed, or may have.
    PromptsChanged,
    /// The resource list changed, or may have.
    ResourcesChanged,
    /// A watched resource changed.
    ResourceUpdated {
        /// The resource, as the server names it.
        uri: Box<str>,
        /// The notification's params.
        params: Option<Raw>,
    },
    /// A log message that belongs to no call.
    Log(Notification),
    /// Any other notification that belongs to no call.
    Other(Notification),
    /// The server asked within a call, on a wire where a question names no call: from now on calls of different clients
    /// take turns there.
    TakesTurns {
        /// What it asked for.
        method: Box<str>,
    },
    /// The server asked on a stream of no call while calls of several clients were in flight, and was refused: on this
    /// wire each client needs a session of its own.
    Ambiguous {
        /// What it asked for.
        method: Box<str>,
    },
    /// The server wants credentials it did not want before.
    AuthRequired(Challenge),
    /// An HTTP server was negotiated with anew: facts and revision may differ.
    Renegotiated,
    /// The link is over. The last event.
    Closed(LinkError),
}

/// The lists that a server can report as changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lists {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
}

/// Collects events for the owner. Clones report to the same owner.
#[derive(Clone, Debug)]
pub(super) struct Events {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    lists: Lists,
    updated: BTreeMap<Box<str>, Option<Raw>>,
    others: VecDeque<LinkEvent>,
    dropped: u64,
    closed: Option<LinkError>,
    over: bool,
}

impl Lists {
    pub(super) const ALL: Self = Self { tools: true, prompts: true, resources: true };

    /// The list that a notification reports as changed.
    pub(super) fn of_notification(method: &str) -> Option<Self> {
        match method {
            "notifications/tools/list_changed" => Some(Self { tools: true, ..Self::default() }),
            "notifications/prompts/list_changed" => Some(Self { prompts: true, ..Self::default() }),
            "notifications/resources/list_changed" => Some(Self { resources: true, ..Self::default() }),
            _ => None,
        }
    }
}

/// True for a notification about a task, which goes on beside all calls: whoever is calling now is not the one who is
/// meant.
pub(super) fn is_about_a_task(method: &str) -> bool {
    matches!(method, "notifications/tasks/status" | "notifications/tasks")
}

impl Events {
    /// Starts reporting to `owner`. The task ends after [`Events::closed`], or when the owner is gone.
    pub(super) fn report_to(owner: mpsc::Sender<LinkEvent>) -> Self {
        let shared = Arc::new(Shared::default());
        tokio::spawn(deliver(Arc::clone(&shared), owner));
        Self { shared }
    }

    /// Lists changed. Never lost: what the owner has not taken yet is merged.
    pub(super) fn changed(&self, lists: Lists) {
        let mut waiting = self.lock();
        waiting.lists.tools |= lists.tools;
        waiting.lists.prompts |= lists.prompts;
        waiting.lists.resources |= lists.resources;
        drop(waiting);
        self.shared.news.notify_one();
    }

    /// A resource changed. Past the limit it counts as a change of the whole list.
    pub(super) fn updated(&self, uri: &str, params: Option<Raw>) {
        let mut waiting = self.lock();
        if waiting.updated.len() < EVENTS_WAITING_MAX || waiting.updated.contains_key(uri) {
            waiting.updated.insert(uri.into(), params);
        } else {
            waiting.lists.resources = true;
            waiting.dropped += 1;
        }
        drop(waiting);
        self.shared.news.notify_one();
    }

    /// Anything else. Past the limit it is dropped and counted.
    pub(super) fn tell(&self, event: LinkEvent) {
        let mut waiting = self.lock();
        if waiting.others.len() < EVENTS_WAITING_MAX {
            waiting.others.push_back(event);
        } else {
            waiting.dropped += 1;
        }
        drop(waiting);
        self.shared.news.notify_one();
    }

    /// The link is over. Only the first reason counts.
    pub(super) fn closed(&self, why: LinkError) {
        let mut waiting = self.lock();
        if !waiting.over {
            waiting.closed = Some(why);
            waiting.over = true;
        }
        drop(waiting);
        self.shared.news.notify_one();
    }

    /// How many events the owner never saw.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn next(&mut self) -> Option<LinkEvent> {
        if std::mem::take(&mut self.lists.tools) {
            return Some(LinkEvent::ToolsChanged);
        }
        if std::mem::take(&mut self.lists.prompts) {
            return Some(LinkEvent::PromptsChanged);
        }
        if std::mem::take(&mut self.lists.resources) {
            return Some(LinkEvent::ResourcesChanged);
        }
        if let Some((uri, params)) = self.updated.pop_first() {
            return Some(LinkEvent::ResourceUpdated { uri, params });
        }
        self.others.pop_front().or_else(|| self.closed.take().map(LinkEvent::Closed))
    }
}

async fn deliver(shared: Arc<Shared>, owner: mpsc::Sender<LinkEvent>) {
    loop {
        let next = shared.lock().next();
        let Some(event) = next else {
            tokio::select! {
                () = shared.news.notified() => continue,
                () = owner.closed() => return,
            }
        };
        let last = matches!(event, LinkEvent::Closed(_));
        if owner.send(event).await.is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_merged_and_survive_a_flood_of_logs() {
        let (owner, mut events) = mpsc::channel(1);
        let link = Events::report_to(owner);
        for _ in 0..3 * EVENTS_WAITING_MAX {
            link.tell(LinkEvent::Log(Notification { method: "notifications/message".into(), params: None }));
            link.changed(Lists::ALL);
            link.updated("test://a", None);
        }
        link.closed(LinkError::Closed { why: "first".into() });
        link.closed(LinkError::Closed { why: "second".into() });
        let mut kinds = [0; 6];
        while let Some(event) = events.recv().await {
            match event {
                LinkEvent::ToolsChanged => kinds[0] += 1,
                LinkEvent::PromptsChanged => kinds[1] += 1,
                LinkEvent::ResourcesChanged => kinds[2] += 1,
                LinkEvent::ResourceUpdated { .. } => kinds[3] += 1,
                LinkEvent::Closed(LinkError::Closed { why }) => assert_eq!(why, "first"),
                _ => kinds[5] += 1,
            }
        }
        assert_eq!(kinds, [1, 1, 1, 1, 0, EVENTS_WAITING_MAX]);
        assert_eq!(link.dropped(), 2 * EVENTS_WAITING_MAX as u64);
    }
}
