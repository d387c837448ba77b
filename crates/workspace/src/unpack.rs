//! A delta laid into an empty layer, as the kernel would have left it: what a run that starts from another one sees.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    After, Area, DISK_FREE_MIN, RelPath, WorkspaceError,
    beneath::{Root, facts, open_dir},
    objects::Objects,
};

/// What a directory has while it is being filled.
const FILLING: Mode = Mode::RWXU;

/// Fills `upper`, which is empty and ours alone.
pub(crate) fn unpack(
    area: &Area,
    root: &Path,
    upper: &Path,
    objects: &Objects,
) -> Result<(), WorkspaceError> {
    let opened = Root::open(upper).map_err(WorkspaceError::system(upper))?;
    let lower = Root::open(root).ok();
    let at = |path: &RelPath| upper.join(path.as_path());
    for change in &area.changes {
        let failed = || WorkspaceError::system(at(&change.path));
        let parent = parent(&opened, lower.as_ref(), &change.path).map_err(failed())?;
        let name = change.path.name();
        match &change.after {
            After::Removed => {
                let nothing = Mode::empty();
                rustix::fs::mknodat(&parent, name, FileType::CharacterDevice, nothing, 0)
                    .map_err(|error| failed()(error.into()))?;
            }
            After::Link { target } => {
                rustix::fs::symlinkat(target.as_path(), &parent, name)
                    .map_err(|error| failed()(error.into()))?;
            }
            After::Directory { .. } => make_dir(parent.as_fd(), name.as_ref()).map_err(failed())?,
            After::File { mode, sha256, size } => {
                if *size > objects.free().map_err(failed())?.saturating_sub(DISK_FREE_MIN) {
                    return Err(failed()(io::ErrorKind::StorageFull.into()));
                }
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR);
                let mut file = fs::File::from(file.map_err(|error| failed()(error.into()))?);
                objects.copy_to(*sha256, &mut file)?;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(*mode))
                    .map_err(|error| failed()(error.into()))?;
            }
        }
    }
    // Innermost first: a directory that is closed is not gone through again.
    for change in area.changes.iter().rev() {
        let After::Directory { mode, .. } = change.after else { continue };
        let closed = opened.parent_of(&change.path).and_then(|parent| {
            let dir = open_dir(parent.as_fd(), change.path.name())?;
            Ok(rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))?)
        });
        closed.map_err(WorkspaceError::system(at(&change.path)))?;
    }
    Ok(())
}

/// The directory in the layer that a path lies in. One that the delta does not change looks like the host's.
fn parent(upper: &Root, lower: Option<&Root>, path: &RelPath) -> io::Result<OwnedFd> {
    match upper.parent_of(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let dir = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let above = parent(upper, lower, &dir)?;
    make_dir(above.as_fd(), dir.name().as_ref())?;
    let like = lower.and_then(|lower| {
        let parent = lower.parent_of(&dir).ok()?;
        facts(parent.as_fd(), dir.name()).ok()?
    });
    let made = open_dir(above.as_fd(), dir.name())?;
    if let Some(like) = like {
        rustix::fs::fchmod(&made, Mode::from_raw_mode(like.mode) | FILLING)?;
    }
    Ok(made)
}

fn make_dir(dir: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match rustix::fs::mkdirat(dir, name, FILLING) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
