//! Building the node from its parts, running it, and taking it apart.

mod fatal;
mod reload;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use cella_catalog::Catalog;
use cella_contract::Config;
use cella_door::{DoorOptions, Doors, limits::Limits};
use cella_event::{Draft, Int, Kind, Map};
use cella_history::History;
use cella_ledger::{Ledger, Opened};
use cella_luggage::{Luggage, Trunks};
use cella_workspace::{Store as WorkspaceStore, Workspaces};
use sha2::{Digest, Sha256};
use tokio::{sync::watch, task::JoinSet};

use self::fatal::Fatal;
use crate::{
    Places, StartError,
    admin::Admin,
    announce::{self, Announcement},
    confine::Confinement,
    crew,
    dispatch::{DRAIN, Dispatch},
    inherit::Inherited,
    install::Store,
    launcher::{Launcher, Shells},
    listen::{self, Sockets},
    lists::ListFiles,
    living::Living,
    load::{self, Loaded},
    metrics::Metrics,
    own::OwnPlaces,
    plan,
    record::Recorder,
    service::NodeService,
    trace::Tracing,
    vault::Secrets,
};
use cella_agency::{Capabilities, PRINCIPAL};
use cella_doorman::{Doorkeeper, Paces, private_dir, read_or_create};
use cella_tasking::Agents;

/// The address of the HTTP door, where nothing else is said.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:7878";

/// How a node is started. What is `None` comes from the configuration, else from the defaults.
#[derive(Debug)]
pub struct Options {
    /// Where its things are.
    pub places: Places,
    /// Address of the HTTP door.
    pub listen: Option<String>,
    /// The access token's file.
    pub token_file: Option<PathBuf>,
    /// False: only the unix socket, for a node that lives for one command.
    pub http: bool,
    /// Go on although acknowledged events are damaged or missing at the end of the ledger. What was lost is on record.
    pub accept_loss: bool,
    /// Sockets that a supervisor opened; they take the place of those that would be opened here.
    pub inherited: Inherited,
}

/// A node that accepts calls.
pub struct Running {
    service: Arc<NodeService>,
    doors: Doors<NodeService>,
    serving: JoinSet<std::io::Result<()>>,
    about: Arc<Announcement>,
    loaded: Arc<ArcSwap<Loaded>>,
    config: PathBuf,
    drain: Duration,
    draining: watch::Sender<bool>,
    fatal: Fatal,
    /// As it was at the start: some of it cannot change while the node runs.
    started_with: Config,
    /// Where the keys of models are looked up.
    secrets: Secrets,
    /// What the ledger lost before this start.
    lost: Vec<String>,
    announcement_file: PathBuf,
    own_socket: bool,
}

impl Options {
    /// Defaults for these places.
    #[must_use]
    pub fn new(places: Places) -> Self {
        Self {
            places,
            listen: None,
            token_file: None,
            http: true,
            accept_loss: false,
            inherited: Inherited::default(),
        }
    }
}

