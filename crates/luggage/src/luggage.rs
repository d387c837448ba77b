//! What runs have with them, asked of a ledger and a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use cella_event::{Event, Kind, RunId, Seq};
use cella_ledger::{Filter, ReadError, Reader};
use cella_workspace::{Kept, Store, WorkspaceError};
use serde_json::{Value, json};

use crate::{
    At, LuggageError,
    trail::{OF_RUN, Trail, Trails, trails},
};

/// Forks of forks. Stops a ledger with a run that is its own ancestor from being read for ever.
const FORKS_MAX: usize = 64;

/// How long a cell waits for the files of the one before it to be put away: a node that was killed leaves cells that live
/// some seconds more. Past it the cell is not started (CE1570).
const PUT_AWAY_TIME: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What runs have with them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Luggage {
    reader: Reader,
    store: Store,
}

/// What a fork would have of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The server.
    pub server: String,
    /// What its first process starts from; `None` for files that are not the run's own, and so stay as they are.
    pub at: Option<At>,
    /// It has directories of the host themselves too, which stay as they are.
    pub is_direct: bool,
}

// === impl Luggage ===

impl Luggage {
    /// Those of the runs in a ledger.
    #[must_use]
    pub fn new(reader: Reader, store: Store) -> Self {
        Self { reader, store }
    }

