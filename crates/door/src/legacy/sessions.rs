//! All sessions, and how one is found again after this node forgot it.
//!
//! A session identifier is a sealed ticket with what the client said in `initialize`. A session that was put out of
//! memory, by a restart or to make room, comes back from it unseen, but without what its client set later: the level of
//! log messages and subscriptions to single resources. A session that its client ended does not come back.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_mcp::{Raw, Revision, raw_json, state::Digest};
use tokio::time::Instant;

use super::{
    super::{
        Shared,
        feed::Feed,
        limits::{ENDED_MAX, Limits, SESSION_AGE_MAX, SESSION_ID_MAX},
        request::Asked,
        ticket::{self, Purpose},
    },
    ear::Ear,
    session::Session,
};
use cella_transport::{Caller, Scope};

/// The level of log messages a session gets until it asks otherwise; such clients may filter themselves.
const DEFAULT_LEVEL: &str = "debug";

/// All sessions of the doors.
#[derive(Default)]
pub(in super::super) struct Sessions {
    table: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    /// Sealed identifiers that must not bring a session back, oldest first.
    ended: Mutex<VecDeque<Arc<str>>>,
}

/// What a client said of itself, as it is sealed into an identifier.
pub(super) struct Introduction {
    pub(super) revision: Revision,
    pub(super) capabilities: Raw,
    pub(super) info: Option<Raw>,
}