/// Starts a node. When this returns, calls are accepted.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn start(options: Options) -> Result<Running, StartError> {
    let places = &options.places;
    let loaded = load::load(&places.config)?;
    let made = |path: &Path| {
        let path = path.to_path_buf();
        move |source| StartError::Write { path, source }
    };
    private_dir(&places.state).map_err(made(&places.state))?;
    let base = places.config.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let node = loaded.config.node.clone();
    let token_file = options.token_file.clone().or_else(|| node.token_file.as_ref().map(|f| base.join(f)));
    let token_file = token_file.unwrap_or_else(|| places.token());
    let secret = |path: &Path| {
        let path = path.to_path_buf();
        read_or_create(&path).map_err(|error| StartError::Secret { path, error })
    };
    let (token, key) = (secret(&token_file)?, secret(&places.key())?);

    let dir = places.ledger_dir();
    let (ledger, lost) = open_ledger(&dir, options.accept_loss).await?;
    let started_with = loaded.config.clone();
    let metrics = Metrics::default();
    let recorder = Recorder::new(ledger.clone(), loaded.config.ledger.capture.clone(), metrics.clone());

    let listen_on =
        options.listen.clone().or(node.listen.clone()).unwrap_or_else(|| LISTEN_DEFAULT.to_owned());
    let socket = node.socket.as_ref().map_or_else(|| places.socket.clone(), |s| base.join(s));
    let http = options.http.then_some(listen_on.as_str());
    let sockets = listen::sockets(options.inherited, http, socket)?;

    let about = Arc::new(Announcement {
        url: sockets.url.clone(),
        socket: sockets.socket.clone(),
        token_file,
        config: places.config.clone(),
        ledger: dir,
        started_at: jiff::Timestamp::now().to_string(),
    });
    let drain = node.drain.unwrap_or(DRAIN);
    let parts = Parts { places, loaded, recorder, metrics, token: &token, key: &key };
    let (service, loaded, draining) = parts.assemble(&ledger, &about)?;
    let doors = Doors::new(
        service.clone(),
        DoorOptions {
            hosts: node.allowed_hosts,
            origins: node.allowed_origins,
            key: Sha256::digest(key.as_bytes()).into(),
            limits: Limits::default(),
        },
    );
    let running = Running {
        service,
        doors,
        serving: JoinSet::new(),
        about,
        loaded,
        config: places.config.clone(),
        drain,
        draining,
        fatal: Fatal::default(),
        started_with,
        secrets: Secrets::new(places.vault()),
        lost,
        announcement_file: places.announcement(),
        own_socket: sockets.own_socket,
    };
    running.let_in().await;
    running.open(sockets).await
}

struct Parts<'a> {
    places: &'a Places,
    loaded: Loaded,
    recorder: Recorder,
    metrics: Metrics,
    token: &'a str,
    key: &'a str,
}

type Assembled = (Arc<NodeService>, Arc<ArcSwap<Loaded>>, watch::Sender<bool>);

impl Parts<'_> {
    fn assemble(self, ledger: &Ledger, about: &Arc<Announcement>) -> Result<Assembled, StartError> {
        sweep();
        let mut catalog_options = cella_catalog::Options {
            store: Some(Arc::new(ListFiles::new(self.places.lists()))),
            ..cella_catalog::Options::default()
        };
        if let Some(wait) = self.loaded.config.node.first_list_wait {
            catalog_options.first_list_wait = wait;
        }
        let plan = plan::plan(&self.loaded)?;
        let loaded = Arc::new(ArcSwap::from_pointee(self.loaded));
        // What does not exist cannot be covered, and a cell could make it.
        let _install_will_say = std::fs::create_dir_all(&self.places.store);
        let workspaces = Workspaces::of_node(WorkspaceStore::new(self.places.workspaces()), ledger.clone());
        tokio::spawn(adopt(workspaces.clone()));
        let (living, shells) = (Living::default(), Shells::default());
        let (luggage, trunks) =
            (Luggage::new(ledger.reader(), workspaces.store().clone()), Trunks::default());
        let confinement = Confinement::new();
        let launcher = Launcher {
            loaded: loaded.clone(),
            store: Store::with(self.places.store.clone(), confinement.clone()),
            confinement,
            config: self.places.config.clone(),
            recorder: self.recorder.clone(),
            own_program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("cella")),
            own_places: Arc::new(OwnPlaces::of(self.places, &about.whereabouts())),
            places: self.places.clone(),
            secrets: Secrets::new(self.places.vault()),
            living: living.clone(),
            shells: shells.clone(),
            luggage: luggage.clone(),
            trunks: trunks.clone(),
        };
        let catalog = Catalog::new(plan, launcher, catalog_options);
        let draining = watch::Sender::new(false);
        let dispatch = Dispatch {
            catalog: catalog.clone(),
            loaded: loaded.clone(),
            recorder: self.recorder,
            metrics: self.metrics.clone(),
            tracing: Tracing::from_env()?,
            capabilities: Capabilities::new(self.key),
            paces: Paces::of(&loaded.load().config, PRINCIPAL),
            trunks,
        };
        let runs = crew::runs(&dispatch, ledger, luggage, &loaded.load().config, self.places);
        let agents = Agents::new(runs.runs().clone(), Arc::clone(runs.crew()), ledger.clone());
        let admin = Admin {
            catalog,
            ledger: ledger.clone(),
            history: History::new(ledger.dir().to_path_buf(), ledger.reader()),
            metrics: self.metrics.clone(),
            about: about.clone(),
            draining: draining.subscribe(),
            refused: ArcSwapOption::empty(),
            loaded: loaded.clone(),
            living,
            shells,
            workspaces,
            models: cella_openai::Door::new(runs.clone()),
            runs,
        };
        let doorkeeper = Doorkeeper::new(self.token, rustix::process::getuid().as_raw());
        let service = NodeService { agents, dispatch, doorkeeper, admin, metrics: self.metrics }.into();
        Ok((service, loaded, draining))
    }
}