    /// The run of this name, if this principal began it: names of runs come from clients too, and no client gets another's
    /// files. Blocking.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn owned(&self, run: &str, principal: &str) -> Result<Option<RunId>, LuggageError> {
        let Ok(run) = RunId::new(run.to_owned()) else { return Ok(None) };
        let first = first(&self.reader, &run)?;
        let is_theirs =
            first.and_then(|first| first.principal).is_some_and(|label| label.as_str() == principal);
        Ok(is_theirs.then_some(run))
    }

    /// What a process of a run starts from at a server. Waits until what the one before it left is put away.
    ///
    /// # Errors
    /// [`LuggageError::Start`], or the ledger.
    pub async fn base(&self, run: &RunId, server: &str) -> Result<At, LuggageError> {
        let until = Instant::now() + PUT_AWAY_TIME;
        loop {
            let (this, of, at) = (self.clone(), run.clone(), server.to_owned());
            let looked = tokio::task::spawn_blocking(move || this.base_now(&of, &at)).await;
            let start = |why: String| LuggageError::Start { server: server.to_owned(), why };
            match looked.map_err(|error| start(error.to_string()))?? {
                Some(At::Kept(id)) => {
                    return self
                        .startable(server, &id)
                        .map(|()| At::Kept(id))
                        .map_err(|e| start(e.to_string()));
                }
                Some(At::Host) => return Ok(At::Host),
                None if Instant::now() >= until => {
                    return Err(start("what the process before it changed is not put away yet".into()));
                }
                None => tokio::time::sleep(LOOK_PAUSE).await,
            }
        }
    }

    /// `None`: not yet.
    fn base_now(&self, run: &RunId, server: &str) -> Result<Option<At>, LuggageError> {
        let mut trails = trails_of(&self.reader, run, None)?;
        match trails.servers.remove(server).filter(Trail::is_apart) {
            Some(trail) if self.is_about(&trail)? => Ok(None),
            Some(trail) => Ok(Some(match self.left_by(&trail)? {
                Some(left) => left,
                None if trail.is_open => trail.base,
                None => trail.current,
            })),
            None => match trails.parent {
                Some((parent, at)) => Ok(Some(self.at_server(&parent, at, server, FORKS_MAX)?)),
                None => Ok(Some(At::Host)),
            },
        }
    }

    /// What a fork of a run at an event, at which it is at rest, has with it. Blocking.
    ///
    /// # Errors
    /// That something was not kept, is gone, or does not fit the host any more: nothing is begun then.
    pub fn packed(&self, run: &RunId, at: Seq) -> Result<Vec<Packed>, LuggageError> {
        let all = self.seen(run, at)?;
        for packed in &all {
            if let Some(At::Kept(id)) = &packed.at {
                self.startable(&packed.server, id)?;
            }
        }
        Ok(all)
    }

    /// The same, once what a process left is put away.
    ///
    /// # Errors
    /// As for [`Luggage::packed`].
    pub async fn pack(&self, run: &RunId, at: Seq) -> Result<Vec<Packed>, LuggageError> {
        let until = Instant::now() + PUT_AWAY_TIME;
        loop {
            let (this, of) = (self.clone(), run.clone());
            match tokio::task::spawn_blocking(move || this.packed(&of, at)).await {
                Ok(Err(LuggageError::NotKept { is_pending: true, .. })) if Instant::now() < until => {
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                Ok(packed) => return packed,
                Err(_) => return Err(ReadError::Closed.into()),
            }
        }
    }

    /// The same without a look at whether anything can start from it. Blocking.
    ///
    /// # Errors
    /// That something was not kept.
    pub fn seen(&self, run: &RunId, at: Seq) -> Result<Vec<Packed>, LuggageError> {
        let mut all = BTreeMap::new();
        let (mut run, mut at) = (run.clone(), at);
        for _ in 0..FORKS_MAX {
            let trails = trails_of(&self.reader, &run, Some(at))?;
            for (server, trail) in &trails.servers {
                // A call that came to no process says nothing of the files that an earlier run had there.
                let known =
                    all.get(server).is_some_and(|known: &Packed| known.at.is_some() || !trail.is_apart());
                if known || (trail.calls == 0 && !trail.is_apart()) {
                    continue;
                }
                let files =
                    if trail.is_apart() { Some(self.settled(&run, at, server, trail)?) } else { None };
                let packed = Packed { server: server.clone(), at: files, is_direct: trail.is_direct };
                all.insert(server.clone(), packed);
            }
            match trails.parent {
                Some((parent, left)) => (run, at) = (parent, left),
                None => break,
            }
        }
        Ok(all.into_values().collect())
    }

    fn at_server(&self, run: &RunId, at: Seq, server: &str, left: usize) -> Result<At, LuggageError> {
        let mut trails = trails_of(&self.reader, run, Some(at))?;
        if let Some(trail) = trails.servers.remove(server).filter(Trail::is_apart) {
            return self.settled(run, at, server, &trail);
        }
        match trails.parent {
            Some((parent, at)) if left > 0 => self.at_server(&parent, at, server, left - 1),
            _ => Ok(At::Host),
        }
    }

    fn settled(&self, run: &RunId, at: Seq, server: &str, trail: &Trail) -> Result<At, LuggageError> {
        if !trail.is_open {
            return Ok(trail.current.clone());
        }
        let not_kept = |why: String, is_pending| LuggageError::NotKept {
            run: run.clone(),
            server: server.to_owned(),
            at,
            why,
            is_pending,
        };
        if trail.is_lost {
            let why = trail.why.clone();
            return Err(not_kept(
                why.unwrap_or_else(|| "the process went on before it could be".into()),
                false,
            ));
        }
        if self.is_about(trail)? {
            // One that lives and could not be read stays as it is until it ends.
            let why = trail.why.clone();
            let is_pending = why.is_none();
            return Err(not_kept(
                why.unwrap_or_else(|| "its process is not put away yet".into()),
                is_pending,
            ));
        }
        // Where it left nothing, nothing was found that was not there when it began.
        Ok(self.left_by(trail)?.unwrap_or_else(|| trail.base.clone()))
    }

    /// What the last cell left at its end, where that is not on record yet: it is kept a moment earlier.
    fn left_by(&self, trail: &Trail) -> Result<Option<At>, LuggageError> {
        let Some(last) = trail.last.as_ref().filter(|_| trail.is_unsettled()) else { return Ok(None) };
        let all = self.store.list()?;
        let left = all.iter().rfind(|kept| kept.about.cell == *last && kept.checkpoint_of.is_none());
        Ok(left.map(|kept| At::Kept(kept.id.clone())))
    }

    /// Whether layers of these cells are still to be captured.
    fn is_about(&self, trail: &Trail) -> Result<bool, LuggageError> {
        let running = self.store.running()?;
        Ok(running.iter().any(|(_, about, _)| trail.cells.contains(&about.cell)))
    }

    fn startable(&self, server: &str, id: &str) -> Result<(), LuggageError> {
        let (server, workspace) = (server.to_owned(), id.to_owned());
        match self.found(id).and_then(|kept| self.store.check(&kept)) {
            Ok(()) => Ok(()),
            Err(source @ WorkspaceError::Conflicts { .. }) => {
                Err(LuggageError::Moved { server, workspace, source })
            }
            Err(source) => Err(LuggageError::Gone { server, workspace, source }),
        }
    }

    pub(crate) fn found(&self, id: &str) -> Result<Kept, WorkspaceError> {
        self.store.find_id(id)
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }
}

