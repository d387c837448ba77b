//! What cells changed in their copies: put on record, brought to the host, or removed. One way for a node and for a command
//! without one.

use std::path::PathBuf;

use cella_event::{Draft, Int, Kind, Label, Map};
use cella_ledger::{Durability, Ledger};
use cella_workspace::{Committed, Delta, Kept, LIFE_AFTER_NODE, Layers, Store, WorkspaceError};

use crate::{
    Places, StartError,
    confine::{Workspace, blocking},
    history::ledger_dir,
    record::Recorder,
};

/// The workspaces of one node, running or not.
#[derive(Clone, Debug)]
pub struct Workspaces {
    store: Store,
    record: Record,
}

/// Where it is put on record.
#[derive(Clone, Debug)]
enum Record {
    /// By the node that runs.
    Node(Recorder),
    /// In the ledger of a node that does not run, if it has one: what `cella exec` does on a machine without a node is on
    /// no record either.
    Directory(PathBuf),
}

// === impl Workspaces ===

impl Workspaces {
    /// Those of a node that does not run.
    #[must_use]
    pub fn of(places: &Places) -> Self {
        let record = Record::Directory(ledger_dir(places));
        Self { store: Store::new(places.workspaces()), record }
    }

    pub(crate) fn recorded(places: &Places, recorder: Recorder) -> Self {
        Self { store: Store::new(places.workspaces()), record: Record::Node(recorder) }
    }

    /// Where they lie.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Changes the host as the cell changed its copies; on record before and after.
    ///
    /// # Errors
    /// No such workspace, the host is no longer what the cell saw and `force` was not given, the disk, or the ledger.
    pub async fn commit(&self, asked: &str, force: bool) -> Result<(Kept, Committed), StartError> {
        let kept = self.find(asked).await?;
        if !force {
            self.refuse_conflicts(&kept).await?;
        }
        self.record.write(draft(Kind::WorkspaceCommitting, &kept).with("force", force)).await?;
        let (store, of) = (self.store.clone(), kept.clone());
        // Where this breaks off the intent stays without an outcome, and the same commit goes on.
        let done = blocking(move || store.commit(&of, force)).await?;
        let count = |count: usize| Int::saturating(count as u64);
        let outcome = draft(Kind::WorkspaceCommitted, &kept)
            .with("applied", count(done.applied))
            .with("already", count(done.already))
            .with("forced", count(done.forced));
        self.record.write(outcome).await?;
        Ok((kept, done))
    }

    /// Removes a workspace; on record.
    ///
    /// # Errors
    /// No such workspace, it is being committed, the disk, or the ledger.
    pub async fn discard(&self, asked: &str) -> Result<Kept, StartError> {
        let kept = self.find(asked).await?;
        self.record.write(draft(Kind::WorkspaceDiscarded, &kept)).await?;
        let (store, of) = (self.store.clone(), kept.clone());
        blocking(move || store.discard(&of)).await?;
        Ok(kept)
    }

    /// Captures what cells had changed when their node died.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn adopt(&self) -> Result<Vec<Kept>, StartError> {
        let store = self.store.clone();
        let orphans = blocking(move || store.orphans()).await?;
        if orphans.is_empty() {
            return Ok(Vec::new());
        }
        // Their cells may still be dying.
        tokio::time::sleep(LIFE_AFTER_NODE).await;
        let mut all = Vec::new();
        for layers in orphans {
            match self.adopt_one(layers).await {
                Ok(kept) => all.extend(kept),
                Err(error) => {
                    tracing::warn!(%error, "a workspace that a killed node left could not be captured")
                }
            }
        }
        Ok(all)
    }

    async fn adopt_one(&self, layers: Layers) -> Result<Option<Kept>, StartError> {
        let store = self.store.clone();
        // What its contract said is not known any more; the watch had held it to that.
        let kept = blocking(move || layers.capture(u64::MAX)).await?;
        if let Some(kept) = &kept {
            let delta = delta(&store, kept).await?;
            self.record.write(captured_draft(kept, &delta).with("orphaned", true)).await?;
        }
        Ok(kept)
    }

    /// Before the intent is written: a commit that was refused has changed nothing and leaves nothing in doubt.
    async fn refuse_conflicts(&self, kept: &Kept) -> Result<(), StartError> {
        let (store, kept) = (self.store.clone(), kept.clone());
        let conflicts = blocking(move || store.conflicts(&store.delta(&kept)?)).await?;
        if conflicts.is_empty() {
            return Ok(());
        }
        Err(StartError::Workspace(WorkspaceError::Conflicts { conflicts }))
    }

    async fn find(&self, asked: &str) -> Result<Kept, StartError> {
        let (store, asked) = (self.store.clone(), asked.to_owned());
        Ok(blocking(move || store.find(&asked)).await?)
    }
}

async fn delta(store: &Store, kept: &Kept) -> Result<Delta, StartError> {
    let (store, kept) = (store.clone(), kept.clone());
    Ok(blocking(move || store.delta(&kept)).await?)
}

/// Captures what a server's cell changed, once it has ended, and puts it on record.
pub(crate) async fn captured(workspace: Workspace, recorder: &Recorder) {
    let (id, store) = (workspace.id().to_owned(), workspace.store());
    let kept = match workspace.capture().await {
        Ok(Some(kept)) => kept,
        Ok(None) => return,
        Err(error) => return tracing::error!(%error, id, "what a server changed could not be captured"),
    };
    match delta(&store, &kept).await {
        Ok(delta) => recorder.note(captured_draft(&kept, &delta).0).await,
        Err(error) => tracing::error!(%error, id, "what a server changed cannot be read again"),
    }
    tracing::info!(id, server = kept.about.name, "a server changed its copies: cella workspace show");
}

// === impl Record ===

impl Record {
    /// On the disk when this returns.
    async fn write(&self, fact: Fact) -> Result<(), StartError> {
        let ledger = match self {
            Self::Node(recorder) => recorder.ledger().clone(),
            Self::Directory(dir) if dir.is_dir() => {
                Ledger::open(&cella_ledger::Options::new(dir)).map_err(StartError::Ledger)?.0
            }
            Self::Directory(_) => return Ok(()),
        };
        ledger.append(&fact.0, &[], Durability::Flushed).await.map_err(StartError::Append)?;
        if matches!(self, Self::Directory(_))
            && let Err(error) = ledger.close()
        {
            tracing::warn!(%error, "the ledger was not closed in order");
        }
        Ok(())
    }
}

/// An event about one workspace.
struct Fact(Draft);

impl Fact {
    fn with(mut self, key: &'static str, value: impl Into<cella_event::Value>) -> Self {
        self.0.body = self.0.body.with(key, value);
        self
    }
}

fn draft(kind: Kind, kept: &Kept) -> Fact {
    let body = Map::new().with("workspace", kept.id.clone()).with("delta", kept.digest.to_string());
    Fact(Draft::new(kind).server(Label::clipped(&kept.about.name)).body(body))
}

fn captured_draft(kept: &Kept, delta: &Delta) -> Fact {
    let (added, changed, removed) = delta.counts();
    let count = |count: usize| Int::saturating(count as u64);
    draft(Kind::WorkspaceCaptured, kept)
        .with("cell", kept.about.cell.clone())
        .with("added", count(added))
        .with("changed", count(changed))
        .with("removed", count(removed))
        .with("left_out", count(delta.areas.iter().map(|area| area.left_out.len()).sum()))
}
