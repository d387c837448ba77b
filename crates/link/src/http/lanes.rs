//! Sessions of a legacy server for callers who can be asked less than Cella can carry.
//!
//! A legacy session declares once what its client can be asked, and the server believes it: it asks, or lets its tools
//! depend on it. One session that declares everything would have a server ask a client that cannot answer. Over HTTP a
//! session costs no process, so each profile has one of its own, opened by the first call that needs it. The session for
//! all stays for lists, subscriptions and Cella's own requests. A server that gives no sessions has none to keep apart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cella_mcp::{AskProfile, Era, ListKind};
use tokio::{
    sync::oneshot,
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{
    HttpLink, HttpTerms,
    listening::{Stood, stand},
};
use crate::backoff::Backoff;
use cella_transport::Call;

/// How long calls go to the session for all after the server has refused one of these.
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// How long the first call waits for the standing stream, on which some servers ask.
const STREAM_WITHIN: Duration = Duration::from_millis(500);

/// The lanes of one link: at most one for each profile, of which there are 24.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Mutex<HashMap<AskProfile, Arc<Lane>>>,
}

/// The session for one profile.
#[derive(Debug)]
struct Lane {
    profile: AskProfile,
    /// Held while the session is opened, so that a hundred first calls open one.
    opening: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    terms: Option<Arc<HttpTerms>>,
    refused: Option<Instant>,
    stream: Option<AbortHandle>,
}

// === impl HttpLink ===

impl HttpLink {
    /// The terms under which a call is made; `None` before the opening.
    pub(super) async fn terms_for(self: &Arc<Self>, call: &Call) -> Option<Arc<HttpTerms>> {
        let main = self.terms()?;
        let Some(profile) = self.narrower(&main, call) else { return Some(main) };
        let lane = self.lanes.lane(profile);
        if let Some(terms) = lane.terms() {
            return Some(terms);
        }
        if lane.is_refused() {
            return Some(main);
        }
        // In a task: a caller who leaves now must not leave a session behind that nobody knows.
        let (link, old) = (Arc::clone(self), Arc::clone(&main));
        let opened = tokio::spawn(async move { lane.open(&link, &old).await }).await;
        Some(opened.ok().flatten().unwrap_or(main))
    }

    /// What the caller can be asked, when that is less than the session for all declares.
    fn narrower(&self, main: &HttpTerms, call: &Call) -> Option<AskProfile> {
        if main.terms.era() != Era::Legacy || !main.session || call.caller.is_cella() {
            return None;
        }
        if ListKind::of_method(&call.method).is_some() {
            return None;
        }
        let mut own = AskProfile::of(&call.caller.capabilities);
        if !self.options.roots.is_empty() {
            own = own.with_roots();
        }
        let own = own.and(self.declared);
        (own != self.declared).then_some(own)
    }
}

// === impl Lanes ===

impl Lanes {
    fn lane(&self, profile: AskProfile) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            || Arc::new(Lane { profile, opening: tokio::sync::Mutex::new(()), state: Mutex::default() });
        Arc::clone(lanes.entry(profile).or_insert_with(fresh))
    }

    /// Forgets a session that the server has forgotten.
    pub(super) fn forget(&self, terms: &Arc<HttpTerms>) {
        let Some(profile) = terms.lane else { return };
        self.lane(profile).forget(terms);
    }

    /// The open sessions; none is left.
    pub(super) fn take_all(&self) -> Vec<Arc<HttpTerms>> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.values().filter_map(|lane| lane.take()).collect()
    }
}

// === impl Lane ===

impl Lane {
    fn terms(&self) -> Option<Arc<HttpTerms>> {
        self.lock().terms.clone()
    }

    fn is_refused(&self) -> bool {
        self.lock().refused.is_some_and(|at| at.elapsed() < REFUSED_FOR)
    }

    /// Opens the session. `None`: the server gives none; the call goes the way of all.
    async fn open(self: Arc<Self>, link: &Arc<HttpLink>, main: &HttpTerms) -> Option<Arc<HttpTerms>> {
        let _one_at_a_time = self.opening.lock().await;
        if let Some(terms) = self.terms() {
            return Some(terms);
        }
        if self.is_refused() {
            return None;
        }
        let declared = self.profile.narrow(&link.options.capabilities);
        let revision = main.terms.revision;
        let opening = link.initialize(revision, main.generation, &declared);
        let opened = timeout(link.options.deadlines.handshake, opening).await;
        let Some(terms) = opened.ok().and_then(Result::ok).filter(|terms| terms.session) else {
            tracing::debug!(server = %link.options.name, "no session for clients that can be asked less");
            self.lock().refused = Some(Instant::now());
            return None;
        };
        let terms = Arc::new(terms.in_lane(self.profile));
        self.lock().terms = Some(Arc::clone(&terms));
        if link.is_closed() {
            // Either the close has taken it, or it has not seen it.
            if let Some(late) = self.take() {
                link.end_session_later(&late);
            }
            return None;
        }
        if self.profile.can_be_asked() {
            self.listen(link, &terms).await;
        }
        Some(terms)
    }

    /// Some servers ask on the standing stream, also in the middle of a call.
    async fn listen(self: &Arc<Self>, link: &Arc<HttpLink>, terms: &Arc<HttpTerms>) {
        let (ready, stands) = oneshot::channel();
        let (lane, link, terms) = (Arc::clone(self), Arc::clone(link), Arc::clone(terms));
        let stream = tokio::spawn(async move { lane.keep_stream(&link, &terms, ready).await });
        self.lock().stream = Some(stream.abort_handle());
        let _late = timeout(STREAM_WITHIN, stands).await;
    }

    async fn keep_stream(&self, link: &Arc<HttpLink>, terms: &Arc<HttpTerms>, ready: oneshot::Sender<()>) {
        let mut ready = Some(ready);
        let mut backoff = Backoff::default();
        while self.is_current(terms) && !link.is_closed() {
            // What lists say is heard on the stream of the session for all.
            match stand(link, terms, &mut ready, &mut false, &mut backoff).await {
                Stood::Lost => return self.forget(terms),
                Stood::Unoffered => return,
                Stood::Broken => backoff.wait().await,
            }
        }
    }

    fn is_current(&self, terms: &Arc<HttpTerms>) -> bool {
        self.lock().is(terms)
    }

    fn forget(&self, terms: &Arc<HttpTerms>) {
        let mut state = self.lock();
        if state.is(terms) {
            state.take();
        }
    }

    fn take(&self) -> Option<Arc<HttpTerms>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn is(&self, terms: &Arc<HttpTerms>) -> bool {
        self.terms.as_ref().is_some_and(|current| Arc::ptr_eq(current, terms))
    }

    /// Ends its stream, too.
    fn take(&mut self) -> Option<Arc<HttpTerms>> {
        if let Some(stream) = self.stream.take() {
            stream.abort();
        }
        self.terms.take()
    }
}
