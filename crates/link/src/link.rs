//! A connection to one server, in whatever era it speaks.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use cella_mcp::{Era, HeaderParams, ListKind, LogLevel, Revision, ServerFacts, legacy};
use tokio::sync::mpsc;

use super::{
    Counters, LinkError, LinkEvent, LinkOptions, Listing, Wire,
    carrier::Carrier,
    error,
    interests::{Interests, says},
    lists, open, outgoing,
    tasks::Tasks,
};
use cella_transport::{Call, Caller, Exchange, Failure, Fault};

/// Performs calls at one server. Clones share the connection; it is closed when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    carrier: Carrier,
    interests: Arc<Interests>,
    tasks: Tasks,
}

impl Link {
    /// Connects and finds out what the server speaks. `changes` gets what happens afterwards; a full channel delays
    /// only itself.
    ///
    /// # Errors
    /// [`LinkError`] when there is no server, it wants credentials, or it speaks nothing that Cella speaks.
    pub async fn open(
        wire: Wire,
        options: LinkOptions,
        changes: mpsc::Sender<LinkEvent>,
    ) -> Result<Self, LinkError> {
        open::open(wire, options, changes).await
    }

    pub(super) fn assemble(carrier: Carrier, interests: Arc<Interests>, tasks: Tasks) -> Self {
        Self { inner: Arc::new(Inner { carrier, interests, tasks }) }
    }

    /// What the server said of itself when it was last asked.
    #[must_use]
    pub fn facts(&self) -> Arc<ServerFacts> {
        match self.inner.carrier.terms() {
            Some(terms) => terms.facts,
            // Unreachable after the opening; an empty answer harms nobody.
            None => Arc::new(ServerFacts {
                revisions: Vec::new(),
                capabilities: super::interests::empty(),
                info: None,
                instructions: None,
            }),
        }
    }

