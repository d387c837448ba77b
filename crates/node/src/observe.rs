//! What does a server need? It is started once, reaches nothing, is asked for its lists and for nothing else, and what it
//! tried is collected.
//!
//! Nobody has agreed to anything yet when this runs, so it is told no secret, its files are those that its arguments name,
//! to be read, and no call is made of any tool.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cella_cell::{Handle, Network, StderrTail};
use cella_contract::{Contract, Preset, Run, StdioProgram, Text};
use cella_egress::Record;
use cella_link::{Link, LinkOptions, Wire};
use cella_mcp::ListKind;
use cella_proposal::{gathered, missed};

use cella_freezer::Processes;

use crate::{
    Places, Whereabouts,
    confine::{self, Confinement, Sink},
    error::StartError,
    grants::Grants,
    install::Store,
    launcher::{link_options, program},
    load::{self, Loaded, Served},
    own::OwnPlaces,
};

pub use cella_proposal::{Attempt, Observation, Proposal, Reason, Refused, Wanted, denied};

/// Ports at which it is seen what is wanted there, by name: those of the web, of mail, of databases and of what else servers
/// speak to. Others are seen as well, by the refusal of the kernel. At most [`cella_cell::PORTS_MAX`].
const WATCHED_PORTS: [u16; 20] = [
    443, 80, 8443, 8080, 22, 25, 465, 587, 993, 3306, 5432, 6379, 9092, 9200, 5671, 5672, 11434, 27017, 1433,
    6443,
];
/// Time for the handshake. Stops a server that waits for a host for ever from holding the command; past it what was seen is
/// what there is.
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);
/// Time for its lists, together.
const LISTS_MAX: Duration = Duration::from_secs(10);
/// How long it is watched after that: servers connect late, or when they are first asked.
const AFTER: Duration = Duration::from_secs(2);
/// Life of the cell, whatever else goes wrong.
const LIFE_MAX: Duration = Duration::from_secs(60);
/// Time to end by itself.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Time between two looks at its processes.
const GLANCE: Duration = Duration::from_millis(200);
/// Records kept. Stops a server that tries for ever from filling memory; past it they are not looked at.
const RECORDS_MAX: usize = 4096;
/// Lines of its standard error that are looked at.
const STDERR_LINES: usize = 200;
/// What stands for a secret that is not given: a start needs to see that the variable is there.
const NO_SECRET: &str = "cella-observation-has-no-secrets";

/// Collects records.
#[derive(Debug, Default)]
struct Seen {
    records: Mutex<Vec<Record>>,
}

impl Sink for Seen {
    fn told(&self, _cell: &str, record: &Record) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() < RECORDS_MAX {
            records.push(record.clone());
        }
    }
}

/// Starts the server `name` of a configuration whose text is to stand in `places.config`, and watches it. Its package is
/// installed first where that has not happened yet. `None` for one that is no program.
///
/// # Errors
/// The text is no configuration, or the server does not start in a cell.
pub async fn observe(places: &Places, text: &str, name: &str) -> Result<Option<Observation>, ObserveError> {
    let loaded = load::of_text(&places.config, text).map_err(ObserveError::Config)?;
    let Some(served) = loaded.servers.get(name).cloned() else { return Ok(None) };
    let Run::Program(program) = &served.config.run else { return Ok(None) };
    watch(places, &loaded, &served, program).await.map(Some).map_err(ObserveError::Confine)
}

/// Why nothing was seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(StartError),
    /// It does not start in a cell.
    #[error(transparent)]
    Confine(confine::ConfineError),
}

// === impl ObserveError ===

impl ObserveError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Confine(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.fix(),
            Self::Confine(error) => error.fix(),
        }
    }
}

