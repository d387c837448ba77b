//! One POST per call: Streamable HTTP of both eras.
//!
//! What comes back for a POST belongs to its call, so nothing need be told apart except on the one stream that a legacy
//! server may keep open beside the calls. A JSON answer takes neither a channel nor a task.

mod board;
mod carriage;
mod connection;
mod driver;
mod lanes;
mod leg;
mod listening;
mod pool;
mod posts;
mod refusal;
mod request;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use cella_mcp::{
    AskProfile, Era, HeaderParams, Id, LogLevel, Message, Raw, Request as RpcRequest, Response, RpcError,
};
use http::{HeaderMap, HeaderValue};
use tokio::{sync::watch, time::timeout};

use self::{board::Board, lanes::Lanes, leg::Leg, request::SESSION_ID};
pub(super) use self::{
    carriage::{Arrival, Carriage, Lost},
    connection::Connection,
    listening::keep_stream,
    pool::{Pool, SendError},
    posts::PostBox,
    refusal::Refusal,
    request::{get, post},
};
use super::{
    LinkOptions, error, events::Events, interests::Interests, outgoing, tally::Tally, terms::Terms,
    wire::Target,
};
use cella_transport::{Call, Exchange, Failure};

/// A server behind an HTTP endpoint.
pub(super) struct HttpLink {
    pub(super) options: Arc<LinkOptions>,
    pub(super) events: Events,
    pub(super) tally: Tally,
    pub(super) interests: Arc<Interests>,
    pub(super) target: Target,
    pub(super) pool: Arc<Pool>,
    pub(super) board: Board,
    /// Sessions for callers who can be asked less than `declared`.
    lanes: Lanes,
    /// What the session for all declares.
    declared: AskProfile,
    /// Held while terms are negotiated, so that a hundred calls that meet a lost session make one new one.
    pub(super) negotiating: tokio::sync::Mutex<()>,
    agreed: RwLock<Option<Arc<HttpTerms>>>,
    /// Changes with the terms.
    pub(super) generation: watch::Sender<u64>,
    next_id: AtomicU64,
    header_params: RwLock<HashMap<Box<str>, Arc<HeaderParams>>>,
    closed: AtomicBool,
}

/// What was agreed, and the headers that follow from it.
#[derive(Debug)]
pub(super) struct HttpTerms {
    pub(super) terms: Terms,
    pub(super) headers: HeaderMap,
    pub(super) session: bool,
    pub(super) generation: u64,
    /// For whom a session is that is not for all.
    pub(super) lane: Option<AskProfile>,
    /// The least level of log messages that the session was told.
    told: Mutex<Option<LogLevel>>,
}

impl HttpTerms {
    /// Terms with the headers that every later request carries.
    pub(super) fn new(terms: Terms, target: &Target, session: Option<HeaderValue>, generation: u64) -> Self {
        let mut headers = target.headers.clone();
        // Defined from 2025-06-18 on; of a modern request it is made from the body.
        if terms.era() == Era::Legacy && terms.revision >= cella_mcp::Revision::V2025_06_18 {
            headers.insert("mcp-protocol-version", HeaderValue::from_static(terms.revision.as_str()));
        }
        let has_session = session.is_some();
        if let Some(mut session) = session {
            session.set_sensitive(true);
            headers.insert(SESSION_ID, session);
        }
        Self { terms, headers, session: has_session, generation, lane: None, told: Mutex::default() }
    }

    /// The same terms for a session of one profile.
    fn in_lane(&self, profile: AskProfile) -> Self {
        Self {
            terms: self.terms.clone(),
            headers: self.headers.clone(),
            session: self.session,
            generation: self.generation,
            lane: Some(profile),
            told: Mutex::default(),
        }
    }

    /// True when the session must be told before messages of this level come; from now on it counts as told.
    pub(super) fn lowers(&self, level: LogLevel) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let lowers = told.is_none_or(|told| level < told);
        if lowers {
            *told = Some(level);
        }
        lowers
    }
}

