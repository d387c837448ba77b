//! Who is meant by a notification that comes after its call: a task that goes on, a question that was answered elsewhere?
//!
//! Such a notification names no call, and a server may serve many clients. The id it carries was given to one of them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use cella_mcp::{Array, Object, Raw, member};
use cella_transport::{Answer, Caller, Failure, Step};
use serde_json::value::RawValue;

/// Most ids that are remembered; the oldest is forgotten first. Stops a server from filling memory with ids; whoever has a
/// forgotten one hears nothing more of it by itself, and asks.
const IDS_MAX: usize = 4096;
/// Longest id that is remembered, in bytes.
const ID_BYTES_MAX: usize = 1024;
/// The client must go to a URL before it calls again (2025-11-25, client/elicitation).
const URL_ELICITATION_REQUIRED: i64 = -32042;

/// A client that can hear something beside its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    principal: Arc<str>,
    session: Arc<str>,
}

/// The ids that were given out lately.
#[derive(Default)]
pub(crate) struct Followups(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    clients: HashMap<Key, Client>,
    order: VecDeque<Key>,
}

/// Server and id.
type Key = (Arc<str>, Box<str>);

// === impl Client ===

impl Client {
    /// `None` for one whose requests have nothing in common.
    pub(crate) fn of(caller: &Caller) -> Option<Self> {
        let session = caller.session.clone()?;
        Some(Self { principal: caller.principal.clone(), session })
    }
}

// === impl Followups ===

impl Followups {
    /// Looks at a step on its way to a client.
    pub(crate) fn saw(&self, server: &Arc<str>, client: &Client, step: &Step) {
        match step {
            Step::Ask(ask) => {
                self.remember(server, client, id_in(ask.params.as_deref(), "elicitationId"));
            }
            Step::Done(answer) => self.answered(server, client, answer),
            Step::Notify(_) => {}
        }
    }

    /// Looks at an answer on its way to a client.
    pub(crate) fn answered(&self, server: &Arc<str>, client: &Client, answer: &Answer) {
        match &answer.outcome {
            // nearly no result has one, and a plain search costs far less than a parse
            Ok(result) if result.get().contains("\"taskId\"") => {
                self.remember(server, client, id_in(member(result, "task"), "taskId"));
            }
            Err(Failure::Peer(error)) if error.code == URL_ELICITATION_REQUIRED => {
                let all = error.data.as_deref().and_then(|data| member(data, "elicitations"));
                for one in all.and_then(Array::parse).iter().flat_map(Array::raws) {
                    self.remember(server, client, id_in(Some(one), "elicitationId"));
                }
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// The client to whom the id in a notification was given.
    pub(crate) fn client(&self, server: &str, params: Option<&Raw>) -> Option<Client> {
        let id = ["taskId", "elicitationId"].iter().find_map(|key| id_in(params.map(|p| &**p), key))?;
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.clients.get(&(Arc::from(server), id)).cloned()
    }

    fn remember(&self, server: &Arc<str>, client: &Client, id: Option<Box<str>>) {
        let Some(id) = id else { return };
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (server.clone(), id);
        if remembered.clients.insert(key.clone(), client.clone()).is_some() {
            return;
        }
        remembered.order.push_back(key);
        if remembered.order.len() > IDS_MAX
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.clients.remove(&oldest);
        }
    }
}

fn id_in(object: Option<&RawValue>, key: &str) -> Option<Box<str>> {
    let object = object.and_then(Object::parse)?;
    let id = object.get_str(key).filter(|id| id.len() <= ID_BYTES_MAX)?;
    Some(id.as_ref().into())
}
