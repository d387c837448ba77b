//! Opening a link: connect, find out the era, agree.

use std::{future::Future, pin::pin, sync::Arc};

use cella_mcp::{Id, Message, Notification, Raw, Response, Revision};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Endpoint, EraPreference, Link, LinkError, LinkEvent, LinkOptions, Wire,
    carrier::Carrier,
    channel::{Channel, Outbound, read_lines},
    events::{Events, Lists},
    http::{Arrival, HttpLink, HttpTerms, Lost, SendError},
    interests::Interests,
    keeper,
    limits::SESSION_ID_BYTES_MAX,
    negotiate::{self, Probe},
    sse,
    tasks::Tasks,
    terms::Terms,
};
use cella_transport::{Failure, stdio::Outbox};

/// How long an opening waits for the first subscription to stand, so that no change between the owner's first list and
/// the subscription is missed.
const LISTENING_WITHIN: std::time::Duration = std::time::Duration::from_millis(500);

/// Opens a link.
pub(super) async fn open(
    wire: Wire,
    options: LinkOptions,
    changes: mpsc::Sender<LinkEvent>,
) -> Result<Link, LinkError> {
    let options = Arc::new(options);
    let opening = Opening {
        events: Events::report_to(changes),
        interests: Interests::new(&options),
        options,
        tasks: Tasks::default(),
    };
    let within = opening.options.deadlines.handshake;
    let late = || LinkError::TimedOut { what: "the handshake", within };
    timeout(within, opening.run(wire)).await.unwrap_or_else(|_| Err(late()))
}

struct Opening {
    options: Arc<LinkOptions>,
    events: Events,
    interests: Arc<Interests>,
    tasks: Tasks,
}

impl Opening {
    async fn run(mut self, wire: Wire) -> Result<Link, LinkError> {
        let carrier = match wire {
            Wire::Stdio { stdin, stdout } => {
                let (outbox, writer) = Outbox::new(stdin);
                let channel =
                    Channel::new(Outbound::Pipe(outbox), Arc::clone(&self.options), self.events.clone());
                self.tasks.spawn(writer);
                self.tasks.spawn(read_lines(Arc::clone(&channel), stdout));
                let stays = StopOnDrop(&channel);
                let terms = agree_on_channel(&channel).await?;
                std::mem::forget(stays);
                channel.agree(terms);
                Carrier::Channel(channel)
            }
            Wire::Http(endpoint) => self.http(&endpoint, false).await?,
            Wire::DetectHttp(endpoint) => self.http(&endpoint, true).await?,
            Wire::LegacySse(endpoint) => self.sse(&endpoint).await?,
        };
        Ok(self.finish(carrier).await)
    }

    async fn http(&mut self, endpoint: &Endpoint, detect: bool) -> Result<Carrier, LinkError> {
        let target = endpoint.check()?;
        let (options, events) = (Arc::clone(&self.options), self.events.clone());
        let link = HttpLink::new(target, endpoint.tls.clone(), options, events, Arc::clone(&self.interests));
        match link.negotiate(1).await {
            Ok(terms) => {
                link.agree(terms);
                Ok(Carrier::Http(link))
            }
            // The old transport has its stream under this URL, and takes no POST there.
            Err(Unagreed::Old(refused)) if detect => match self.sse(endpoint).await {
                Ok(carrier) => Ok(carrier),
                Err(LinkError::AuthRequired { challenge }) => Err(LinkError::AuthRequired { challenge }),
                Err(_) => Err(refused),
            },
            Err(Unagreed::Old(error) | Unagreed::Dead(error)) => Err(error),
        }
    }

    async fn sse(&mut self, endpoint: &Endpoint) -> Result<Carrier, LinkError> {
        let channel = sse::connect(endpoint, &self.options, &self.events).await?;
        let stays = StopOnDrop(&channel);
        let terms = initialize_channel(&channel).await?;
        std::mem::forget(stays);
        channel.agree(terms);
        Ok(Carrier::Channel(channel))
    }

    /// Starts listening for changes.
    async fn finish(mut self, carrier: Carrier) -> Link {
        let (ready, stands) = oneshot::channel();
        let keeper = keeper::keep(carrier.clone(), Arc::clone(&self.interests), ready);
        self.tasks.listen(keeper);
        let _late = timeout(LISTENING_WITHIN, stands).await;
        Link::assemble(carrier, self.interests, self.tasks)
    }
}

/// Closes the channel when an opening fails or is dropped in the middle.
struct StopOnDrop<'a>(&'a Channel);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

// === a channel ===