impl HttpLink {
    pub(super) fn new(
        target: Target,
        tls: cella_transport::net::TlsSettings,
        options: Arc<LinkOptions>,
        events: Events,
        interests: Arc<Interests>,
    ) -> Arc<Self> {
        let pool = Pool::new(target.address.clone(), tls, options.deadlines.connect);
        let declared = AskProfile::of(&options.capabilities);
        Arc::new(Self {
            options,
            events,
            tally: Tally::default(),
            interests,
            target,
            pool,
            board: Board::default(),
            lanes: Lanes::default(),
            declared,
            negotiating: tokio::sync::Mutex::new(()),
            agreed: RwLock::new(None),
            generation: watch::Sender::new(0),
            next_id: AtomicU64::new(1),
            header_params: RwLock::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// What holds now; `None` before the opening.
    pub(super) fn terms(&self) -> Option<Arc<HttpTerms>> {
        self.agreed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets what holds from now on.
    pub(super) fn agree(&self, terms: Arc<HttpTerms>) {
        let generation = terms.generation;
        *self.agreed.write().unwrap_or_else(PoisonError::into_inner) = Some(terms);
        self.header_params.write().unwrap_or_else(PoisonError::into_inner).clear();
        let _before = self.generation.send_replace(generation);
    }

    /// Performs a call.
    pub(super) async fn call(self: &Arc<Self>, call: &Call) -> Exchange {
        let mut mended = leg::Mended::default();
        loop {
            let Some(terms) = self.terms_for(call).await.filter(|_| !self.is_closed()) else {
                return Exchange::fault(error::link_closed(false));
            };
            if terms.terms.era() == Era::Legacy
                && let Some(level) = outgoing::level(&call.caller)
            {
                self.hear_from(&terms, level).await;
            }
            let mut leg = match Leg::start(self, &terms, call) {
                Ok(leg) => leg,
                Err(fault) => return Exchange::fault(fault),
            };
            match leg.first().await {
                leg::First::Answer(answer) => return Exchange::ready(answer),
                leg::First::Steps(step) => return driver::continue_live(leg, step),
                leg::First::Refused(refusal) => {
                    drop(leg);
                    if let Some(answer) = self.mend(&terms, &refusal, call, &mut mended).await {
                        return Exchange::ready(answer);
                    }
                }
            }
        }
    }

    /// Sends a request of Cella's own and waits for its outcome; a lost session is mended once.
    pub(super) async fn request(
        self: &Arc<Self>,
        method: &str,
        params: Option<Raw>,
        within: Duration,
    ) -> Result<Raw, Failure> {
        let call = self.own_call(method, params);
        let answering = async {
            let mut exchange = self.call(&call).await;
            loop {
                if let cella_transport::Step::Done(answer) = exchange.next().await {
                    return answer.outcome;
                }
            }
        };
        timeout(within, answering)
            .await
            .unwrap_or_else(|_| Err(Failure::Fault(error::timed_out("the server did not answer", within))))
    }

    /// The carriage of a request of Cella's own under given terms, without any mending.
    pub(super) fn carry_own(
        self: &Arc<Self>,
        terms: &Arc<HttpTerms>,
        method: &str,
        params: Option<Raw>,
    ) -> (u64, Carriage) {
        let id = self.next_id();
        let request = RpcRequest { id: Id::number(id), method: method.into(), params };
        let mut body = Vec::new();
        request.write(&mut body);
        let mut http = post(&self.target.path, &terms.headers, body);
        if cella_mcp::modern::is_modern_request(request.params.as_deref()) {
            request::mirror(http.headers_mut(), &request, None, &[]);
        }
        (id, Carriage::send(self, terms, http, outgoing::is_repeatable(method)))
    }

    /// Sends a message that gets no answer, and waits until the server has taken it.
    pub(super) async fn one_way(
        self: &Arc<Self>,
        terms: &Arc<HttpTerms>,
        message: &Message,
    ) -> Result<(), Failure> {
        let mut body = Vec::new();
        message.write(&mut body);
        let request = post(&self.target.path, &terms.headers, body);
        let mut carriage = Carriage::send(self, terms, request, false);
        let within = self.options.deadlines.idle;
        let arrival = timeout(within, carriage.next()).await;
        match arrival {
            Ok(Arrival::Accepted) => Ok(()),
            // Some servers answer 200 with an empty or a JSON body; they have taken it all the same.
            Ok(Arrival::Garbage(_) | Arrival::Message(_)) => Ok(()),
            Ok(Arrival::Refused(refusal)) => Err(refusal.to_failure()),
            Ok(Arrival::Broken { in_doubt, why }) => Err(Failure::Fault(why.to_fault(in_doubt))),
            Err(_) => Err(Failure::Fault(error::timed_out("a notification was not taken", within))),
        }
    }

    /// Like [`HttpLink::one_way`], in the background: an answer to a question, a cancellation.
    pub(super) fn one_way_later(self: &Arc<Self>, terms: &Arc<HttpTerms>, message: Message) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (link, terms) = (Arc::clone(self), Arc::clone(terms));
        runtime.spawn(async move {
            if let Err(failure) = link.one_way(&terms, &message).await {
                tracing::debug!(server = %link.options.name, ?failure, "the server did not take a message");
            }
        });
    }

    pub(super) fn reply(self: &Arc<Self>, terms: &Arc<HttpTerms>, id: Id, outcome: Result<Raw, RpcError>) {
        self.one_way_later(terms, Message::Response(Response { id: Some(id), outcome }));
    }

    /// Ends the session, if there is one, and takes no more calls. Calls in flight run to their end.
    pub(super) async fn close(self: &Arc<Self>) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut leaving = tokio::task::JoinSet::new();
        for terms in self.terms().into_iter().chain(self.lanes.take_all()) {
            let link = Arc::clone(self);
            leaving.spawn(async move { link.end_session(&terms).await });
        }
        while leaving.join_next().await.is_some() {}
        self.pool.clear();
        self.events.closed(super::LinkError::Closed { why: "the link was closed".into() });
    }

    /// Deletes a session, so that the server need not keep it.
    async fn end_session(self: &Arc<Self>, terms: &Arc<HttpTerms>) {
        if !terms.session {
            return;
        }
        let request = request::delete(&self.target.path, &terms.headers);
        let mut carriage = Carriage::send(self, terms, request, true);
        let _whatever = timeout(self.options.deadlines.close, carriage.next()).await;
    }

    /// Like [`HttpLink::end_session`], in the background.
    pub(super) fn end_session_later(self: &Arc<Self>, terms: &Arc<HttpTerms>) {
        let (link, terms) = (Arc::clone(self), Arc::clone(terms));
        tokio::spawn(async move { link.end_session(&terms).await });
    }

    /// Makes a session tell log messages from this level on. The filter of the caller is elsewhere.
    async fn hear_from(self: &Arc<Self>, terms: &Arc<HttpTerms>, level: LogLevel) {
        if !terms.lowers(level) || !terms.terms.offers("logging") {
            return;
        }
        self.interests.lower_level(level);
        self.tell_level(terms, level).await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The mirrored parameters of a tool, as far as its list is known.
    pub(super) fn header_params(&self, tool: &str) -> Option<Arc<HeaderParams>> {
        self.header_params.read().unwrap_or_else(PoisonError::into_inner).get(tool).cloned()
    }

    /// Replaces what is known of mirrored parameters by what a complete list says.
    pub(super) fn learn_header_params(&self, all: HashMap<Box<str>, Arc<HeaderParams>>) {
        *self.header_params.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn own_call(&self, method: &str, params: Option<Raw>) -> Call {
        Call {
            scope: cella_transport::Scope::All,
            id: None,
            method: method.into(),
            params,
            caller: Arc::clone(&self.interests.cella),
            param_headers: Vec::new(),
            own_headers: Vec::new(),
        }
    }
}

impl std::fmt::Debug for HttpLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpLink").field("target", &self.target).finish_non_exhaustive()
    }
}