/// Captures what a killed node's cells had changed.
async fn adopt(workspaces: Workspaces) {
    match workspaces.adopt().await {
        Ok(found) if found.is_empty() => {}
        Ok(found) => tracing::info!(count = found.len(), "captured what a killed node's cells had changed"),
        Err(error) => tracing::warn!(%error, "workspaces that a killed node left cannot be read"),
    }
}

/// Removes what a killed node left behind.
fn sweep() {
    let swept = cella_cell::sweep();
    let directories = cella_cell_vm::sweep();
    if swept.cgroups + directories > 0 {
        tracing::info!(swept.cgroups, directories, "removed what a killed node left behind");
    }
}

// === impl Running ===

impl Running {
    async fn open(mut self, sockets: Sockets) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address: "the doors".into(), source };
        for tcp in sockets.tcp {
            let listener = tokio::net::TcpListener::from_std(tcp).map_err(failed)?;
            let (doors, open) = (self.doors.clone(), self.fatal.door(self.url()));
            self.serving.spawn(async move {
                let _open = open;
                doors.serve_tcp(listener).await
            });
        }
        for unix in sockets.unix {
            let listener = tokio::net::UnixListener::from_std(unix).map_err(failed)?;
            let (doors, open) =
                (self.doors.clone(), self.fatal.door(self.about.socket.display().to_string()));
            self.serving.spawn(async move {
                let _open = open;
                doors.serve_unix(listener).await
            });
        }

        let body = Map::new()
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("pid", Int::saturating(u64::from(std::process::id())))
            .with("servers", Int::saturating(self.loaded.load().servers.len() as u64));
        self.service.dispatch.recorder.note(Draft::new(Kind::NodeStarted).body(body)).await;
        self.note_config().await;
        if let Err(error) = announce::publish(&self.announcement_file, &self.about) {
            tracing::warn!(%error, "the announcement could not be written");
        }
        announce::tell_supervisor(&format!("READY=1\nSTATUS=serving at {}", self.url()));
        Ok(self)
    }

    /// What should be known: what the ledger lost, and what is odd about the configuration.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.lost.iter().chain(&self.loaded.load().warnings).cloned().collect()
    }

    /// The MCP endpoint, or the socket when there is no HTTP door.
    #[must_use]
    pub fn url(&self) -> String {
        self.about.url.clone().unwrap_or_else(|| format!("unix:{}", self.about.socket.display()))
    }

    /// The local door.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.about.socket
    }

    /// The file with the access token.
    #[must_use]
    pub fn token_file(&self) -> &Path {
        &self.about.token_file
    }

    /// The directory of the ledger.
    #[must_use]
    pub fn ledger(&self) -> &Path {
        &self.about.ledger
    }

    /// All of it, as JSON.
    #[must_use]
    pub fn announcement(&self) -> serde_json::Value {
        self.about.to_json()
    }

    /// Process ids of the servers that run now.
    #[must_use]
    pub fn cell_pids(&self) -> Vec<u32> {
        self.service.dispatch.catalog.status().into_iter().flat_map(|s| s.pids).collect()
    }

    /// How often [`Running::alive`] is to be called.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        announce::watchdog()
    }

    /// Tells the supervisor that the node lives.
    pub fn alive(&self) {
        announce::tell_supervisor("WATCHDOG=1");
    }

    /// Serves one client on a pipe until it leaves.
    ///
    /// # Errors
    /// The pipe broke.
    pub async fn serve_stdio<R, W>(&self, reader: R, writer: W) -> std::io::Result<()>
    where
        R: tokio::io::AsyncRead + Send + Unpin,
        W: tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        self.doors.serve_stdio(reader, writer, self.service.doorkeeper.local()).await
    }

    /// Completes when the node cannot go on, and says why.
    pub async fn failed(&self) -> StartError {
        tokio::select! {
            reason = self.service.dispatch.recorder.ledger().ended() => StartError::Unrecordable(reason),
            door = self.fatal.door_closed() => StartError::DoorEnded { door },
        }
    }

    /// Completes when no client has been connected for so long.
    pub async fn idle(&self, time: Duration) {
        self.doors.idle(time).await;
    }

    /// Lets calls in progress finish, then ends everything. False when some had to be cut off.
    pub async fn drain(mut self) -> bool {
        announce::tell_supervisor("STOPPING=1");
        self.draining.send_replace(true);
        self.service.admin.shells.clear();
        let runs = self.service.admin.runs.clone();
        let (_doors, ended) =
            tokio::join!(self.doors.drain(self.drain), tokio::time::timeout(self.drain, runs.runs().drain()));
        if ended.is_err() {
            tracing::warn!("runs are left in the middle: resume them when the node runs again");
        }
        let stopped = self.service.dispatch.catalog.shutdown(self.drain).await;
        self.serving.abort_all();
        while self.serving.join_next().await.is_some() {}
        let recorder = &self.service.dispatch.recorder;
        if tokio::time::timeout(self.drain, recorder.settled()).await.is_err() {
            tracing::error!("outcomes of calls are lost: the ledger did not take them in time");
        }
        self.service
            .dispatch
            .recorder
            .note(Draft::new(Kind::NodeStopped).body(Map::new().with("clean", stopped)))
            .await;
        if self.own_socket {
            let _best_effort = std::fs::remove_file(&self.about.socket);
        }
        let _best_effort = std::fs::remove_file(&self.announcement_file);
        let ledger = self.service.dispatch.recorder.ledger().clone();
        let tracing = self.service.dispatch.tracing.clone();
        drop(self);
        let closed = tokio::task::spawn_blocking(move || {
            let closed = ledger.close();
            tracing.close();
            closed
        });
        let closed = closed.await;
        if let Ok(Err(error)) = closed {
            tracing::error!(%error, "the ledger was not closed in order");
        }
        stopped
    }

    async fn note_config(&self) {
        let loaded = self.loaded.load_full();
        let mut servers = Map::new();
        for (name, served) in &loaded.servers {
            if let Some(key) = cella_event::Key::new(name.to_string()) {
                servers.insert(key, served.contract_digest.clone());
            }
        }
        let draft = Draft::new(Kind::ConfigLoaded).body(Map::new().with("contracts", servers));
        self.service.dispatch.recorder.note(draft).await;
    }
}

