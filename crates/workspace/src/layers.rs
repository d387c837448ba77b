//! The layers of one cell: where its changes land while it lives.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{fs::FileType, io::Errno};

use crate::{
    About, Area, COPY_ENTRIES, DEPTH_MAX, DISK_FREE_MIN, Delta, Digest, Kept, State, Store, WorkspaceError,
    beneath::{Nanos, Root, facts, open_dir, some_names},
    capture::{Budget, Capture, When},
    known::{Known, Memory, Settled},
    remove,
    store::{Record, Sum, UNFINISHED},
};

/// Random bytes of a workspace's id: a hundred thousand of them have no two alike, and one can be typed.
const ID_BYTES: usize = 5;

/// What a running cell's copies came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of files; of one with holes, as if it had none.
    pub bytes: u64,
    /// Files, directories, links and removals.
    pub entries: u64,
    /// Bytes free on the disk.
    pub free: u64,
    /// Deeper than [`DEPTH_MAX`].
    pub too_deep: bool,
    /// Directories whose content nobody can see: the cell took the right to read or to search them from us too.
    pub closed: u64,
}

/// The layers of a cell that runs, or ran when its node died. Dropping it leaves them for the next start to capture.
#[derive(Debug)]
pub struct Layers {
    pub(crate) store: Store,
    pub(crate) id: String,
    pub(crate) about: About,
    /// What each layer is over.
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) began: Nanos,
    pub(crate) parent: Option<Parent>,
    /// Bytes that they may come to.
    pub(crate) limit: u64,
    /// What the last checkpoint has read, for each root, and its id.
    pub(crate) known: Vec<Known>,
    pub(crate) last: Option<String>,
    /// What is kept of them is to be put on record.
    pub(crate) owes: bool,
    /// Held for as long as somebody cares for them.
    pub(crate) _lock: File,
}

/// What all layers of a cell came to.
pub(crate) struct Pass {
    pub(crate) areas: Vec<Area>,
    pub(crate) known: Vec<Known>,
    pub(crate) read: u64,
    pub(crate) stored: u64,
}

/// What a run started from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Parent {
    pub(crate) id: String,
    pub(crate) delta: Digest,
}

/// Looks at the layers of a cell that lives.
#[derive(Clone, Debug)]
pub struct Measure {
    uppers: Vec<PathBuf>,
}

impl Measure {
    /// What lies in the layers now. Blocking, some microseconds for each entry. Nothing is changed for it, and no link is
    /// followed: a cell works here.
    ///
    /// # Errors
    /// The layers cannot be read, otherwise than by [`Usage::closed`].
    pub fn take(&self) -> io::Result<Usage> {
        let mut usage = Usage { free: self.free()?, ..Usage::default() };
        for upper in &self.uppers {
            count(Root::open(upper).map(|root| root.dir), DEPTH_MAX, &mut usage)?;
        }
        Ok(usage)
    }

    /// Bytes free on the disk, whatever lies in the layers.
    ///
    /// # Errors
    /// The layers are gone.
    pub fn free(&self) -> io::Result<u64> {
        let mut all = self.uppers.iter().map(|upper| free(upper));
        all.try_fold(u64::MAX, |least, free| Ok(least.min(free?)))
    }
}

