//! What cells changed in their copies: put on record, brought to the host, or removed. One way for a node and for a command
//! without one.

use std::path::PathBuf;

use cella_event::{Draft, Int, Kind, Label, Map};
use cella_ledger::{AppendError, Durability, Ledger, OpenError};

use crate::{
    Checkpoint, Committed, Kept, LIFE_AFTER_NODE, Layers, Store, Watcher, Workspace, WorkspaceError,
    workspace::blocking,
};

/// The workspaces of one node, running or not.
#[derive(Clone, Debug)]
pub struct Workspaces {
    store: Store,
    record: Record,
}

/// What may come between.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordedError {
    /// It cannot be done.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The ledger cannot be opened, so it is not done.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Where it is put on record.
#[derive(Clone, Debug)]
enum Record {
    /// By the node that runs.
    Node(Ledger),
    /// In the ledger of a node that does not run, if it has one: what `cella exec` does on a machine without a node is on
    /// no record either.
    Directory(PathBuf),
}

// === impl Workspaces ===

impl Workspaces {
    /// Those of a node that does not run, whose ledger is in this directory if it has one.
    #[must_use]
    pub fn of_directory(store: Store, ledger: PathBuf) -> Self {
        Self { store, record: Record::Directory(ledger) }
    }

    /// Those of the node that holds this ledger.
    #[must_use]
    pub fn of_node(store: Store, ledger: Ledger) -> Self {
        Self { store, record: Record::Node(ledger) }
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
    pub async fn commit(&self, asked: &str, force: bool) -> Result<(Kept, Committed), RecordedError> {
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
    pub async fn discard(&self, asked: &str) -> Result<Kept, RecordedError> {
        let kept = self.find(asked).await?;
        let (store, of) = (self.store.clone(), kept.clone());
        let held = blocking(move || store.hold(&of)).await?;
        // First the record: what is gone nobody could put on it any more. Where this breaks off between, the workspace is still
        // there to be discarded, and is then on record twice.
        self.record.write(draft(Kind::WorkspaceDiscarded, &kept)).await?;
        let (store, of) = (self.store.clone(), kept.clone());
        blocking(move || store.discard_held(&of, &held)).await?;
        Ok(kept)
    }

    /// Puts on record what a node had kept and died before it could, and captures what cells had changed when theirs died.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn adopt(&self) -> Result<Vec<Kept>, RecordedError> {
        let store = self.store.clone();
        for kept in blocking(move || store.owed()).await? {
            if let Err(error) = self.pay(&kept, captured_draft(&kept).with("orphaned", true)).await {
                tracing::warn!(%error, id = kept.id, "what a killed node had kept is on no record");
            }
        }
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

    /// Captures what a cell changed, once it has ended. What goes wrong is logged: nobody waits for it.
    pub async fn capture(&self, workspace: Workspace) {
        let id = workspace.id().to_owned();
        match self.capture_one(workspace).await {
            Ok(Some(kept)) => {
                tracing::info!(
                    id,
                    server = kept.about.name,
                    "a server changed its copies: cella workspace show"
                );
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, id, "what a server changed could not be kept or put on record")
            }
        }
    }

    /// Keeps what a cell has changed so far, while it lives; on record if that is new.
    ///
    /// # Errors
    /// The disk, a cell that does not stop writing and cannot be made to stand still, or the ledger: the checkpoint is there
    /// then, and on no record.
    pub async fn checkpoint(&self, workspace: &Workspace) -> Result<Checkpoint, RecordedError> {
        self.checkpoint_by(&workspace.watcher()).await
    }

    /// The same for whoever does not own the workspace.
    ///
    /// # Errors
    /// As for [`Workspaces::checkpoint`].
    pub async fn checkpoint_by(&self, workspace: &Watcher) -> Result<Checkpoint, RecordedError> {
        workspace.owe();
        let made = workspace.checkpoint().await?;
        if let Some(kept) = made.kept.as_ref().filter(|_| made.is_new) {
            self.pay(kept, captured_draft(kept).with("frozen", made.frozen)).await?;
        }
        Ok(made)
    }

    async fn capture_one(&self, workspace: Workspace) -> Result<Option<Kept>, RecordedError> {
        workspace.owe();
        let kept = workspace.capture().await?;
        if let Some(kept) = &kept {
            self.pay(kept, captured_draft(kept)).await?;
        }
        Ok(kept)
    }

    /// Puts on record what was kept, and notes that it is.
    async fn pay(&self, kept: &Kept, fact: Fact) -> Result<(), RecordedError> {
        self.record.write(fact).await?;
        let (store, of) = (self.store.clone(), kept.clone());
        if let Err(error) = blocking(move || store.settle(&of)).await {
            tracing::warn!(%error, id = kept.id, "that a workspace is on record is not noted: it will be put there twice");
        }
        Ok(())
    }

    async fn adopt_one(&self, mut layers: Layers) -> Result<Option<Kept>, RecordedError> {
        layers.owes = true;
        let kept = blocking(move || layers.capture()).await?;
        if let Some(kept) = &kept {
            self.pay(kept, captured_draft(kept).with("orphaned", true)).await?;
        }
        Ok(kept)
    }

    /// Before the intent is written: a commit that was refused has changed nothing and leaves nothing in doubt.
    async fn refuse_conflicts(&self, kept: &Kept) -> Result<(), RecordedError> {
        let (store, kept) = (self.store.clone(), kept.clone());
        let conflicts = blocking(move || store.conflicts_of(&kept)).await?;
        if conflicts.is_empty() {
            return Ok(());
        }
        Err(RecordedError::Workspace(WorkspaceError::Conflicts { conflicts }))
    }

    async fn find(&self, asked: &str) -> Result<Kept, RecordedError> {
        let (store, asked) = (self.store.clone(), asked.to_owned());
        Ok(blocking(move || store.find_id(&asked)).await?)
    }
}

// === impl Record ===

impl Record {
    /// On the disk when this returns.
    async fn write(&self, fact: Fact) -> Result<(), RecordedError> {
        let ledger = match self {
            Self::Node(ledger) => ledger.clone(),
            Self::Directory(dir) if dir.is_dir() => Ledger::open(&cella_ledger::Options::new(dir))?.0,
            Self::Directory(_) => return Ok(()),
        };
        ledger.append(&fact.0, &[], Durability::Flushed).await?;
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

fn captured_draft(kept: &Kept) -> Fact {
    let sum = kept.sum;
    let count = |count: usize| Int::saturating(count as u64);
    let fact = draft(Kind::WorkspaceCaptured, kept)
        .with("cell", kept.about.cell.clone())
        .with("added", count(sum.added))
        .with("changed", count(sum.changed))
        .with("removed", count(sum.removed))
        .with("left_out", count(sum.left_out));
    match &kept.checkpoint_of {
        Some(of) => fact.with("checkpoint_of", of.clone()),
        None => fact,
    }
}
