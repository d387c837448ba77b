//! A delta brought to the host: each path in one step, beneath its directory, through no link.
//!
//! What is new is made under another name in the same directory and takes its place by one `rename`, which a crash leaves
//! either before or after. So a commit that broke off is simply made again: [`judge`](crate::judge()) finds what is done.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid},
    io::Errno,
};
use serde_json::{Value, json};

use crate::{
    After, Area, Change, Conflict, Delta, Kept, RelPath, Seen, Verdict, WorkspaceError,
    beneath::{Facts, Nanos, Root, born, facts, names, open_dir, sync_dir},
    judge,
    judge::{FILLING_MODE, judge_again},
    layers,
    objects::Objects,
    remove,
    see::Look,
};

/// What a directory has while it is being filled.
const FILLING: Mode = Mode::from_raw_mode(FILLING_MODE);

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Paths that were changed.
    pub applied: usize,
    /// Paths that were so already.
    pub already: usize,
    /// Paths that were changed although the host was not what the cell saw.
    pub forced: usize,
}

impl Committed {
    /// For scripts, the same with a node and without one.
    #[must_use]
    pub fn as_json(&self, kept: &Kept) -> Value {
        json!({
            "schema": "cella/v1",
            "workspace": kept.id,
            "delta": kept.digest.to_string(),
            "applied": self.applied,
            "already": self.already,
            "forced": self.forced,
        })
    }
}

/// What an earlier commit of the same delta may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoFar {
    /// There was none, or it came to its end.
    Nothing,
    /// One began and did not end.
    BrokenOff,
}

/// What is to be done, decided before anything is.
pub(crate) struct Plan<'a> {
    areas: Vec<AreaPlan<'a>>,
    committed: Committed,
    force: bool,
}

struct AreaPlan<'a> {
    root: Root,
    path: PathBuf,
    /// To whom what is made belongs; `None`: whoever makes it.
    owner: Option<(Uid, Gid)>,
    steps: Vec<Step<'a>>,
}

struct Step<'a> {
    change: &'a Change,
    verdict: Verdict,
    now: Seen,
    /// What was there when it was decided.
    facts: Option<Facts>,
}

/// The paths at which the host is neither as the cell saw it nor as the cell left it.
pub(crate) fn conflicts(delta: &Delta, so_far: SoFar) -> Result<Vec<Conflict>, WorkspaceError> {
    let areas = delta.areas.iter().map(|area| AreaPlan::look(area, so_far)).collect::<Result<Vec<_>, _>>()?;
    Ok(areas.iter().flat_map(AreaPlan::conflicts).collect())
}

/// Looks at everything, and refuses before anything is changed.
pub(crate) fn plan(delta: &Delta, force: bool, so_far: SoFar) -> Result<Plan<'_>, WorkspaceError> {
    let areas = delta.areas.iter().map(|area| AreaPlan::look(area, so_far)).collect::<Result<Vec<_>, _>>()?;
    let conflicts: Vec<Conflict> = areas.iter().flat_map(AreaPlan::conflicts).collect();
    if !force && !conflicts.is_empty() {
        return Err(WorkspaceError::Conflicts { conflicts });
    }
    let all = || areas.iter().flat_map(|area| &area.steps);
    let committed = Committed {
        applied: all().filter(|step| step.verdict != Verdict::Done).count(),
        already: all().filter(|step| step.verdict == Verdict::Done).count(),
        forced: conflicts.len(),
    };
    Ok(Plan { areas, committed, force })
}

impl Plan<'_> {
    /// Every content that is still to be written is there: one that is not is noticed before the first step.
    pub(crate) fn check(&self, objects: &Objects) -> Result<(), WorkspaceError> {
        let left =
            self.areas.iter().flat_map(|area| &area.steps).filter(|step| step.verdict != Verdict::Done);
        for step in left {
            if let After::File { sha256, size, .. } = step.change.after {
                objects.check(sha256, size)?;
            }
        }
        Ok(())
    }
}