async fn agree_on_channel(channel: &Arc<Channel>) -> Result<Terms, LinkError> {
    match channel.options.era {
        EraPreference::Legacy => initialize_channel(channel).await,
        EraPreference::Modern => match negotiate::read_probe(probe_channel(channel).await) {
            Probe::Modern(terms) => Ok(terms),
            Probe::Legacy => Err(not_modern()),
            Probe::Dead(error) => Err(error),
        },
        EraPreference::Auto => {
            let mut probe = pin!(probe_channel(channel));
            match timeout(channel.options.deadlines.probe, &mut probe).await {
                Ok(outcome) => match negotiate::read_probe(outcome) {
                    Probe::Modern(terms) => Ok(terms),
                    Probe::Legacy => initialize_channel(channel).await,
                    Probe::Dead(error) => Err(error),
                },
                Err(_) => race(channel, probe).await,
            }
        }
    }
}

/// A server that is silent is slow, or legacy and deaf to what it does not know: it is asked both ways, and the first
/// good answer counts.
async fn race(
    channel: &Arc<Channel>,
    mut probe: std::pin::Pin<&mut impl Future<Output = Result<Raw, Failure>>>,
) -> Result<Terms, LinkError> {
    let mut handshake = pin!(initialize_channel(channel));
    tokio::select! {
        outcome = &mut probe => match negotiate::read_probe(outcome) {
            Probe::Modern(terms) => Ok(terms),
            Probe::Legacy => handshake.await,
            Probe::Dead(error) => Err(error),
        },
        agreed = &mut handshake => match agreed {
            Ok(terms) => Ok(terms),
            // A modern server refuses the handshake; its answer to the probe is still to come.
            Err(refused @ LinkError::Refused { .. }) => match negotiate::read_probe(probe.await) {
                Probe::Modern(terms) => Ok(terms),
                _ => Err(refused),
            },
            Err(error) => Err(error),
        },
    }
}

async fn probe_channel(channel: &Arc<Channel>) -> Result<Raw, Failure> {
    let discover = || {
        let params = negotiate::discover_params(&channel.options);
        channel.request("server/discover", Some(params), channel.options.deadlines.handshake)
    };
    let outcome = discover().await;
    if negotiate::is_to_be_asked_again(&outcome) { discover().await } else { outcome }
}

async fn initialize_channel(channel: &Arc<Channel>) -> Result<Terms, LinkError> {
    let terms = match initialize_with(channel, Revision::NEWEST_LEGACY).await {
        Ok(terms) => terms,
        Err(refused) => match negotiate::older_revision(&refused) {
            Some(revision) => initialize_with(channel, revision).await?,
            None => return Err(refused),
        },
    };
    let told = channel.notify(initialized()).await;
    told.map_err(|fault| LinkError::Closed { why: fault.message })?;
    Ok(terms)
}

async fn initialize_with(channel: &Arc<Channel>, revision: Revision) -> Result<Terms, LinkError> {
    let params = negotiate::initialize_params(&channel.options, revision);
    let outcome = channel.request("initialize", Some(params), channel.options.deadlines.handshake).await;
    negotiate::read_initialize(outcome)
}

// === HTTP ===

/// Why nothing was agreed over HTTP.
#[derive(Debug)]
pub(super) enum Unagreed {
    /// The server takes no handshake under this URL; the transport of 2024-11-05 is left to try.
    Old(LinkError),
    /// There is no talking to it.
    Dead(LinkError),
}

impl HttpLink {
    /// Finds out what the server speaks and agrees on it.
    pub(super) async fn negotiate(self: &Arc<Self>, generation: u64) -> Result<Arc<HttpTerms>, Unagreed> {
        if self.options.era != EraPreference::Legacy {
            match self.probe().await {
                Probe::Modern(terms) => {
                    return Ok(Arc::new(HttpTerms::new(terms, &self.target, None, generation)));
                }
                Probe::Legacy if self.options.era == EraPreference::Modern => {
                    return Err(Unagreed::Dead(not_modern()));
                }
                Probe::Legacy => {}
                Probe::Dead(error) => return Err(Unagreed::Dead(error)),
            }
        }
        let all = &self.options.capabilities;
        match self.initialize(Revision::NEWEST_LEGACY, generation, all).await {
            Err(Unagreed::Dead(refused)) => match negotiate::older_revision(&refused) {
                Some(revision) => self.initialize(revision, generation, all).await,
                None => Err(Unagreed::Dead(refused)),
            },
            other => other,
        }
    }

