//! What the catalogue is told about servers and views: the part of the configuration that it acts on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cella_contract::{Contract, Isolation, ServerConfig, Start};
use cella_transport::Caller;

use crate::View;

/// Most calls in progress at one server, unless its plan says otherwise. Keeps a server that hangs from holding the
/// memory of every client; further calls wait.
pub const CALLS_MAX: usize = 64;
/// Most calls that wait at one server, unless its plan says otherwise. Past it callers are told that it is overloaded.
pub const QUEUE_MAX: usize = 256;
/// Most instances of one server, unless its contract says otherwise. Stops a flood of clients from becoming a flood of
/// processes; past it callers are told.
pub const INSTANCES_MAX: usize = 8;
/// A server that nobody used for so long is stopped.
pub const IDLE_STOP: Duration = Duration::from_secs(600);
/// Longest time from launch to the end of the handshake.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything the catalogue offers. A new one replaces the old one as a whole; what did not change is not touched.
#[derive(Clone, Debug, Default)]
pub struct CatalogPlan {
    /// Servers by name.
    pub servers: BTreeMap<Arc<str>, Arc<ServerPlan>>,
    /// Curated views by name.
    pub views: BTreeMap<Box<str>, Arc<View>>,
}

/// One server, as far as the catalogue is concerned. What runs, and how it is confined, is the launcher's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPlan {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Names this very configuration of the server, contract and pins included. When it changes, the server is
    /// restarted and its stored lists are not used any more.
    pub digest: [u8; 32],
    /// Who shares an instance.
    pub isolation: Isolation,
    /// Most instances at one time.
    pub instances_max: usize,
    /// Most calls in progress.
    pub calls_max: usize,
    /// Most calls that wait.
    pub queue_max: usize,
    /// Stopped after so long without use; `None`: never.
    pub idle_stop: Option<Duration>,
    /// Longest time from launch to the end of the handshake.
    pub start_timeout: Duration,
    /// Started with the node, not at the first call or list that needs it.
    pub eager: bool,
}

/// Names one instance of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum InstanceKey {
    /// The one that all clients share, or that only answers lists.
    Shared,
    /// The one of a client.
    Client {
        /// Who it is.
        principal: Arc<str>,
        /// Which of its connections, where the wire can tell.
        session: Option<Arc<str>>,
    },
    /// The one of a run.
    Run {
        /// Whose run it is: names of runs are the client's own, and two may choose the same.
        principal: Arc<str>,
        /// What the client calls it.
        run: Arc<str>,
    },
}

impl ServerPlan {
    /// A plan with the default limits.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, digest: [u8; 32]) -> Self {
        Self {
            name: name.into(),
            digest,
            isolation: Isolation::Shared,
            instances_max: INSTANCES_MAX,
            calls_max: CALLS_MAX,
            queue_max: QUEUE_MAX,
            idle_stop: Some(IDLE_STOP),
            start_timeout: START_TIMEOUT,
            eager: false,
        }
    }

    /// The plan that configuration and contract describe. `digest` names both, and what they refer to.
    #[must_use]
    pub fn of(config: &ServerConfig, contract: &Contract, digest: [u8; 32]) -> Self {
        let plain = Self::new(config.name.as_str(), digest);
        Self {
            // whoever asks for more separation gets it
            isolation: config.isolation.unwrap_or_default().max(contract.isolation),
            instances_max: config
                .instances
                .map_or(INSTANCES_MAX, |n| usize::try_from(n).unwrap_or(usize::MAX))
                .max(1),
            idle_stop: config.idle_stop.or(plain.idle_stop),
            start_timeout: config.start_timeout.unwrap_or(plain.start_timeout),
            eager: config.start == Start::Eager,
            ..plain
        }
    }
}

impl InstanceKey {
    /// The instance for a caller. A session is one run unless its requests name others; `None` when nothing tells the
    /// caller's run, which must not be taken for anybody else's.
    #[must_use]
    pub fn of(isolation: Isolation, caller: &Caller, run: Option<&Arc<str>>) -> Option<Self> {
        let principal = caller.principal.clone();
        match (isolation, run, &caller.session) {
            (Isolation::Shared, ..) => Some(Self::Shared),
            (Isolation::Run, Some(run), _) => Some(Self::Run { principal, run: run.clone() }),
            (Isolation::Run, None, None) => None,
            (Isolation::Client | Isolation::Run, _, session) => {
                Some(Self::Client { principal, session: session.clone() })
            }
        }
    }
}