/// Does it.
pub(crate) fn carry_out(plan: &Plan<'_>, id: &str, objects: &Objects) -> Result<Committed, WorkspaceError> {
    for area in &plan.areas {
        let mut touched = BTreeSet::new();
        for (number, step) in area.steps.iter().enumerate() {
            let temporary = temporary(id, number);
            let failed = |error: Error| area.error(step, error);
            let parent = match area.root.parent_of(&step.change.path) {
                Err(error) if step.change.after == After::Removed && is_gone(&error) => continue,
                // Closed by the commit that did it.
                Err(error) if step.verdict == Verdict::Done && is_closed(&error) => continue,
                Err(error) if plan.force && is_gone(&error) => {
                    area.make_parents(&step.change.path).map_err(|error| failed(error.into()))?
                }
                parent => parent.map_err(|error| failed(error.into()))?,
            };
            // Of a commit that broke off right after the step itself.
            remove::remove(parent.as_fd(), &temporary).map_err(|error| failed(error.into()))?;
            if step.verdict == Verdict::Done {
                continue;
            }
            let act =
                Act { parent: parent.as_fd(), temporary: &temporary, owner: area.owner, force: plan.force };
            act.take(step, objects).map_err(failed)?;
            touched.extend(step.change.path.parent());
        }
        area.close_directories()?;
        for dir in touched {
            // Removed again by a later step, as part of a whole.
            let _gone = area.open(&dir).and_then(sync_dir);
        }
        sync_dir(&area.root.dir).map_err(WorkspaceError::system(&area.path))?;
    }
    Ok(plan.committed)
}

/// Under which name a step makes what it makes.
fn temporary(id: &str, number: usize) -> OsString {
    format!(".cella-{id}-{number}").into()
}

/// Takes away what a commit that broke off, and that nobody will make again, has left under names of its own.
pub(crate) fn clear(delta: &Delta, id: &str) {
    for area in &delta.areas {
        let path = area.path.to_path_buf();
        let Ok(root) = Root::open(&path) else { continue };
        for (number, change) in area.changes.iter().enumerate() {
            let cleared = match root.parent_of(&change.path) {
                Ok(parent) => remove::remove(parent.as_fd(), &temporary(id, number)),
                Err(error) if is_gone(&error) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = cleared {
                tracing::warn!(path = %path.join(change.path.as_path()).display(), %error, "something of a broken off commit may be left beside it");
            }
        }
    }
}

/// What can come of one step.
enum Error {
    System(io::Error),
    /// Somebody changed it after it was looked at.
    Moved,
    Store(WorkspaceError),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        match error {
            Errno::EXIST => Self::Moved,
            other => Self::System(other.into()),
        }
    }
}

impl<'a> AreaPlan<'a> {
    fn look(area: &'a Area, so_far: SoFar) -> Result<Self, WorkspaceError> {
        let path = area.path.to_path_buf();
        let root = Root::open(&path).map_err(WorkspaceError::system(&path))?;
        let stat =
            rustix::fs::fstat(&root.dir).map_err(|error| WorkspaceError::system(&path)(error.into()))?;
        let (uid, gid) = Facts::of(&stat).owner;
        let privileged = rustix::process::geteuid().is_root();
        let owner = privileged.then(|| (Uid::from_raw(uid), Gid::from_raw(gid)));
        // Directories that are there once this is done.
        let mut made: BTreeSet<&RelPath> = BTreeSet::new();
        // Those of a broken off commit that are complete, with all that is in them: their permissions came last.
        let mut complete: BTreeSet<RelPath> = BTreeSet::new();
        let mut steps = Vec::new();
        for change in &area.changes {
            let within = change.path.parent().is_some_and(|parent| made.contains(&parent));
            let within_complete = change.path.parent().is_some_and(|parent| complete.contains(&parent));
            let look = look(&root, change, within && !within_complete);
            if matches!(change.after, After::Directory { .. }) {
                made.insert(&change.path);
            }
            let judged = match so_far {
                SoFar::Nothing => judge(change, &look.seen),
                SoFar::BrokenOff => judge_again(change, &look.seen),
            };
            let verdict = match judged {
                // Nobody but this commit has closed it.
                Verdict::Conflict if within_complete && look.is_closed() => Verdict::Done,
                // There is no directory any more that it could be put into.
                Verdict::Apply if look.facts.is_none() && !within && !has_parent(&root, change) => {
                    Verdict::Conflict
                }
                verdict => verdict,
            };
            let directory = matches!(change.after, After::Directory { .. });
            if so_far == SoFar::BrokenOff && directory && verdict == Verdict::Done {
                complete.insert(change.path.clone());
            }
            steps.push(Step { change, verdict, now: look.seen, facts: look.facts });
        }
        Ok(Self { root, path, owner, steps })
    }

    fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.steps.iter().filter(|step| step.verdict == Verdict::Conflict).map(|step| Conflict {
            root: self.path.clone(),
            path: step.change.path.clone(),
            expected: step.change.base.clone(),
            found: step.now.clone(),
        })
    }

    fn error(&self, step: &Step<'_>, error: Error) -> WorkspaceError {
        let path = &step.change.path;
        match error {
            Error::System(source) => WorkspaceError::System { path: self.path.join(path.as_path()), source },
            Error::Store(error) => error,
            Error::Moved => WorkspaceError::Conflicts {
                conflicts: vec![Conflict {
                    root: self.path.clone(),
                    path: path.clone(),
                    expected: step.now.clone(),
                    found: Seen::Changed,
                }],
            },
        }
    }

    fn open(&self, dir: &RelPath) -> io::Result<OwnedFd> {
        open_dir(self.root.parent_of(dir)?.as_fd(), dir.name())
    }

    /// For force: the directories on the way that are gone.
    fn make_parents(&self, path: &RelPath) -> io::Result<OwnedFd> {
        let Some(dir) = path.parent() else { return self.root.parent_of(path) };
        let above = match self.root.parent_of(&dir) {
            Err(error) if is_gone(&error) => self.make_parents(&dir)?,
            above => above?,
        };
        let before = layers::now();
        match rustix::fs::mkdirat(&above, dir.name(), Mode::from_raw_mode(0o755)) {
            Ok(()) => own_dir(above.as_fd(), dir.name(), before, self.owner)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        open_dir(above.as_fd(), dir.name())
    }

    /// Permissions of directories come last, innermost first: they may forbid what had to be done in them.
    fn close_directories(&self) -> Result<(), WorkspaceError> {
        for step in self.steps.iter().rev().filter(|step| step.verdict != Verdict::Done) {
            let After::Directory { mode, .. } = step.change.after else { continue };
            let closed = self
                .open(&step.change.path)
                .and_then(|dir| Ok(rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))?));
            closed.map_err(WorkspaceError::system(self.path.join(step.change.path.as_path())))?;
        }
        Ok(())
    }
}

/// What is at a change's path, in the way in which its base was seen. `within`: in a directory that the same delta makes.
pub(crate) fn look(root: &Root, change: &Change, within: bool) -> Look {
    let whole = matches!(change.base, Seen::Tree { .. });
    match root.parent_of(&change.path) {
        Ok(parent) => Look::at(parent.as_fd(), change.path.name(), whole),
        Err(error) if is_gone(&error) || within => Look::NOTHING,
        Err(_) => Look::CLOSED,
    }
}

fn has_parent(root: &Root, change: &Change) -> bool {
    root.parent_of(&change.path).is_ok()
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// One step in one directory.
struct Act<'a> {
    parent: BorrowedFd<'a>,
    temporary: &'a OsStr,
    owner: Option<(Uid, Gid)>,
    force: bool,
}

