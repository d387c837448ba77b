//! Where workspaces lie: `live` has the layers of cells that run, `deltas` what was captured, `objects` the contents.

mod disk;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use self::disk::{listed, lock, read_delta, read_json, sync, write_whole};
pub(crate) use self::disk::{make_dir, write_json};
use crate::{
    Delta, Digest, Layers, WorkspaceError,
    beneath::{Nanos, PERMISSIONS, Root},
    commit,
    commit::SoFar,
    layers::{Living, Parent, draw, now},
    limits::MANIFEST_BYTES_MAX,
    objects::Objects,
    remove,
    startable::startable,
    unpack,
};

/// For the node's user alone: what a cell left here was made by somebody who is not trusted.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Begins the name of what is not finished.
pub(crate) const UNFINISHED: &str = ".new-";
/// In each workspace: whoever holds it works on it.
const LOCK: &str = "lock";

/// The workspaces of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    dir: PathBuf,
}

/// Whose changes they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The server, or `exec`.
    pub name: String,
    /// The command line.
    pub command: Vec<String>,
    /// The cell's id.
    pub cell: String,
}

/// How far a workspace has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Captured; the host is as it was.
    Kept,
    /// A commit began and has not ended: commit it again.
    Committing,
    /// The host has it.
    Committed,
    /// What is written down of it cannot be read: all that is left is to discard it. Never written down.
    #[serde(skip)]
    Damaged,
}

/// A workspace that was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// Whose changes they are.
    pub about: About,
    /// The workspace that the run started from.
    pub from: Option<String>,
    /// The workspace of which this is the state at a moment of its run.
    pub checkpoint_of: Option<String>,
    /// When it was captured, in milliseconds since 1970.
    pub captured_ms: u64,
    /// When it was committed.
    pub committed_ms: Option<u64>,
    /// How far it has come.
    pub state: State,
    /// The digest of its delta.
    pub digest: Digest,
    /// How much changed.
    pub sum: Sum,
    /// The directories that were copies.
    pub roots: Vec<PathBuf>,
}

/// How many paths a delta changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// That were not there.
    pub added: usize,
    /// That were there and still are.
    pub changed: usize,
    /// That were there; a directory with all that was in it is one.
    pub removed: usize,
    /// That are in no delta.
    pub left_out: usize,
}

/// What is written down beside a manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) about: About,
    pub(crate) from: Option<String>,
    /// Missing in what an earlier version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpoint_of: Option<String>,
    /// It is to be put on record, and that is not known to be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) owed: bool,
    pub(crate) captured_ms: u64,
    pub(crate) committed_ms: Option<u64>,
    pub(crate) state: State,
    pub(crate) digest: Digest,
    pub(crate) sum: Sum,
    pub(crate) roots: Vec<PathBuf>,
}

impl Sum {
    pub(crate) fn of(delta: &Delta) -> Self {
        let (added, changed, removed) = delta.counts();
        let left_out = delta.areas.iter().map(|area| area.left_out.len()).sum();
        Self { added, changed, removed, left_out }
    }
}

impl State {
    fn so_far(self) -> SoFar {
        if self == Self::Committing { SoFar::BrokenOff } else { SoFar::Nothing }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Committing => "committing",
            Self::Committed => "committed",
            Self::Damaged => "damaged",
        }
    }
}

