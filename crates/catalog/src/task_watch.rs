//! Who may listen to which task, and who does? (2026-07-28, tasks extension: `subscriptions/listen` with `taskIds`.)
//!
//! The id of a task was given to one principal, in the answer to a call. Only that principal may listen to it: ids are
//! counted up by some servers, so knowing one proves nothing.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_mcp::{Notification, Object, member};
use cella_transport::{Answer, Scope, TaskWatch};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};

use crate::{InstanceKey, pool::CurrentPlan, uris};

/// Most tasks whose owner is remembered; the oldest is forgotten first. Stops a server from filling memory with ids; whoever
/// has a forgotten one is not granted it and asks by `tasks/get`.
const GIVEN_MAX: usize = 4096;
/// Longest id that is remembered, in bytes.
const ID_BYTES_MAX: usize = 1024;
/// States that wait in the channel of one client; what does not fit waits as the last state of each task.
const WAITING_MAX: usize = 16;

/// Tasks that were given out, and those who listen.
#[derive(Default)]
pub(crate) struct TaskWatches(Mutex<Book>);

#[derive(Default)]
struct Book {
    given: HashMap<TaskKey, Given>,
    order: VecDeque<TaskKey>,
    listeners: HashMap<u64, Arc<Listener>>,
    next: u64,
}

/// Server, and the id as the server knows it.
type TaskKey = (Arc<str>, Box<str>);

/// To whom a task was given, and which instance works on it.
#[derive(Clone, Debug)]
struct Given {
    principal: Arc<str>,
    instance: InstanceKey,
}

struct Listener {
    /// What the client calls each task.
    tasks: HashMap<TaskKey, String>,
    /// The last state of each task that was not delivered yet.
    pending: Mutex<BTreeMap<String, Notification>>,
    wake: Notify,
}

/// One who has begun to listen.
pub(crate) struct Listening {
    pub(crate) id: u64,
    pub(crate) watch: TaskWatch,
    /// The instances that have to tell.
    pub(crate) concerned: Vec<(Arc<str>, InstanceKey)>,
}

// === impl TaskWatches ===

impl TaskWatches {
    /// Looks at the answer to a call on its way to a client.
    pub(crate) fn answered(
        &self,
        server: &Arc<str>,
        principal: &Arc<str>,
        instance: &InstanceKey,
        answer: &Answer,
    ) {
        // nearly no result has one, and a plain search costs far less than a parse
        let Ok(result) = &answer.outcome else { return };
        if !result.get().contains("\"taskId\"") {
            return;
        }
        let id = id_of(Some(result)).or_else(|| id_of(member(result, "task")));
        if let Some(id) = id {
            let given = Given { principal: principal.clone(), instance: instance.clone() };
            self.lock().give((server.clone(), id), given);
        }
    }

    /// Starts to listen to those of the tasks that were given to this principal; `None` when none was. The future delivers
    /// and completes when the client has dropped its end.
    pub(crate) fn listen(
        &self,
        plan: &CurrentPlan,
        scope: &Scope,
        principal: &str,
        ids: &[String],
    ) -> Option<(Listening, impl Future<Output = ()> + Send + use<>)> {
        let mut book = self.lock();
        let (mut tasks, mut granted, mut concerned) = (HashMap::new(), Vec::new(), Vec::new());
        for id in ids {
            let Some(key) = key_of(plan, scope, id) else { continue };
            let Some(given) = book.given.get(&key).filter(|given| &*given.principal == principal) else {
                continue;
            };
            let place = (key.0.clone(), given.instance.clone());
            if !concerned.contains(&place) {
                concerned.push(place);
            }
            granted.push(id.clone());
            tasks.insert(key, id.clone());
        }
        if granted.is_empty() {
            return None;
        }
        let (sender, states) = mpsc::channel(WAITING_MAX);
        let listener = Arc::new(Listener { tasks, pending: Mutex::default(), wake: Notify::new() });
        let id = book.next;
        book.next += 1;
        book.listeners.insert(id, listener.clone());
        drop(book);
        let watch = TaskWatch { granted, states };
        Some((Listening { id, watch, concerned }, async move { listener.deliver(sender).await }))
    }

    /// Forgets one who listened.
    pub(crate) fn forget(&self, id: u64) {
        self.lock().listeners.remove(&id);
    }

    /// The tasks of an instance to which somebody listens, as the server knows them.
    pub(crate) fn listened_to(&self, server: &str, instance: &InstanceKey) -> Vec<Box<str>> {
        let book = self.lock();
        let all = book.listeners.values().flat_map(|listener| listener.tasks.keys());
        let here = |key: &&TaskKey| {
            &*key.0 == server && book.given.get(*key).is_some_and(|given| given.instance == *instance)
        };
        let mut ids: Vec<Box<str>> = all.filter(here).map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// An instance says something of a task.
    pub(crate) fn told(&self, server: &Arc<str>, instance: &InstanceKey, note: &Notification) {
        let Some(id) = id_of(note.params.as_deref()) else { return };
        let book = self.lock();
        let key = (server.clone(), id);
        if book.given.get(&key).is_none_or(|given| given.instance != *instance) {
            return;
        }
        for listener in book.listeners.values() {
            if let Some(name) = listener.tasks.get(&key) {
                listener.told(name, note);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn give(&mut self, key: TaskKey, given: Given) {
        if self.given.insert(key.clone(), given).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > GIVEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.given.remove(&oldest);
        }
    }
}

// === impl Listener ===

impl Listener {
    fn told(&self, name: &str, note: &Notification) {
        let mut params = Object::parse_or_empty(note.params.as_deref());
        params.set_str("taskId", name);
        let note = Notification { method: note.method.clone(), params: Some(params.to_raw()) };
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), note);
        self.wake.notify_one();
    }

    async fn deliver(&self, sender: mpsc::Sender<Notification>) {
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = sender.closed() => return,
            }
            let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
            for note in pending.into_values() {
                if sender.send(note).await.is_err() {
                    return;
                }
            }
        }
    }
}

// === free functions ===

fn key_of(plan: &CurrentPlan, scope: &Scope, id: &str) -> Option<TaskKey> {
    match scope {
        Scope::Server(name) => Some((Arc::from(&**name), id.into())),
        Scope::All | Scope::View(_) => {
            let (server, own) = uris::split_qualified(id, plan.concerned(scope).map(|s| s.name()))?;
            Some((Arc::from(server), own.into()))
        }
    }
}

fn id_of(object: Option<&RawValue>) -> Option<Box<str>> {
    let object = object.and_then(Object::parse)?;
    let id = object.get_str("taskId").filter(|id| id.len() <= ID_BYTES_MAX)?;
    Some(id.as_ref().into())
}