impl Act<'_> {
    fn take(&self, step: &Step<'_>, objects: &Objects) -> Result<(), Error> {
        let name = step.change.path.name();
        let now = facts(self.parent, name)?;
        if !self.force && !is_same(step.facts.as_ref(), now.as_ref()) {
            return Err(Error::Moved);
        }
        match &step.change.after {
            After::Removed => {
                if now.is_some() {
                    rename(self.parent, name, self.temporary, RenameFlags::NOREPLACE)?;
                    if !self.is_as_seen(step) {
                        rename(self.parent, self.temporary, name, RenameFlags::NOREPLACE)?;
                        return Err(Error::Moved);
                    }
                    remove::remove(self.parent, self.temporary)?;
                }
                return Ok(());
            }
            After::Directory { .. } if now.is_some_and(|now| now.kind == FileType::Directory) => {
                let dir = open_dir(self.parent, name)?;
                if !is_same(now.as_ref(), Some(&Facts::of(&rustix::fs::fstat(&dir)?))) {
                    return Err(Error::Moved);
                }
                let open = Mode::from_raw_mode(now.map_or(0, |now| now.mode)) | FILLING;
                return Ok(rustix::fs::fchmod(&dir, open)?);
            }
            After::Directory { .. } => {
                let before = layers::now();
                rustix::fs::mkdirat(self.parent, self.temporary, FILLING)?;
                own_dir(self.parent, self.temporary, before, self.owner)?;
            }
            After::Link { target } => {
                rustix::fs::symlinkat(target.as_path(), self.parent, self.temporary)?;
                own_link(self.parent, self.temporary, self.owner)?;
            }
            After::File { mode, sha256, .. } => self.write(*mode, *sha256, objects)?,
        }
        self.place(step, now.as_ref())
    }

    fn write(&self, mode: u32, content: crate::Digest, objects: &Objects) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.parent, self.temporary, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = fs::File::from(file);
        if let Some((uid, gid)) = self.owner {
            // Of what was made here, not of what its name leads to by now.
            rustix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        objects.copy_to(content, &mut file).map_err(Error::Store)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(file.sync_all()?)
    }

    /// Lets what was made take the name. What was there is looked at once more when nobody finds it any more by that
    /// name, and put back if it is not what the plan was made for: writing the new content may have taken a while.
    fn place(&self, step: &Step<'_>, now: Option<&Facts>) -> Result<(), Error> {
        let name = step.change.path.name();
        if now.is_none() {
            return rename(self.parent, self.temporary, name, RenameFlags::NOREPLACE);
        }
        match rename(self.parent, self.temporary, name, RenameFlags::EXCHANGE) {
            Err(Error::System(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                return self.replace(step);
            }
            exchanged => exchanged?,
        }
        if !self.is_as_seen(step) {
            rename(self.parent, self.temporary, name, RenameFlags::EXCHANGE)?;
            // Our own again; a directory only while nobody has put anything into it.
            let directory = matches!(step.change.after, After::Directory { .. });
            let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            let _the_next_commit_removes_it = rustix::fs::unlinkat(self.parent, self.temporary, flags);
            return Err(Error::Moved);
        }
        Ok(remove::remove(self.parent, self.temporary)?)
    }

    /// Where a file system knows no exchange: as late as can be.
    fn replace(&self, step: &Step<'_>) -> Result<(), Error> {
        let name = step.change.path.name();
        if !self.force && !is_same(step.facts.as_ref(), facts(self.parent, name)?.as_ref()) {
            return Err(Error::Moved);
        }
        rename(self.parent, self.temporary, name, RenameFlags::empty())
    }

    /// Whether what now has the temporary name is what the step was decided on; a directory with all that is in it.
    fn is_as_seen(&self, step: &Step<'_>) -> bool {
        let whole = matches!(step.change.base, Seen::Tree { .. });
        let is = || {
            if whole {
                let look = Look::at(self.parent, self.temporary, true);
                return look.seen == step.now;
            }
            let found = facts(self.parent, self.temporary).ok().flatten();
            is_same(step.facts.as_ref(), found.as_ref())
        };
        self.force || is()
    }
}

/// A directory's times change with what this very commit does in it, and a file's time of change when another name of it is
/// replaced.
fn is_same(before: Option<&Facts>, now: Option<&Facts>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before.is_none() && now.is_none() };
    let identity = |facts: &Facts| (facts.kind, facts.inode, facts.device);
    let content = |facts: &Facts| (facts.mode, facts.size, facts.modified);
    identity(before) == identity(now) && (now.kind == FileType::Directory || content(before) == content(now))
}

fn rename(dir: BorrowedFd<'_>, from: &OsStr, to: &OsStr, flags: RenameFlags) -> Result<(), Error> {
    match rustix::fs::renameat_with(dir, from, dir, to, flags) {
        // A file system that knows no such flag: nobody is there a moment ago.
        Err(Errno::INVAL) if flags == RenameFlags::NOREPLACE => Ok(rustix::fs::renameat(dir, from, dir, to)?),
        renamed => Ok(renamed?),
    }
}

/// How far the clock of a file system may lag behind.
const CLOCK_LAG: Nanos = 50_000_000;

/// Gives a directory that was just made to whom it is to belong. Only root does, in a directory of somebody else's, who
/// could have put another one in its place: so it must be ours, empty, and no older than that.
fn own_dir(dir: BorrowedFd<'_>, name: &OsStr, before: Nanos, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let made = open_dir(dir, name)?;
    let ours = rustix::fs::fstat(&made)?.st_uid == rustix::process::geteuid().as_raw();
    let young = born(made.as_fd(), OsStr::new(".")).is_none_or(|born| born + CLOCK_LAG >= before);
    if !(ours && young && names(made.as_fd())?.is_empty()) {
        return Err(replaced());
    }
    Ok(rustix::fs::fchown(&made, Some(uid), Some(gid))?)
}

/// The same for a link, which has no content but where it leads.
fn own_link(dir: BorrowedFd<'_>, name: &OsStr, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&made)?;
    let link = FileType::from_raw_mode(found.st_mode) == FileType::Symlink;
    if !link || found.st_nlink != 1 || found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(replaced());
    }
    Ok(rustix::fs::chownat(&made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}

fn replaced() -> io::Error {
    io::Error::other("something else was put in its place")
}