impl Store {
    /// The store in this directory, which need not exist.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn live(&self) -> PathBuf {
        self.dir.join("live")
    }

    fn deltas(&self) -> PathBuf {
        self.dir.join("deltas")
    }

    pub(crate) fn objects(&self) -> Objects {
        Objects::new(self.dir.join("objects"))
    }

    /// Makes the layers for a cell that has these directories as copies, which may come to `limit` bytes, filled with an earlier
    /// workspace's changes if one is named. Blocking.
    ///
    /// # Errors
    /// A directory that is none or that contains the store, an earlier workspace whose base has changed, or the disk.
    pub fn begin(
        &self,
        about: About,
        roots: &[PathBuf],
        limit: u64,
        from: Option<&str>,
    ) -> Result<Layers, WorkspaceError> {
        for dir in [self.dir.clone(), self.live(), self.deltas(), self.dir.join("objects")] {
            make_dir(&dir).map_err(WorkspaceError::system(&dir))?;
        }
        let real = fs::canonicalize(&self.dir).map_err(WorkspaceError::system(&self.dir))?;
        let store = Self::new(real);
        for path in roots {
            let found = fs::symlink_metadata(path).map_err(WorkspaceError::system(path))?;
            if !found.is_dir() {
                return Err(WorkspaceError::NoDirectory { path: path.clone() });
            }
            if store.dir.starts_with(path) || path.starts_with(&store.dir) {
                return Err(WorkspaceError::Overlap { path: path.clone() });
            }
        }
        let earlier = from.map(|from| store.find(from)).transpose()?;
        let earlier = earlier.map(|kept| Ok((store.delta(&kept)?, kept))).transpose()?;
        if let Some((delta, _)) = &earlier {
            startable(delta, roots)?;
        }
        let id = draw().map_err(WorkspaceError::system(store.dir()))?;
        let layers = store.make(&id, about, (roots, limit), earlier.as_ref());
        if layers.is_err() {
            let unfinished = format!("{UNFINISHED}{id}");
            let _swept_by_the_next_start = Root::open(&store.live())
                .and_then(|root| remove::remove(root.dir.as_fd(), unfinished.as_ref()));
        }
        layers
    }

    /// Under a name that no sweep takes, until it is complete and locked.
    fn make(
        &self,
        id: &str,
        about: About,
        (roots, limit): (&[PathBuf], u64),
        earlier: Option<&(Delta, Kept)>,
    ) -> Result<Layers, WorkspaceError> {
        let new = self.live().join(format!("{UNFINISHED}{id}"));
        let lock = make_dir(&new).and_then(|()| lock(&new)).map_err(WorkspaceError::system(&new))?;
        for (at, root) in roots.iter().enumerate() {
            let layer = new.join(at.to_string());
            make_layer(&layer, root).map_err(WorkspaceError::system(&layer))?;
            let area = earlier.and_then(|(delta, _)| delta.areas.iter().find(|a| a.path.as_path() == root));
            if let Some(area) = area {
                unpack::unpack(area, root, &layer.join("upper"), &self.objects())?;
            }
        }
        let parent = earlier.map(|(_, kept)| Parent { id: kept.id.clone(), delta: kept.digest });
        let layers = Layers {
            store: Self::new(self.dir.clone()),
            id: id.to_owned(),
            about,
            roots: roots.to_vec(),
            began: now(),
            parent,
            limit,
            known: Vec::new(),
            last: None,
            owes: false,
            _lock: lock.ok_or_else(|| WorkspaceError::Busy { id: id.to_owned() })?,
        };
        fs::rename(&new, self.live().join(id)).map_err(WorkspaceError::system(&new))?;
        layers.write_down()?;
        Ok(layers)
    }

    /// Layers whose node is gone. A cell may outlive its node by [`crate::LIFE_AFTER_NODE`]: wait so long before they are
    /// captured.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn orphans(&self) -> Result<Vec<Layers>, WorkspaceError> {
        let live = self.live();
        if self.dir.is_dir()
            && let Ok(file) = self.lock_file()
            && file.try_lock().is_ok()
            && let Err(error) = self.sweep_unfinished()
        {
            tracing::warn!(%error, "a discarded workspace is still on the disk");
        }
        let mut orphans = Vec::new();
        for id in listed(&live)? {
            let dir = live.join(&id);
            let Ok(Some(lock)) = lock(&dir) else { continue };
            let living = match read_json::<Living>(&dir.join("about.json")) {
                Ok(living) if !id.starts_with(UNFINISHED) => living,
                Err(error) if !id.starts_with(UNFINISHED) && !error.is_not_found() => {
                    // There is work in it, whatever the matter is.
                    tracing::warn!(%error, id, "what a cell changed cannot be captured");
                    continue;
                }
                _ => {
                    // Its cell never ran.
                    let removed =
                        Root::open(&live).and_then(|root| remove::remove(root.dir.as_fd(), id.as_ref()));
                    removed.map_err(WorkspaceError::system(dir))?;
                    continue;
                }
            };
            let Living { about, roots, began, parent, limit } = living;
            let began = began.parse().unwrap_or(Nanos::MIN);
            let store = self.clone();
            let (known, last, owes) = (Vec::new(), None, false);
            orphans.push(Layers {
                store,
                id,
                about,
                roots,
                began,
                parent,
                limit,
                known,
                last,
                owes,
                _lock: lock,
            });
        }
        Ok(orphans)
    }

    /// The ids of the workspaces that cells work in now, and whose they are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn running(&self) -> Result<Vec<(String, About, Vec<PathBuf>)>, WorkspaceError> {
        let ids = listed(&self.live())?.into_iter().filter(|id| !id.starts_with(UNFINISHED));
        let known = ids.filter_map(|id| {
            let living: Living = read_json(&self.live().join(&id).join("about.json")).ok()?;
            Some((id, living.about, living.roots))
        });
        Ok(known.collect())
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.deltas().join(id).is_dir()
    }

    pub(crate) fn keep(&self, id: &str, delta: &Delta, record: Record) -> Result<Kept, WorkspaceError> {
        let (new, place) = (self.deltas().join(format!("{UNFINISHED}{id}")), self.deltas().join(id));
        let failed = || WorkspaceError::system(&new);
        let manifest = delta.canonical();
        if manifest.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(failed()(io::ErrorKind::FileTooLarge.into()));
        }
        make_dir(&new).map_err(failed())?;
        write_whole(&new.join("manifest.json"), manifest.as_bytes())
            .map_err(WorkspaceError::system(new.join("manifest.json")))?;
        write_json(&new.join("record.json"), &record)?;
        sync(&new).and_then(|()| fs::rename(&new, &place)).map_err(failed())?;
        sync(&self.deltas()).map_err(failed())?;
        Ok(kept(id, record))
    }

    /// Every workspace that was captured, the newest last; one whose record cannot be read as [`State::Damaged`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>, WorkspaceError> {
        let ids = listed(&self.deltas())?.into_iter().filter(|id| !id.starts_with(UNFINISHED));
        let mut all: Vec<Kept> = ids.map(|id| self.get(&id).unwrap_or_else(|_| damaged(id))).collect();
        all.sort_by(|a, b| (a.captured_ms, &a.id).cmp(&(b.captured_ms, &b.id)));
        Ok(all)
    }

    fn get(&self, id: &str) -> Result<Kept, WorkspaceError> {
        let dir = self.deltas().join(id);
        let record: Record = read_json(&dir.join("record.json"))?;
        Ok(kept(id, record))
    }

    /// The one whose id begins so, or the newest of a server of that name.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&self, asked: &str) -> Result<Kept, WorkspaceError> {
        let all = self.list()?;
        let begins: Vec<&Kept> = all.iter().filter(|kept| kept.id.starts_with(asked)).collect();
        let unknown = || WorkspaceError::Unknown { asked: asked.to_owned() };
        match begins[..] {
            _ if asked.is_empty() => Err(unknown()),
            [] => {
                let named = all.iter().rfind(|kept| kept.about.name == asked);
                if let Some(kept) = named {
                    return Ok(kept.clone());
                }
                let running = self.running()?.into_iter().find(|(id, ..)| id.starts_with(asked));
                Err(running.map_or_else(unknown, |(id, ..)| WorkspaceError::Busy { id }))
            }
            [one] => Ok(one.clone()),
            _ => {
                let found = begins.iter().map(|kept| kept.id.clone()).collect();
                Err(WorkspaceError::Ambiguous { asked: asked.to_owned(), found })
            }
        }
    }

    /// The one whose id begins so, for what cannot be taken back: a server's name would take whatever it left last.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find_id(&self, asked: &str) -> Result<Kept, WorkspaceError> {
        let kept = self.find(asked)?;
        if kept.id.starts_with(asked) {
            return Ok(kept);
        }
        let named = self.list()?.into_iter().filter(|kept| kept.about.name == asked);
        Err(WorkspaceError::Named { asked: asked.to_owned(), found: named.map(|kept| kept.id).collect() })
    }

    /// What changed.
    ///
    /// # Errors
    /// The manifest is damaged.
    pub fn delta(&self, kept: &Kept) -> Result<Delta, WorkspaceError> {
        let delta = read_delta(&self.deltas().join(&kept.id))?;
        if delta.digest() == kept.digest {
            return Ok(delta);
        }
        let cause = format!("its digest is {}", delta.digest());
        Err(WorkspaceError::Damaged { path: self.deltas().join(&kept.id), cause })
    }

    /// A file's content, if it is no larger than that.
    ///
    /// # Errors
    /// It is not in the store, or cannot be read.
    pub fn content(&self, digest: Digest, most: u64) -> io::Result<Option<Vec<u8>>> {
        self.objects().read(digest, most)
    }

    /// What the delta would meet now: the paths at which the host is neither as the cell saw it nor as the cell left it.
    /// Blocking.
    ///
    /// # Errors
    /// A directory of the delta cannot be opened.
    pub fn conflicts(&self, delta: &Delta) -> Result<Vec<crate::Conflict>, WorkspaceError> {
        commit::conflicts(delta, SoFar::Nothing)
    }

    /// The same for one of these, of which a commit may have broken off.
    pub(crate) fn conflicts_of(&self, kept: &Kept) -> Result<Vec<crate::Conflict>, WorkspaceError> {
        commit::conflicts(&self.delta(kept)?, kept.state.so_far())
    }

    /// Changes the host as the cell changed its copies. Blocking.
    ///
    /// # Errors
    /// The host is no longer what the cell saw, and `force` was not given; or the disk. After an error or a crash in the
    /// middle the same commit goes on where it broke off.
    pub fn commit(&self, kept: &Kept, force: bool) -> Result<commit::Committed, WorkspaceError> {
        let dir = self.deltas().join(&kept.id);
        let _lock = self.locked(kept)?;
        let delta = self.delta(kept)?;
        let mut record: Record = read_json(&dir.join("record.json"))?;
        let plan = commit::plan(&delta, force, record.state.so_far())?;
        plan.check(&self.objects())?;
        record.state = State::Committing;
        write_json(&dir.join("record.json"), &record)?;
        let committed = commit::carry_out(&plan, &kept.id, &self.objects())?;
        record.state = State::Committed;
        record.committed_ms = Some(crate::layers::now_ms());
        write_json(&dir.join("record.json"), &record)?;
        Ok(committed)
    }

    /// Removes a workspace, and every content that no other one needs. Blocking.
    ///
    /// # Errors
    /// It is being committed, or the disk.
    pub fn discard(&self, kept: &Kept) -> Result<(), WorkspaceError> {
        self.discard_held(kept, &self.hold(kept)?)
    }

    /// Those that were to be put on record when their node died.
    pub(crate) fn owed(&self) -> Result<Vec<Kept>, WorkspaceError> {
        let is_owed = |kept: &Kept| {
            let record = read_json::<Record>(&self.deltas().join(&kept.id).join("record.json"));
            record.is_ok_and(|record| record.owed)
        };
        Ok(self.list()?.into_iter().filter(is_owed).collect())
    }

    /// It is on record now. While somebody else has it, that is noted another time, and said twice.
    pub(crate) fn settle(&self, kept: &Kept) -> Result<(), WorkspaceError> {
        let _lock = self.locked(kept)?;
        let path = self.deltas().join(&kept.id).join("record.json");
        let record: Record = read_json(&path)?;
        write_json(&path, &Record { owed: false, ..record })
    }

    /// Keeps everybody else from committing or discarding it.
    pub(crate) fn hold(&self, kept: &Kept) -> Result<File, WorkspaceError> {
        self.locked(kept)
    }

    /// The same by who holds it.
    pub(crate) fn discard_held(&self, kept: &Kept, _held: &File) -> Result<(), WorkspaceError> {
        if self.get(&kept.id).is_ok_and(|now| now.state == State::Committing)
            && let Ok(delta) = self.delta(kept)
        {
            commit::clear(&delta, &kept.id);
        }
        // Away in one step: what is half removed is no workspace any more, and nobody makes a lock anew in it.
        let deltas = self.deltas();
        let (place, dying) = (deltas.join(&kept.id), deltas.join(format!("{UNFINISHED}{}", kept.id)));
        fs::rename(&place, &dying).and_then(|()| sync(&deltas)).map_err(WorkspaceError::system(place))?;
        self.sweep()
    }

    /// Removes every content that no workspace needs; none while one is being captured, or while it is not known what all of
    /// them need.
    fn sweep(&self) -> Result<(), WorkspaceError> {
        let file = self.lock_file().map_err(WorkspaceError::system(&self.dir))?;
        if file.try_lock().is_err() {
            return Ok(());
        }
        self.sweep_unfinished()?;
        let mut needed = BTreeSet::new();
        for other in self.list()? {
            let Ok(delta) = self.delta(&other) else { return Ok(()) };
            needed.extend(delta.contents());
        }
        let retained = self.objects().retain(&|digest| needed.contains(&digest));
        retained.map_err(WorkspaceError::system(self.dir.join("objects")))
    }

    /// What a capture or a discard that broke off left. Whoever makes a workspace holds the lock too.
    fn sweep_unfinished(&self) -> Result<(), WorkspaceError> {
        for id in listed(&self.deltas())?.into_iter().filter(|id| id.starts_with(UNFINISHED)) {
            let root = Root::open(&self.deltas());
            let removed = root.and_then(|root| remove::remove(root.dir.as_fd(), id.as_ref()));
            removed.map_err(WorkspaceError::system(self.deltas().join(id)))?;
        }
        Ok(())
    }

    /// Held while contents are put here that no manifest names yet.
    pub(crate) fn shared(&self) -> io::Result<File> {
        let file = self.lock_file()?;
        file.lock_shared()?;
        Ok(file)
    }

    fn lock_file(&self) -> io::Result<File> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE).open(self.dir.join(LOCK))
    }

    fn locked(&self, kept: &Kept) -> Result<File, WorkspaceError> {
        let dir = self.deltas().join(&kept.id);
        let lock = lock(&dir).map_err(WorkspaceError::system(&dir))?;
        lock.ok_or_else(|| WorkspaceError::Busy { id: kept.id.clone() })
    }
}

fn kept(id: &str, record: Record) -> Kept {
    let Record { about, from, checkpoint_of, owed: _, captured_ms, committed_ms, state, digest, sum, roots } =
        record;
    Kept {
        id: id.to_owned(),
        about,
        from,
        checkpoint_of,
        captured_ms,
        committed_ms,
        state,
        digest,
        sum,
        roots,
    }
}

fn damaged(id: String) -> Kept {
    Kept {
        id,
        about: About::default(),
        from: None,
        checkpoint_of: None,
        captured_ms: 0,
        committed_ms: None,
        state: State::Damaged,
        digest: Digest::of(b""),
        sum: Sum::default(),
        roots: Vec::new(),
    }
}

/// A layer looks from inside like the directory that it is over.
fn make_layer(layer: &Path, root: &Path) -> io::Result<()> {
    for dir in [layer.to_owned(), layer.join("work"), layer.join("upper")] {
        make_dir(&dir)?;
    }
    let mode = fs::symlink_metadata(root)?.mode() & PERMISSIONS;
    fs::set_permissions(layer.join("upper"), fs::Permissions::from_mode(mode))
}
