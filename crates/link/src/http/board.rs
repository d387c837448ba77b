//! The calls in flight over HTTP, for messages that arrive beside their own streams and for names that must be unique.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_mcp::{AskProfile, Message};
use tokio::sync::Notify;

use crate::{
    asks::{Attribution, attribute},
    error,
    limits::{ASKS_MAX, CALLS_MAX},
};
use cella_transport::{Caller, Fault};

/// Who is in flight.
#[derive(Debug, Default)]
pub(crate) struct Board {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// Calls of the legacy era, which may be meant by messages of the standing stream.
    legacy: BTreeMap<u64, Seat>,
    /// Progress tokens in use, as the server knows them.
    tokens: HashSet<Box<str>>,
}

#[derive(Debug)]
struct Seat {
    caller: Arc<Caller>,
    /// The session it runs in.
    lane: Option<AskProfile>,
    mailbox: Arc<Mailbox>,
    token: Option<Box<str>>,
}

/// Messages for one call that came another way than on its own stream.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    messages: Mutex<VecDeque<Message>>,
    news: Notify,
}

impl Board {
    /// Counts a call in. Every call counted in must be counted out.
    pub(super) fn enter(&self) -> Result<(), Fault> {
        let mut state = self.lock();
        if state.count >= CALLS_MAX {
            return Err(error::too_many_calls(CALLS_MAX));
        }
        state.count += 1;
        Ok(())
    }

    /// Counts a call out and forgets what was known of it.
    pub(super) fn leave(&self, id: u64, token: Option<&str>) {
        let mut state = self.lock();
        state.count = state.count.saturating_sub(1);
        state.legacy.remove(&id);
        if let Some(token) = token {
            state.tokens.remove(token);
        }
    }

    /// Claims a progress token; false when another call has it.
    pub(super) fn claim(&self, token: &str) -> bool {
        self.lock().tokens.insert(token.into())
    }

    /// Makes a call known to the standing stream of its session.
    pub(super) fn seat(
        &self,
        id: u64,
        lane: Option<AskProfile>,
        caller: &Arc<Caller>,
        token: Option<&str>,
    ) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        let seat = Seat {
            caller: Arc::clone(caller),
            lane,
            mailbox: Arc::clone(&mailbox),
            token: token.map(Into::into),
        };
        self.lock().legacy.insert(id, seat);
        mailbox
    }

    /// Whose call a message without a name belongs to that came in this session.
    pub(super) fn attribute(&self, lane: Option<AskProfile>) -> Attribution {
        let state = self.lock();
        let calls = state.legacy.iter().filter(|(_, seat)| seat.lane == lane);
        attribute(calls.map(|(id, seat)| (*id, &seat.caller)))
    }

    /// Puts a message into the mailbox of a call; false when there is no such call or no room.
    pub(super) fn post(&self, id: u64, message: Message) -> bool {
        self.lock().legacy.get(&id).is_some_and(|seat| seat.mailbox.put(message))
    }

    /// The call that was given this progress token.
    pub(super) fn by_token(&self, token: &str) -> Option<u64> {
        let state = self.lock();
        state.legacy.iter().find(|(_, seat)| seat.token.as_deref() == Some(token)).map(|(id, _)| *id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    fn put(&self, message: Message) -> bool {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() >= ASKS_MAX {
            return false;
        }
        messages.push_back(message);
        drop(messages);
        self.news.notify_one();
        true
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&self) -> Message {
        loop {
            let message = self.messages.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match message {
                Some(message) => return message,
                None => self.news.notified().await,
            }
        }
    }
}