fn first(reader: &Reader, run: &RunId) -> Result<Option<Event>, ReadError> {
    let kinds = vec![Kind::RunStarted, Kind::RunForked];
    let filter = Filter { run: Some(run.clone()), kinds, limit: Some(1), ..Filter::default() };
    Ok(reader.query(&filter)?.entries.pop().map(|entry| entry.event))
}

fn trails_of(reader: &Reader, run: &RunId, at: Option<Seq>) -> Result<Trails, ReadError> {
    let Some(first) = first(reader, run)? else { return Ok(Trails::default()) };
    let of_run = vec![
        Kind::RunForked,
        Kind::RunResumed,
        Kind::CallIntended,
        Kind::CallCompleted,
        Kind::CallFailed,
        Kind::CallCancelled,
        Kind::CellCheckpointed,
    ];
    let of_cells = vec![Kind::CellStarted, Kind::CellExited, Kind::WorkspaceCaptured];
    let all = |run, kinds| Filter {
        run,
        kinds,
        first: Some(first.seq),
        limit: Some(usize::MAX),
        ..Filter::default()
    };
    let mut events = reader.query(&all(Some(run.clone()), of_run))?.entries;
    events.extend(reader.query(&all(None, of_cells))?.entries);
    events.sort_by_key(|entry| entry.event.seq);
    Ok(trails(run, at, events.iter().map(|entry| &entry.event)))
}

/// Servers whose files, or some of them, do not go with a run, in the form in which a fork says so. Blocking.
///
/// # Errors
/// The ledger cannot be read.
pub fn not_forked(reader: &Reader, run: &RunId) -> Result<Vec<Value>, ReadError> {
    let trails = trails_of(reader, run, None)?;
    let of = trails.servers.iter().filter(|(_, trail)| trail.calls > 0);
    let of = of.filter_map(|(server, trail)| match (trail.is_apart(), trail.is_direct) {
        (false, _) => Some(json!({ "server": server, "shared": true })),
        (true, true) => Some(json!({ "server": server, "direct": true })),
        (true, false) => None,
    });
    Ok(of.collect())
}

/// The cells that a run had for itself. Blocking.
///
/// # Errors
/// The ledger cannot be read.
pub fn cells(reader: &Reader, run: &RunId) -> Result<BTreeSet<String>, ReadError> {
    let kinds = vec![Kind::CellStarted];
    let text = Some(run.as_str().to_owned());
    let found = reader.query(&Filter { kinds, text, limit: Some(usize::MAX), ..Filter::default() })?;
    let own = found.entries.iter().map(|entry| &entry.event.body);
    let own = own.filter(|body| body.text(OF_RUN) == Some(run.as_str()));
    Ok(own.filter_map(|body| body.text("cell").map(str::to_owned)).collect())
}

/// The checkpoints of a run, in order, for people and scripts. Blocking.
///
/// # Errors
/// The ledger cannot be read.
pub fn checkpoints(reader: &Reader, run: &RunId) -> Result<Vec<Value>, ReadError> {
    let kinds = vec![Kind::CellCheckpointed];
    let filter = Filter { run: Some(run.clone()), kinds, limit: Some(usize::MAX), ..Filter::default() };
    let told = |event: &Event| {
        let mut value =
            json!({ "seq": event.seq.0, "server": event.server.as_ref().map(|server| server.as_str()) });
        for name in ["workspace", "delta", "code", "why"] {
            if let Some(text) = event.body.text(name) {
                value[name] = text.into();
            }
        }
        if let Some(bytes) = event.body.int("bytes") {
            value["bytes"] = bytes.into();
        }
        value
    };
    Ok(reader.query(&filter)?.entries.iter().map(|entry| told(&entry.event)).collect())
}