/// Bytes that are free where this is.
pub(crate) fn free(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl Usage {
    /// True when a cell whose copies may come to so many bytes must end.
    #[must_use]
    pub fn is_over(&self, bytes: u64) -> bool {
        self.bytes > bytes || self.entries > COPY_ENTRIES || self.free < DISK_FREE_MIN || self.too_deep
    }
}

impl Layers {
    /// The name of the workspace.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Bytes that they may come to.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Where they lie.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Each copied directory, and the directory that takes its changes, as `cella_cell::Spec::layers` wants it.
    pub fn places(&self) -> impl Iterator<Item = (&Path, PathBuf)> {
        self.roots.iter().enumerate().map(|(at, root)| (root.as_path(), self.layer(at)))
    }

    pub(crate) fn layer(&self, at: usize) -> PathBuf {
        self.store.live().join(&self.id).join(at.to_string())
    }

    /// For whoever watches what the cell does.
    #[must_use]
    pub fn measure(&self) -> Measure {
        Measure { uppers: (0..self.roots.len()).map(|at| self.layer(at).join("upper")).collect() }
    }

    /// Records which cell works here, once it is known.
    ///
    /// # Errors
    /// The disk.
    pub fn worked_in_by(&mut self, cell: &str) -> Result<(), WorkspaceError> {
        cell.clone_into(&mut self.about.cell);
        self.write_down()
    }

    pub(crate) fn write_down(&self) -> Result<(), WorkspaceError> {
        let living = Living {
            about: self.about.clone(),
            roots: self.roots.clone(),
            began: self.began.to_string(),
            parent: self.parent.clone(),
            limit: self.limit,
        };
        crate::store::write_json(&self.store.live().join(&self.id).join("about.json"), &living)
    }

    /// Makes the delta, once the cell has ended. Nothing is kept of a run that changed nothing, and of one that came to more
    /// than it might only what fits. The layers are gone afterwards. Blocking.
    ///
    /// # Errors
    /// The disk, or a layer that cannot be read; the layers stay then.
    pub fn capture(self) -> Result<Option<Kept>, WorkspaceError> {
        self.captured()
    }

    /// The same for whoever cannot give them away.
    pub(crate) fn captured(&self) -> Result<Option<Kept>, WorkspaceError> {
        // A node may have died between the two steps below.
        if self.store.has(&self.id) {
            self.removed()?;
            return Ok(None);
        }
        // Until the manifest names them, no discard takes the contents away.
        let _shared = self.store.shared().map_err(WorkspaceError::system(self.store.dir()))?;
        let objects = self.store.objects();
        let how = (Settled::NOTHING, When::Ended);
        let areas = self.pass(&self.known, &mut self.budget()?, how)?.areas;
        let delta = Delta::new(areas, self.parent.as_ref().map(|parent| parent.delta));
        if delta.is_empty() || self.is_its_parent(&delta) {
            self.removed()?;
            return Ok(None);
        }
        objects.sync().map_err(WorkspaceError::system(self.store.dir()))?;
        let record = Record {
            about: self.about.clone(),
            from: self.parent.as_ref().map(|parent| parent.id.clone()),
            checkpoint_of: None,
            owed: self.owes,
            captured_ms: now_ms(),
            committed_ms: None,
            state: State::Kept,
            digest: delta.digest(),
            sum: Sum::of(&delta),
            roots: self.roots.clone(),
        };
        let kept = self.store.keep(&self.id, &delta, record)?;
        self.removed()?;
        Ok(Some(kept))
    }

    /// What they may come to, in a store that has something already.
    pub(crate) fn budget(&self) -> Result<Budget, WorkspaceError> {
        let stored = self.store.objects().bytes().map_err(WorkspaceError::system(self.store.dir()))?;
        Ok(Budget::new(self.limit, stored))
    }

    /// Reads all of them once, but for what is known of each.
    pub(crate) fn pass(
        &self,
        known: &[Known],
        budget: &mut Budget,
        (settled, when): (Settled, When),
    ) -> Result<Pass, WorkspaceError> {
        let objects = self.store.objects();
        let mut pass = Pass { areas: Vec::new(), known: Vec::new(), read: 0, stored: 0 };
        for (at, root) in self.roots.iter().enumerate() {
            let upper = self.layer(at).join("upper");
            let nothing = Known::default();
            let mut memory = Memory::new(known.get(at).unwrap_or(&nothing), settled);
            let capture = Capture::new(&objects, self.began, (&mut *budget, &mut memory), when);
            pass.areas.push(capture.area(root, &upper).map_err(WorkspaceError::system(upper))?);
            pass.read += memory.read;
            pass.stored += memory.stored;
            pass.known.push(memory.now);
        }
        Ok(pass)
    }

    /// Whether the run left what it started from as it was.
    fn is_its_parent(&self, delta: &Delta) -> bool {
        self.parent_if_same(delta).is_some()
    }

    /// What the run started from, if it left that as it was.
    pub(crate) fn parent_if_same(&self, delta: &Delta) -> Option<Kept> {
        let parent = self.store.find(&self.parent.as_ref()?.id).ok()?;
        self.store.delta(&parent).is_ok_and(|earlier| earlier.areas == delta.areas).then_some(parent)
    }

    /// Removes the layers, and with them what was changed. Only for a cell that never ran or has ended.
    ///
    /// # Errors
    /// The disk.
    pub fn remove(self) -> Result<(), WorkspaceError> {
        self.removed()
    }

    pub(crate) fn removed(&self) -> Result<(), WorkspaceError> {
        // Away in one step, lock and all: what is half removed is not taken for what a cell left.
        let live = self.store.live();
        let (place, dying) = (live.join(&self.id), format!("{UNFINISHED}{}", self.id));
        let removed = std::fs::rename(&place, live.join(&dying))
            .and_then(|()| remove::remove(Root::open(&live)?.dir.as_fd(), dying.as_ref()));
        removed.map_err(WorkspaceError::system(place))
    }
}

/// What is written down of layers, for whoever finds them.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Living {
    pub(crate) about: About,
    pub(crate) roots: Vec<PathBuf>,
    /// Nanoseconds, as text: more than JSON's numbers hold.
    pub(crate) began: String,
    pub(crate) parent: Option<Parent>,
    pub(crate) limit: u64,
}

fn count(dir: io::Result<OwnedFd>, left: usize, usage: &mut Usage) -> io::Result<()> {
    let most = usize::try_from(COPY_ENTRIES).unwrap_or(usize::MAX).saturating_add(1);
    let listed = dir.and_then(|dir| Ok((some_names(dir.as_fd(), most)?, dir)));
    let (names, dir) = match listed {
        Ok(listed) => listed,
        Err(error) => return unseen(error, usage),
    };
    for name in names {
        if usage.entries > COPY_ENTRIES || usage.too_deep {
            return Ok(());
        }
        usage.entries += 1;
        let found = match facts(dir.as_fd(), &name) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(error) => {
                unseen(error, usage)?;
                continue;
            }
        };
        match found.kind {
            FileType::RegularFile => usage.bytes += found.size.max(found.blocks.saturating_mul(512)),
            FileType::Directory if left == 0 => usage.too_deep = true,
            FileType::Directory => {
                usage.bytes += found.blocks.saturating_mul(512);
                count(open_dir(dir.as_fd(), &name), left - 1, usage)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The cell works on: what was there a moment ago may be gone, something else, or closed.
fn unseen(error: io::Error, usage: &mut Usage) -> io::Result<()> {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE) => Ok(()),
        Some(Errno::ACCESS) => {
            usage.closed += 1;
            Ok(())
        }
        _ => Err(error),
    }
}

/// A name that nobody has.
pub(crate) fn draw() -> io::Result<String> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn now() -> Nanos {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos::try_from(now.as_nanos()).unwrap_or(Nanos::MAX)
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(now() / 1_000_000).unwrap_or(0)
}