/// Opens the ledger, and says loudly what it lost. Nothing is answered before the loss is on record.
async fn open_ledger(dir: &Path, accept_loss: bool) -> Result<(Ledger, Vec<String>), StartError> {
    let opening = cella_ledger::Options { accept_loss, ..cella_ledger::Options::new(dir) };
    let (ledger, opened) = Ledger::open(&opening)?;
    let lost = losses(&opened);
    for loss in &lost {
        tracing::error!("{loss}");
    }
    if !lost.is_empty() {
        ledger.flush().await?;
    }
    Ok((ledger, lost))
}

/// What a ledger lost at its end before it was opened, in sentences.
fn losses(opened: &Opened) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(cut) = &opened.cut {
        said.push(format!(
            "the ledger was damaged at its end: events {} to {} were taken out of the chain and kept aside ({})",
            cut.first, cut.last, cut.fault
        ));
    }
    if let Some(lost) = opened.lost {
        // When the head is not behind, another event stands in the place of the one that is lost.
        let first = opened.head.seq.next().min(lost.seq);
        said.push(format!(
            "acknowledged events {first} to {} are lost: the ledger goes on after event {}, as it was told to",
            lost.seq, opened.head.seq
        ));
    }
    said
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("about", &self.about).finish_non_exhaustive()
    }
}
