//! Starting servers: a program in a cell, or a connection to an address.

pub(crate) mod env;
mod instance;
mod luggage;
mod masks;
pub(crate) mod program;
mod published;
mod shells;
mod traffic;

use std::{path::PathBuf, sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use cella_catalog::{InstanceKey, Launch, LaunchError, Launched, NoProcess, ServerPlan};
use cella_cell::{Network, Spec};
use cella_contract::{CellClass, Isolation, Remote, Run, StdioProgram, Transport};
use cella_event::{Draft, Kind, Label, Map};
use cella_link::{Endpoint, LinkOptions, Root, Wire};
use cella_luggage::{Luggage, Trunks};
use cella_transport::FaultKind;

use crate::{
    Places,
    confine::{self, Confined, Confinement, Sources},
    install::{Installed, Store},
    living::Living,
    load::{Loaded, Served},
    own::OwnPlaces,
    record::Recorder,
    vault::Secrets,
};

pub(crate) use self::shells::Shells;

use self::{instance::CellInstance, masks::Masks, traffic::Traffic};

/// Starts servers as the configuration says.
#[derive(Clone)]
pub(crate) struct Launcher {
    pub(crate) loaded: Arc<ArcSwap<Loaded>>,
    pub(crate) confinement: Confinement,
    pub(crate) store: Store,
    pub(crate) recorder: Recorder,
    /// This very program: built-in servers are run by it.
    pub(crate) own_program: PathBuf,
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// What no cell is shown.
    pub(crate) own_places: Arc<OwnPlaces>,
    /// Where the node keeps its things.
    pub(crate) places: Places,
    /// What `vault:` refers to.
    pub(crate) secrets: Secrets,
    /// The connections of the cells that run.
    pub(crate) living: Living,
    /// Cells that wait for the next process.
    pub(crate) shells: Shells,
    /// What runs have with them.
    pub(crate) luggage: Luggage,
    pub(crate) trunks: Trunks,
}

impl Launch for Launcher {
    async fn launch(&self, server: &ServerPlan, key: &InstanceKey) -> Result<Launched, LaunchError> {
        let served = self.loaded.load().servers.get(&server.name).cloned();
        let served = served.ok_or_else(|| {
            error(FaultKind::NotFound, crate::dispatch::GONE, "the server was removed", None)
        })?;
        match &served.config.run {
            Run::Remote(remote) => self.connect(&served, remote).await,
            Run::Program(program) => {
                let (launched, spec) = self.start(&served, program, key).await?;
                let is_shared = server.isolation == Isolation::Shared;
                let warm = served.config.warm.unwrap_or(!is_shared);
                Ok(if warm { self.with_a_shell_for_the_next(launched, served, spec) } else { launched })
            }
        }
    }
}

impl Launcher {
    async fn connect(&self, served: &Served, remote: &Remote) -> Result<Launched, LaunchError> {
        let url = env::expanded(&remote.url)?;
        let report = confine::remote_report(&url);
        let mut endpoint = Endpoint::new(url);
        endpoint.headers = env::resolved(&remote.headers, &served.base, &self.secrets).await?;
        env::check_headers(&endpoint.headers)?;
        let wire = match served.config.transport {
            Some(Transport::Sse) => Wire::event_stream(endpoint),
            Some(Transport::Http) => Wire::Http(endpoint),
            _ => Wire::DetectHttp(endpoint),
        };
        let options = link_options(served, &[]);
        let mut launched = Launched::over(wire, options, Box::new(NoProcess));
        let (connect, recorder) = (launched.connect, self.recorder.clone());
        let draft = started(served, None, &report);
        launched.connect = Box::pin(async move {
            let connected = connect.await?;
            recorder.note(draft).await;
            Ok(connected)
        });
        Ok(launched)
    }

    /// The same; and once it has started well, a cell like it waits for the next process of this server.
    fn with_a_shell_for_the_next(&self, launched: Launched, served: Arc<Served>, spec: Spec) -> Launched {
        let Launched { connect, guard } = launched;
        let this = self.clone();
        let connect = Box::pin(async move {
            let connected = connect.await?;
            let begin = |spec: &Spec| this.confinement.keep_warm(spec, &served.contract);
            this.shells.keep(&this.loaded, &served, &spec, begin);
            Ok(connected)
        });
        Launched { connect, guard }
    }

    /// What was started, and as what.
    async fn start(
        &self,
        served: &Arc<Served>,
        program: &StdioProgram,
        key: &InstanceKey,
    ) -> Result<(Launched, Spec), LaunchError> {
        let begun = Instant::now();
        let loaded = self.loaded.load_full();
        let ground = program::Ground {
            store: &self.store,
            own_program: &self.own_program,
            own_places: &self.own_places,
            loaded: &loaded,
            sink: Arc::new(self.traffic(served)),
            config: &self.config,
        };
        let sight = program::sight(&ground, served, program).await?;
        self.own_places.cover(&sight.mounts);
        let env = env::resolved(&program.env, &served.base, &self.secrets).await?;
        let mut spec =
            confine::spec(&served.config.name, &served.contract, &sight, &env, served.config.best_effort);
        let own_kernel = matches!(served.contract.class, CellClass::Vm(_));
        if program.endpoint.is_some() && own_kernel && spec.network == Network::None {
            // Behind a kernel of its own the node reaches into no other network than one that it brokers, be it for no host.
            spec.network = Network::Brokered { ports: Vec::new() };
        }
        let hint = sight.program.hidden_paths.first().map(|path| show(path));
        if let Some(package) = sight.package.as_ref().filter(|package| package.fresh) {
            self.record_install(served, package).await;
        }
        let mine = luggage::Mine::of(self, served, key).await?;
        let sources = Sources::of(&self.places, &served.contract_base).starting_from(mine.from.clone());
        let traffic = Arc::new(self.traffic(served));
        let running = self.confinement.start(&spec, &served.contract, &sources, traffic).await;
        let running = running.map_err(|e| {
            let fix = hint.clone().or_else(|| e.fix());
            error(FaultKind::Unavailable, e.code(), &e.to_string(), fix)
        })?;
        self.record_start(served, &running, (sight.package.as_ref(), &mine)).await;
        let mut options = link_options(served, &sight.roots);
        let cell = Arc::new(running.cell);
        let guard = CellInstance::new(
            (cell.clone(), running.stderr, running.egress, running.workspace),
            Masks::over(&env),
            self.recorder.clone(),
            served.config.name.clone(),
            &self.living,
        )
        .of(mine.trunk);
        let (wire, guard) = match &program.endpoint {
            None => {
                let (stdin, stdout) = (Box::new(running.stdin), Box::new(running.stdout));
                (Wire::Stdio { stdin, stdout }, guard)
            }
            Some(endpoint) => {
                let start = options.deadlines.handshake;
                options.deadlines.connect = start;
                let transport = served.config.transport;
                let wire = published::wire(Arc::downgrade(&cell), endpoint, transport, (begun, start));
                (wire, guard.beside(running.stdin, running.stdout))
            }
        };
        let mut launched = Launched::over(wire, options, Box::new(guard));
        if let Some(hint) = hint {
            // A server that cannot see what it was pointed at fails in its own words; ours say what to do.
            let connect = launched.connect;
            launched.connect =
                Box::pin(async move { connect.await.map_err(|e| LaunchError { fix: Some(hint), ..e }) });
        }
        Ok((launched, spec))
    }

    fn traffic(&self, served: &Served) -> Traffic {
        Traffic { recorder: self.recorder.clone(), server: Label::clipped(&served.config.name) }
    }

    async fn record_install(&self, served: &Served, package: &Installed) {
        let body = of_package(Map::new().with("state", "installed"), package);
        let draft = Draft::new(Kind::ServerState).server(Label::clipped(&served.config.name)).body(body);
        self.recorder.note(draft).await;
    }

    async fn record_start(
        &self,
        served: &Served,
        running: &Confined,
        (package, mine): (Option<&Installed>, &luggage::Mine),
    ) {
        let mut draft = started(served, Some(running.cell.id()), running.cell.report());
        if let Some(package) = package {
            draft.body = of_package(draft.body, package);
        }
        draft.body = mine.told(draft.body, served);
        self.recorder.note(draft).await;
    }
}

/// Which package, in which version, with which files.
fn of_package(body: Map, package: &Installed) -> Map {
    let body = body.with("package", package.package.clone()).with("files", package.tree.digest.clone());
    match &package.version {
        Some(version) => body.with("version", version.clone()),
        None => body,
    }
}

/// The fact that a server was started in a cell, or that a link to a remote one was opened, which has none.
fn started(served: &Served, cell: Option<&str>, report: &cella_cell::Report) -> Draft {
    let degraded: Vec<&str> = report.degraded.iter().map(|d| d.what.as_str()).collect();
    let body = cell.map_or_else(Map::new, |cell| Map::new().with("cell", cell.to_owned()));
    let body = body
        .with("class", report.class.clone())
        .with("contract", served.contract_digest.clone())
        .with("degraded", degraded.join(","));
    Draft::new(Kind::CellStarted).server(Label::clipped(&served.config.name)).body(body)
}

pub(crate) fn link_options(served: &Served, roots: &[PathBuf]) -> LinkOptions {
    let mut options = LinkOptions::new(&served.config.name);
    options.roots = roots.iter().map(|path| root(path)).collect();
    if let Some(idle) = served.config.call_timeout {
        options.deadlines.idle = idle;
        options.deadlines.total = options.deadlines.total.max(idle);
    }
    if let Some(total) = served.contract.limits.time {
        options.deadlines.total = total;
        options.deadlines.idle = options.deadlines.idle.min(total);
    }
    if let Some(start) = served.config.start_timeout {
        options.deadlines.handshake = start;
    }
    options
}

/// How to make a path of the host visible in the cell.
fn show(path: &std::path::Path) -> String {
    format!(
        "`{}` is named in the arguments but not visible in the cell; add to its contract: [[files]] path = \"{}\" mode = \"read\"",
        path.display(),
        path.display()
    )
}

pub(crate) fn error(kind: FaultKind, code: &'static str, message: &str, fix: Option<String>) -> LaunchError {
    LaunchError { kind, code, message: message.to_owned(), fix }
}

/// A directory as servers are told of it.
fn root(path: &std::path::Path) -> Root {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
    let bytes = path.as_os_str().as_encoded_bytes();
    let escaped: String = bytes
        .iter()
        .map(|&b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    Root { uri: format!("file://{escaped}"), name }
}