    /// Negotiates again after the server has shown that `old` no longer holds; once for all calls that notice. When it is
    /// not `sure` the server is asked for a sign of life first: `None` when all is as it was. So a client whose requests a
    /// server dislikes cannot make Cella negotiate over and over.
    pub(super) async fn negotiate_again(
        self: &Arc<Self>,
        old: &Arc<HttpTerms>,
        sure: bool,
    ) -> Result<Option<Arc<HttpTerms>>, LinkError> {
        let _one_at_a_time = self.negotiating.lock().await;
        if let Some(terms) = self.terms().filter(|terms| terms.generation != old.generation) {
            return Ok(Some(terms));
        }
        if !sure && self.holds(old).await {
            return Ok(None);
        }
        let within = self.options.deadlines.handshake;
        let negotiated = timeout(within, self.negotiate(old.generation + 1)).await;
        let terms = match negotiated {
            Ok(Ok(terms)) => terms,
            Ok(Err(Unagreed::Old(error) | Unagreed::Dead(error))) => return Err(error),
            Err(_) => return Err(LinkError::TimedOut { what: "the handshake", within }),
        };
        self.agree(Arc::clone(&terms));
        self.end_session_later(old);
        self.events.tell(LinkEvent::Renegotiated);
        self.events.changed(Lists::ALL);
        let (link, again) = (Arc::clone(self), Arc::clone(&terms));
        tokio::spawn(async move { link.restore(&again).await });
        Ok(Some(terms))
    }

    /// True when the server still answers under these terms.
    pub(super) async fn holds(self: &Arc<Self>, terms: &Arc<HttpTerms>) -> bool {
        let within = self.options.deadlines.probe;
        if terms.terms.era() == cella_mcp::Era::Legacy {
            return self.ask(terms, "ping", super::interests::empty(), within).await.is_ok();
        }
        let params = negotiate::discover_params(&self.options);
        match self.ask(terms, "server/discover", params, within).await {
            Ok((outcome, _)) => {
                matches!(negotiate::read_probe(outcome.map_err(Failure::Peer)), Probe::Modern(_))
            }
            Err(_) => false,
        }
    }

    /// Asks the server again for what a lost session had been asked for.
    async fn restore(self: &Arc<Self>, terms: &Arc<HttpTerms>) {
        if terms.terms.era() != cella_mcp::Era::Legacy {
            return;
        }
        let level = self.interests.level().filter(|_| terms.terms.offers("logging"));
        if let Some(level) = level.filter(|level| terms.lowers(*level)) {
            self.tell_level(terms, level).await;
        }
        for uri in self.interests.watched() {
            let params = cella_mcp::legacy::subscribe_params(&uri);
            self.carry_through(terms, "resources/subscribe", params).await;
        }
    }

    /// Sets the least level of log messages of a session.
    pub(super) async fn tell_level(self: &Arc<Self>, terms: &Arc<HttpTerms>, level: cella_mcp::LogLevel) {
        let params = cella_mcp::legacy::set_level_params(level);
        self.carry_through(terms, "logging/setLevel", params).await;
    }

    async fn carry_through(self: &Arc<Self>, terms: &Arc<HttpTerms>, method: &'static str, params: Raw) {
        if let Err(error) = self.ask(terms, method, params, self.options.deadlines.probe).await {
            tracing::warn!(server = %self.options.name, method, ?error, "a session could not be told");
        }
    }

    async fn probe(self: &Arc<Self>) -> Probe {
        match self.discover().await {
            Ok(outcome) if negotiate::is_to_be_asked_again(&outcome) => {
                self.discover().await.map_or_else(|end| end, negotiate::read_probe)
            }
            Ok(outcome) => negotiate::read_probe(outcome),
            Err(end) => end,
        }
    }

    /// What the server says to `server/discover`, or what its silence means.
    async fn discover(self: &Arc<Self>) -> Result<Result<Raw, Failure>, Probe> {
        let terms = Arc::new(self.no_terms());
        let params = negotiate::discover_params(&self.options);
        match self.ask(&terms, "server/discover", params, self.options.deadlines.probe).await {
            Ok((outcome, _)) => Ok(outcome.map_err(Failure::Peer)),
            Err(Unasked::Refused(refusal)) => match &refusal.error {
                _ if refusal.is_auth() || refusal.status.is_redirection() => {
                    Err(Probe::Dead(refusal.to_error("server/discover")))
                }
                Some(error) => Ok(Err(Failure::Peer(error.clone()))),
                None => Err(Probe::Legacy),
            },
            Err(Unasked::Unreachable(error)) => Err(Probe::Dead(error)),
            // It may not have understood, so it is asked in the other way.
            Err(Unasked::Failed(_)) => Err(Probe::Legacy),
        }
    }