    /// The revision that is spoken.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.inner.carrier.terms().map_or(Revision::NEWEST_LEGACY, |terms| terms.revision)
    }

    /// The era of that revision.
    #[must_use]
    pub fn era(&self) -> Era {
        self.revision().era()
    }

    /// Performs one call. Resolves with the first step: an exchange that is over already, or one with more to come.
    ///
    /// Dropping this future, or the exchange, cancels the call at the server. It ends by itself within the deadlines of
    /// the options. Failures are those of [`cella_transport::Failure`]; a fault says whether the server may have acted.
    pub async fn call(&self, call: Call) -> Exchange {
        self.perform(&call).await
    }

    /// Like [`Link::call`], for an owner who may have to perform the call once more elsewhere.
    pub async fn perform(&self, call: &Call) -> Exchange {
        self.hear_from(&call.caller).await;
        self.inner.carrier.call(call).await
    }

    /// Has a legacy server on a channel tell log messages from the level of this caller on, unless it does already.
    /// Over HTTP each session is told by itself.
    async fn hear_from(&self, caller: &Arc<Caller>) {
        let Inner { carrier: Carrier::Channel(channel), interests, .. } = &*self.inner else { return };
        let Some(terms) = channel.terms().filter(|terms| terms.era() == Era::Legacy) else { return };
        let Some(level) = outgoing::level(caller).filter(|level| interests.lower_level(*level)) else {
            return;
        };
        if terms.offers("logging") {
            let params = legacy::set_level_params(level);
            let within = channel.options.deadlines.probe;
            if let Err(failure) = channel.request("logging/setLevel", Some(params), within).await {
                tracing::debug!(server = %channel.options.name, ?failure, "the level of logs was not set");
            }
        }
    }

    /// Told which parameters of which tools are mirrored into headers, by an owner who reads the tool list himself, page
    /// by page. [`Link::list`] does it by itself.
    pub fn learn_header_params(&self, tools: HashMap<Box<str>, Arc<HeaderParams>>) {
        if let Carrier::Http(link) = &self.inner.carrier {
            link.learn_header_params(tools);
        }
    }

    /// Reads a whole list. A list that the server does not offer is empty.
    ///
    /// # Errors
    /// What the server said, or the fault; a list past a limit is a fault, never cut.
    pub async fn list(&self, kind: ListKind) -> Result<Listing, Failure> {
        lists::collect(&self.inner.carrier, kind, &self.inner.interests).await
    }

    /// Starts to watch a resource: updates arrive as [`LinkEvent::ResourceUpdated`], also after a reconnection. Watching
    /// twice is watching once.
    ///
    /// # Errors
    /// What a legacy server said, or the fault. A server without subscriptions refuses.
    pub async fn watch_resource(&self, uri: &str) -> Result<(), Failure> {
        let Inner { carrier, interests, .. } = &*self.inner;
        let Some(terms) = carrier.terms().filter(|terms| says(terms, "resources", "subscribe")) else {
            return Err(Failure::Fault(error::no_subscriptions()));
        };
        let fresh = interests
            .watch(uri)
            .map_err(|_| Failure::Fault(error::past_limit("too many resources are watched".into())))?;
        if !fresh || terms.era() == Era::Modern {
            // The listening task has been woken and asks for the new set.
            return Ok(());
        }
        let params = Some(legacy::subscribe_params(uri));
        let within = carrier.options().deadlines.idle;
        match carrier.request("resources/subscribe", params, interests, within).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                interests.unwatch(uri);
                Err(failure)
            }
        }
    }

    /// Stops watching a resource. One that is not watched is no error.
    ///
    /// # Errors
    /// What a legacy server said, or the fault.
    pub async fn unwatch_resource(&self, uri: &str) -> Result<(), Failure> {
        let Inner { carrier, interests, .. } = &*self.inner;
        if !interests.unwatch(uri) || self.era() == Era::Modern {
            return Ok(());
        }
        let params = Some(legacy::subscribe_params(uri));
        let within = carrier.options().deadlines.idle;
        carrier.request("resources/unsubscribe", params, interests, within).await.map(drop)
    }

    /// Starts to watch a task of a modern server: what it says of it arrives as [`LinkEvent::Other`]. A legacy server tells
    /// of its tasks without being asked. The caller has made sure that the task may be watched.
    ///
    /// # Errors
    /// Too many are watched.
    pub fn watch_task(&self, id: &str) -> Result<(), Fault> {
        self.inner
            .interests
            .watch_task(id)
            .map_err(|_| error::past_limit("too many tasks are watched".into()))
    }

    /// Stops watching a task. One that is not watched is no error.
    pub fn unwatch_task(&self, id: &str) {
        self.inner.interests.unwatch_task(id);
    }

    /// Sets the least level of log messages of a legacy server's session. A modern server is told with each call, so
    /// nothing is sent; nor to a server without logging.
    ///
    /// # Errors
    /// What the server said, or the fault.
    pub async fn set_log_level(&self, level: LogLevel) -> Result<(), Failure> {
        let Inner { carrier, interests, .. } = &*self.inner;
        interests.set_level(level);
        match carrier.terms() {
            Some(terms) if terms.era() == Era::Legacy && terms.offers("logging") => {}
            _ => return Ok(()),
        }
        let params = Some(legacy::set_level_params(level));
        let within = carrier.options().deadlines.idle;
        carrier.request("logging/setLevel", params, interests, within).await.map(drop)
    }

    /// The server is known to ask within calls, from an earlier connection: where a question names no call, calls of
    /// different clients take turns from the start.
    pub fn take_turns(&self) {
        if let Carrier::Channel(channel) = &self.inner.carrier {
            channel.take_turns();
        }
    }

    /// Asks the server for a sign of life and returns how long it took.
    ///
    /// # Errors
    /// The fault, when there was none within `within`.
    pub async fn ping(&self, within: Duration) -> Result<Duration, Failure> {
        let Inner { carrier, interests, .. } = &*self.inner;
        let method = if self.era() == Era::Modern { "server/discover" } else { "ping" };
        let started = Instant::now();
        match carrier.request(method, None, interests, within).await {
            // An error is a sign of life, too.
            Ok(_) | Err(Failure::Peer(_)) => Ok(started.elapsed()),
            Err(fault) => Err(fault),
        }
    }

    /// True once the connection is over and every call fails. Over HTTP only after [`Link::close`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.inner.carrier {
            Carrier::Channel(channel) => channel.down().is_some(),
            Carrier::Http(link) => link.is_closed(),
        }
    }

    /// What the link saw that led to nothing.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let carrier = &self.inner.carrier;
        carrier.tally().counters(carrier.events().dropped())
    }

    /// Takes leave of the server: a pipe is closed and its end awaited for a moment, a session is deleted. Calls in
    /// flight on a pipe end with a fault; those over HTTP run to their end.
    pub async fn close(&self) {
        self.inner.tasks.stop_listening();
        self.inner.carrier.close().await;
        self.inner.tasks.stop();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.stop_listening();
        match &self.carrier {
            Carrier::Channel(channel) => channel.abandon(),
            // Politely, if there is still a runtime to be polite in: a server keeps a session until it is deleted.
            Carrier::Http(link) => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    let link = Arc::clone(link);
                    runtime.spawn(async move { link.close().await });
                }
            }
        }
    }
}