async fn watch(
    places: &Places,
    loaded: &Loaded,
    served: &Served,
    program: &StdioProgram,
) -> Result<Observation, confine::ConfineError> {
    let served = shown_what_it_names(served);
    let own_places = OwnPlaces::of(places, &Whereabouts::of(places));
    let own_program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("cella"));
    let store = Store::new(places.store.clone());
    let ground = program::Ground {
        store: &store,
        own_program: &own_program,
        own_places: &own_places,
        loaded,
        config: &places.config,
        sink: Arc::new(confine::NoSink),
    };
    let sight = program::sight(&ground, &served, program).await?;
    let env = without_secrets(&program.env);
    let contract = Contract::preset(Preset::Untrusted);
    let name = &served.config.name;
    let mut spec = confine::spec(name, &contract, &sight, &env, served.config.best_effort);
    spec.network = Network::Brokered { ports: WATCHED_PORTS.to_vec() };
    spec.limits.wall_time = Some(LIFE_MAX);
    let seen = Arc::new(Seen::default());
    let running = Confinement::new().watch(&spec, seen.clone()).await?;
    let tail = StderrTail::new(STDERR_LINES);
    let filled = tail.clone();
    let reading = tokio::spawn(async move { filled.fill_from(running.stderr).await });
    let wire = Wire::Stdio { stdin: Box::new(running.stdin), stdout: Box::new(running.stdout) };
    let asked = Box::pin(ask(wire, link_options(&served, &sight.roots)));
    let (asked, processes) = both(asked, &running.cell).await;
    let by_itself = running.cell.exit().map(|exit| exit.to_string());
    let exit = running.cell.stop(STOP_GRACE).await;
    if let Some(egress) = running.egress {
        egress.close().await;
    }
    let _read_to_its_end = tokio::time::timeout(STOP_GRACE, reading).await;
    let records = std::mem::take(&mut *seen.records.lock().unwrap_or_else(PoisonError::into_inner));
    let stderr: Vec<String> = tail.lines().iter().map(ToString::to_string).collect();
    let (lists, failure) = match asked {
        Ok(lists) => (Some(lists), None),
        Err(why) => (None, Some(why)),
    };
    Ok(Observation {
        attempts: gathered(&records),
        named: sight.mounts.iter().map(|mount| mount.source.clone()).collect(),
        hidden: sight.program.hidden_paths,
        peak_memory_bytes: exit.peak_memory_bytes,
        processes,
        variables: missed(&stderr, &env),
        lists,
        failure,
        exit: by_itself,
        stderr,
    })
}

/// The server under a contract by which it may read what its arguments name.
fn shown_what_it_names(served: &Served) -> Served {
    let contract = Contract::preset(Preset::SemiTrusted);
    let grants = Grants::of(&served.config, &contract, &served.base, &served.base);
    Served { contract, grants, ..served.clone() }
}

/// The environment with a word in the place of what is a reference, or cannot be read.
fn without_secrets(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let value = |text: &str| match Text::read(text) {
        Text::Plain(text) if !text.contains("${") => text,
        _ => NO_SECRET.to_owned(),
    };
    pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

/// The handshake and the lists, then a while of silence in which late attempts are seen.
async fn ask(wire: Wire, mut options: LinkOptions) -> Result<[usize; 3], String> {
    options.deadlines.handshake = HANDSHAKE_MAX;
    options.deadlines.idle = LISTS_MAX;
    let (tell, _events) = tokio::sync::mpsc::channel(8);
    let link = Link::open(wire, options, tell).await.map_err(|error| error.to_string())?;
    let lists = async {
        let mut counts = [0; 3];
        for (count, kind) in counts.iter_mut().zip([ListKind::Tools, ListKind::Resources, ListKind::Prompts])
        {
            let listed = link.list(kind).await;
            *count = listed.map_err(|failure| format!("{}: {failure:?}", kind.method()))?.items.len();
        }
        Ok(counts)
    };
    let late = |_| Err("its lists did not come in time".to_owned());
    let counts = tokio::time::timeout(LISTS_MAX, lists).await.unwrap_or_else(late);
    // Watched while the link is open: many a server ends with its client.
    tokio::time::sleep(AFTER).await;
    counts
}

/// The answer, and the most processes that were seen meanwhile.
async fn both(
    asked: impl Future<Output = Result<[usize; 3], String>>,
    cell: &Handle,
) -> (Result<[usize; 3], String>, usize) {
    let mut most = 0;
    let mut asked = std::pin::pin!(asked);
    let started = Instant::now();
    loop {
        tokio::select! {
            answer = &mut asked => return (answer, most),
            () = tokio::time::sleep(GLANCE) => {}
        }
        let pid = cell.pid();
        let counted = tokio::task::spawn_blocking(move || Processes::read().tree(pid?));
        if let Ok(Some(usage)) = counted.await {
            most = most.max(usage.processes);
        }
        if started.elapsed() > LIFE_MAX {
            return (Err("it did not answer in time".to_owned()), most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NO_SECRET, without_secrets};

    #[test]
    fn a_server_that_nobody_has_agreed_to_gets_no_secret() {
        let pairs = [("A", "plain"), ("B", "vault:github"), ("C", "env:TOKEN"), ("D", "${HOME}")];
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let given: Vec<String> = without_secrets(&pairs).into_iter().map(|(_, value)| value).collect();
        assert_eq!(given, ["plain", NO_SECRET, NO_SECRET, NO_SECRET]);
    }
}