    /// Opens a session that declares these capabilities.
    pub(super) async fn initialize(
        self: &Arc<Self>,
        revision: Revision,
        generation: u64,
        capabilities: &Raw,
    ) -> Result<Arc<HttpTerms>, Unagreed> {
        let none = Arc::new(self.no_terms());
        let params = cella_mcp::legacy::initialize_request(revision, capabilities, &self.options.info);
        let asked = self.ask(&none, "initialize", params, self.options.deadlines.handshake).await;
        let (outcome, session) = asked.map_err(|unasked| match unasked {
            Unasked::Refused(refusal) if is_old(&refusal) => Unagreed::Old(refusal.to_error("initialize")),
            Unasked::Refused(refusal) => Unagreed::Dead(refusal.to_error("initialize")),
            Unasked::Unreachable(error) | Unasked::Failed(error) => Unagreed::Dead(error),
        })?;
        let terms = negotiate::read_initialize(outcome.map_err(Failure::Peer)).map_err(Unagreed::Dead)?;
        if session.as_ref().is_some_and(|id| !is_session_id(id.as_bytes())) {
            let what = "its session id".to_owned();
            return Err(Unagreed::Dead(LinkError::Garbage { what }));
        }
        let terms = Arc::new(HttpTerms::new(terms, &self.target, session, generation));
        let told = self.one_way(&terms, &Message::Notification(initialized())).await;
        if let Err(failure) = told {
            // Servers that refuse this notification serve all the same.
            tracing::debug!(server = %self.options.name, ?failure, "notifications/initialized was not taken");
        }
        Ok(terms)
    }

    /// Sends one request under given terms; its outcome and the session id that came with it.
    async fn ask(
        self: &Arc<Self>,
        terms: &Arc<HttpTerms>,
        method: &'static str,
        params: Raw,
        within: std::time::Duration,
    ) -> Result<Asked, Unasked> {
        let asking = async {
            let (id, mut carriage) = self.carry_own(terms, method, Some(params));
            let session = carriage.head().await.map_err(|arrival| Unasked::of(*arrival))?;
            loop {
                match carriage.next().await {
                    Arrival::Message(Message::Response(Response { id: answered, outcome })) => {
                        if answered.as_ref().and_then(Id::as_u64).is_none_or(|answered| answered == id) {
                            return Ok((outcome, session));
                        }
                    }
                    Arrival::Message(_) => {}
                    end => return Err(Unasked::of(end)),
                }
            }
        };
        let late = || Unasked::Failed(LinkError::TimedOut { what: method, within });
        timeout(within, asking).await.unwrap_or_else(|_| Err(late()))
    }

    /// The headers before anything was agreed.
    fn no_terms(&self) -> HttpTerms {
        let facts = cella_mcp::ServerFacts {
            revisions: Vec::new(),
            capabilities: super::interests::empty(),
            info: None,
            instructions: None,
        };
        // The oldest revision: it has no headers of its own.
        HttpTerms::new(Terms::new(Revision::V2024_11_05, facts), &self.target, None, 0)
    }
}

type Asked = (Result<Raw, cella_mcp::RpcError>, Option<http::HeaderValue>);

#[derive(Debug)]
enum Unasked {
    Refused(Box<super::http::Refusal>),
    /// Nothing was sent, and nothing would be.
    Unreachable(LinkError),
    Failed(LinkError),
}

impl Unasked {
    fn of(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Refused(refusal) => Self::Refused(refusal),
            Arrival::Broken { why: Lost::Send(SendError::Connect(error)), .. } => {
                Self::Unreachable(LinkError::Connect(error))
            }
            Arrival::Broken { why, in_doubt } => {
                Self::Failed(LinkError::Closed { why: why.to_fault(in_doubt).message })
            }
            Arrival::Garbage(what) => Self::Failed(LinkError::Garbage { what }),
            Arrival::Accepted | Arrival::Message(_) => {
                Self::Failed(LinkError::Garbage { what: "a request without an answer".into() })
            }
        }
    }
}

/// A status by which a server of 2024-11-05 may refuse a POST (2026-07-28, HTTP+SSE Transport); some use others of 4xx.
fn is_old(refusal: &super::http::Refusal) -> bool {
    refusal.status.is_client_error() && !refusal.is_auth()
}

/// Visible ASCII (2025-11-25, basic/transports, Session Management).
fn is_session_id(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= SESSION_ID_BYTES_MAX && id.iter().all(|b| (0x21..=0x7e).contains(b))
}

fn initialized() -> Notification {
    Notification { method: "notifications/initialized".into(), params: None }
}

fn not_modern() -> LinkError {
    LinkError::NoCommonRevision { offered: "no modern revision".to_owned() }
}
