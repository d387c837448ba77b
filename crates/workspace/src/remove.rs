//! Removing what somebody else made, however deep and however closed it is.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, FileType},
    io::Errno,
};

use crate::beneath::{facts, names, open_own_dir};

/// Directories that are open over each other. What lies deeper is first brought up, so that neither descriptors nor the
/// stack run out.
const OPEN_MAX: usize = 64;

/// Removes what is at a name, if anything is.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match facts(dir, name)? {
        None => Ok(()),
        Some(found) if found.kind != FileType::Directory => unlink(dir, name, AtFlags::empty()),
        Some(_) => {
            let top = open_own_dir(dir, name)?;
            loop {
                let mut brought_up = Up { top: top.as_fd(), count: 0 };
                clear(top.as_fd(), OPEN_MAX, &mut brought_up)?;
                if brought_up.count == 0 {
                    break;
                }
            }
            unlink(dir, name, AtFlags::REMOVEDIR)
        }
    }
}

struct Up<'a> {
    top: BorrowedFd<'a>,
    count: u64,
}

/// Empties a directory, but for what it brings up into the topmost one.
fn clear(dir: BorrowedFd<'_>, left: usize, up: &mut Up<'_>) -> io::Result<()> {
    for name in names(dir)? {
        let Some(found) = facts(dir, &name)? else { continue };
        if found.kind != FileType::Directory {
            unlink(dir, &name, AtFlags::empty())?;
        } else if left == 0 {
            bring_up(dir, &name, up)?;
        } else {
            // What is brought up meanwhile is for the next round.
            clear(open_own_dir(dir, &name)?.as_fd(), left - 1, up)?;
            unlink(dir, &name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

fn bring_up(dir: BorrowedFd<'_>, name: &OsStr, up: &mut Up<'_>) -> io::Result<()> {
    // Renaming a directory writes to it.
    drop(open_own_dir(dir, name)?);
    for number in up.count.. {
        let new = OsString::from(format!(".deep-{number}"));
        match rustix::fs::renameat_with(dir, name, up.top, &new, rustix::fs::RenameFlags::NOREPLACE) {
            Ok(()) => {
                up.count = number + 1;
                break;
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn unlink(dir: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, os::fd::AsFd, os::unix::fs::PermissionsExt};

    use super::remove;
    use crate::beneath::Root;

    #[test]
    fn a_tree_deeper_than_any_path_and_closed_to_us_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let top = dir.path().join("top");
        fs::create_dir(&top).expect("a directory");
        let mut at = Root::open(&fs::canonicalize(&top).expect("a path")).expect("opened").dir;
        for _ in 0..500 {
            rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).expect("a directory");
            at = super::open_own_dir(at.as_fd(), OsStr::new("d")).expect("opened");
        }
        fs::create_dir(top.join("closed")).expect("a directory");
        fs::write(top.join("closed/file"), "x").expect("a file");
        fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o0)).expect("permissions");
        let root = Root::open(&fs::canonicalize(dir.path()).expect("a path")).expect("opened");
        remove(root.dir.as_fd(), OsStr::new("top")).expect("removed");
        assert!(!top.exists());
    }
}