impl Sessions {
    fn table(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session for a client that introduced itself; `None` when there are too many.
    pub(super) fn create<S>(
        &self,
        shared: &Shared<S>,
        asked: &Asked,
        introduction: Introduction,
    ) -> Option<Arc<Session>> {
        let Asked { principal, scope, transport, .. } = asked;
        let sealed = introduction.seal(shared, principal, scope);
        let is_sealed = sealed.is_some();
        let id: Arc<str> = sealed.unwrap_or_else(|| format!("{:032x}", ticket::random())).into();
        let mut session = Session::new(id, principal.clone(), scope.clone(), *transport, None);
        session.sealed = is_sealed;
        introduction.introduce(&session);
        self.insert(&shared.limits, session)
    }

    /// A session that lives on one stream; its caller is not known yet.
    pub(in super::super) fn create_pipe(
        &self,
        limits: &Limits,
        asked: &Asked,
        pipe: Arc<Feed>,
    ) -> Option<Arc<Session>> {
        let Asked { principal, scope, transport, .. } = asked;
        let id: Arc<str> = format!("{:032x}", ticket::random()).into();
        self.insert(limits, Session::new(id, principal.clone(), scope.clone(), *transport, Some(pipe)))
    }

    fn insert(&self, limits: &Limits, session: Session) -> Option<Arc<Session>> {
        let mut table = self.table();
        if let Some(first) = table.get(&session.id) {
            // two requests brought it back at once: it is one session all the same
            return Some(first.clone());
        }
        let session = Arc::new(session);
        if table.len() >= limits.sessions {
            // put the one out of memory that can come back and was not used for longest
            let idle =
                table.values().filter(|s| s.sealed).filter_map(|s| Some((s.idle_since()?, s.id.clone())));
            let oldest = idle.min_by_key(|(since, _)| *since).map(|(_, id)| id)?;
            table.remove(&oldest).inspect(|session| session.end());
        }
        table.insert(session.id.clone(), session.clone());
        Some(session)
    }

    /// The session of that identifier, if it is this principal's and belongs to this endpoint.
    pub(super) fn find<S>(&self, shared: &Shared<S>, id: &str, asked: &Asked) -> Option<Arc<Session>> {
        let Asked { principal, scope, transport, .. } = asked;
        if let Some(session) = self.touched(id) {
            return (session.principal == *principal && session.scope == *scope).then_some(session);
        }
        if self.ended().iter().any(|ended| **ended == *id) {
            return None;
        }
        let introduction = Introduction::open(shared, principal, scope, id)?;
        let mut session = Session::new(id.into(), principal.clone(), scope.clone(), *transport, None);
        (session.sealed, session.ear) = (true, Ear::of_revived());
        introduction.introduce(&session);
        self.insert(&shared.limits, session)
    }

    /// The session of that identifier and principal, at whichever endpoint.
    pub(super) fn find_pipe(&self, id: &str, principal: &str) -> Option<Arc<Session>> {
        let session = self.touched(id)?;
        (*session.principal == *principal && session.pipe.is_some()).then_some(session)
    }

    /// The session of that identifier, marked as used before it can expire under its user's hands.
    fn touched(&self, id: &str) -> Option<Arc<Session>> {
        let table = self.table();
        table.get(id).inspect(|session| session.touch()).cloned()
    }

    /// The client, or its only stream, ended the session.
    pub(in super::super) fn end(&self, session: &Session) {
        self.table().remove(&session.id);
        if session.sealed {
            let mut ended = self.ended();
            if ended.len() >= ENDED_MAX {
                ended.pop_front();
            }
            ended.push_back(session.id.clone());
        }
        session.end();
    }

    /// Puts sessions out of memory that were not used for long.
    pub(in super::super) fn expire(&self, limits: &Limits) {
        let now = Instant::now();
        let mut late = Vec::new();
        self.table().retain(|_, session| {
            let life = if session.sealed { limits.session_idle_sealed } else { limits.session_idle_plain };
            // a pipe ends with its stream
            let idle = session.idle_since().filter(|_| session.pipe.is_none());
            let keep = idle.is_none_or(|since| now < since + life);
            if !keep {
                late.push(session.clone());
            }
            keep
        });
        for session in late {
            session.end();
        }
    }

    /// Ends all sessions, without a grudge against their identifiers.
    pub(in super::super) fn clear(&self) {
        let all = std::mem::take(&mut *self.table());
        for session in all.values() {
            session.end();
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({})", self.table().len())
    }
}

// === impl Introduction ===

impl Introduction {
    /// As the caller of this session.
    pub(super) fn introduce(self, session: &Session) {
        session.introduce(Caller {
            principal: session.principal.clone(),
            session: Some(session.id.clone()),
            transport: Some(session.transport),
            revision: self.revision,
            capabilities: self.capabilities,
            info: self.info,
            log_level: Some(DEFAULT_LEVEL.into()),
        });
    }

    /// `None` when it is too long for a header.
    fn seal<S>(&self, shared: &Shared<S>, principal: &str, scope: &Scope) -> Option<String> {
        let info = self.info.as_ref().map_or("null", |info| info.get());
        let payload = format!("[\"{}\",{},{info}]", self.revision.as_str(), self.capabilities.get());
        let id =
            ticket::seal(&shared.seal, &purpose(principal, scope), SESSION_AGE_MAX, payload.into_bytes());
        (id.len() <= SESSION_ID_MAX).then_some(id)
    }

    fn open<S>(shared: &Shared<S>, principal: &str, scope: &Scope, id: &str) -> Option<Self> {
        if id.len() > SESSION_ID_MAX {
            return None;
        }
        let payload = ticket::open(&shared.seal, &purpose(principal, scope), id)?;
        let payload = raw_json(String::from_utf8(payload).ok()?).ok()?;
        let parts: Vec<Raw> = cella_mcp::Array::parse(&payload)?.raws().map(ToOwned::to_owned).collect();
        let [revision, capabilities, info] = <[Raw; 3]>::try_from(parts).ok()?;
        Some(Self {
            revision: Revision::parse(revision.get().trim_matches('"'))?,
            capabilities,
            info: (info.get() != "null").then_some(info),
        })
    }
}

fn purpose<'a>(principal: &'a str, scope: &Scope) -> Purpose<'a> {
    Purpose { principal, digest: Digest::of_request(&format!("session {scope:?}"), None) }
}
