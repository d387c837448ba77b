//! Opens the parts of the host that a cell will see, before anything is mounted.
//!
//! Each is opened once, without following any symbolic link, and from then on named by descriptor: nobody can swap a path
//! between the check and the mount.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags},
    mount::{MountAttrFlags, OpenTreeFlags},
    pipe::PipeFlags,
};

use super::{
    order::{Identity, Order, Source, SourceKind},
    sys::{self, Forked},
    wire::{Failure, Step},
};

/// One part of the host that was looked at, not yet attached anywhere.
#[derive(Debug)]
pub(crate) struct OpenSource {
    /// `None` for a mask: there is nothing of the host to be seen.
    pub(crate) tree: Option<OwnedFd>,
    pub(crate) target: PathBuf,
    pub(crate) directory: bool,
    /// What takes the changes of a copy.
    pub(crate) layer: Option<OwnedFd>,
}

/// One that was opened.
struct OpenTree {
    tree: OwnedFd,
    directory: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct OpenSources {
    pub(crate) list: Vec<OpenSource>,
    /// Mounts whose owner is not translated: to be read only, or under best effort.
    pub(crate) not_idmapped: Vec<PathBuf>,
}

/// Opens everything that an order names. Runs where the right to do so is: in the launcher's namespaces under root, in
/// the cell's own under a plain user.
pub(crate) fn open(order: &Order) -> Result<OpenSources, Failure> {
    let mut opened = OpenSources::default();
    let mut maps = IdMaps { identity: order.identity, made: Vec::new() };
    for source in &order.sources {
        if source.kind == SourceKind::Mask {
            opened.list.extend(look_at(source)?);
            continue;
        }
        let OpenTree { tree, directory } = opened.take(order, source, &mut maps)?;
        let layer = match &source.layer {
            None => None,
            Some(layer) => Some(open_layer(order, source, layer, directory, &mut maps)?),
        };
        let target = source.target.clone();
        opened.list.push(OpenSource { tree: Some(tree), target, directory, layer });
    }
    Ok(opened)
}

impl OpenSources {
    /// Opens one, with its owner translated and its attributes set.
    fn take(&mut self, order: &Order, source: &Source, maps: &mut IdMaps) -> Result<OpenTree, Failure> {
        let open = open_one(source)?;
        let translated = matches!(source.kind, SourceKind::Read | SourceKind::Write | SourceKind::Copy);
        if order.identity.privileged && translated {
            match maps.apply(&open.tree) {
                Ok(()) => {}
                // Reading then works only where everybody may read: less than asked, but no wall is missing.
                Err(_) if source.kind == SourceKind::Read || order.best_effort => {
                    self.not_idmapped.push(source.path.clone());
                }
                Err(error) => {
                    let name = sys::filesystem_name(&open.tree);
                    let failure = Failure::at(Step::Idmapped, &source.path, &error);
                    return Err(Failure { detail: format!("{name}: {error}"), ..failure });
                }
            }
        }
        set_attributes(&open.tree, source.kind)
            .map_err(|error| Failure::at(Step::Source, &source.path, &error))?;
        Ok(open)
    }
}

/// Opens what takes the changes of a copy. Its files belong to its owner on the disk, as those of the source do.
fn open_layer(
    order: &Order,
    source: &Source,
    layer: &Path,
    directory: bool,
    maps: &mut IdMaps,
) -> Result<OwnedFd, Failure> {
    if !directory {
        let cause = io::Error::other("only a directory can be copied, not a single file");
        return Err(Failure::at(Step::Overlay, &source.path, &cause));
    }
    let (path, target) = (layer.to_owned(), source.target.clone());
    let open = open_one(&Source { path, target, kind: SourceKind::Write, layer: None })?;
    if order.identity.privileged {
        maps.apply(&open.tree).map_err(|error| {
            let (place, name) = (layer.display(), sys::filesystem_name(&open.tree));
            let detail =
                format!("its changes would land in `{place}`, and {name} has no idmapped mounts ({error})");
            Failure { detail, ..Failure::at(Step::Overlay, &source.path, &error) }
        })?;
    }
    set_attributes(&open.tree, SourceKind::Write)
        .map_err(|error| Failure::at(Step::Source, layer, &error))?;
    Ok(open.tree)
}

/// Opens a path that leads through no link.
fn walk(path: &Path) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

/// What a mask has to cover; nothing if there is nothing, or nothing that this user could see.
fn look_at(mask: &Source) -> Result<Option<OpenSource>, Failure> {
    let stat = walk(&mask.path).and_then(|file| Ok(rustix::fs::fstat(&file)?));
    match stat {
        Ok(stat) => {
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            Ok(Some(OpenSource { tree: None, target: mask.target.clone(), directory, layer: None }))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Ok(None)
        }
        Err(error) => Err(Failure::at(Step::Source, &mask.path, &error)),
    }
}

fn open_one(source: &Source) -> Result<OpenTree, Failure> {
    let fail = |error: io::Error| Failure::at(Step::Source, &source.path, &error);
    let file = walk(&source.path).map_err(fail)?;
    let stat = rustix::fs::fstat(&file).map_err(|e| fail(e.into()))?;
    let directory = match (FileType::from_raw_mode(stat.st_mode), source.kind) {
        (FileType::Directory, SourceKind::Device) => return Err(fail(io::ErrorKind::InvalidInput.into())),
        (FileType::Directory, _) => true,
        (
            FileType::RegularFile,
            SourceKind::System | SourceKind::Read | SourceKind::Write | SourceKind::Copy,
        )
        | (FileType::CharacterDevice, SourceKind::Device) => false,
        (other, _) => {
            let detail = format!("it is neither a directory nor a regular file ({other:?})");
            return Err(Failure { detail, ..fail(io::ErrorKind::InvalidInput.into()) });
        }
    };
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    // A copy shows one filesystem. What is mounted in its source is not part of it, and what such a mount hides must not
    // come to light: see `refuse_mounts_within`.
    if source.kind == SourceKind::Copy {
        refuse_mounts_within(&source.path).map_err(|e| Failure::at(Step::Overlay, &source.path, &e))?;
    } else {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = rustix::mount::open_tree(&file, c"", flags).map_err(|e| fail(e.into()))?;
    Ok(OpenTree { tree, directory })
}

fn set_attributes(tree: &OwnedFd, kind: SourceKind) -> io::Result<()> {
    let (read_only, no_suid) = (MountAttrFlags::MOUNT_ATTR_RDONLY, MountAttrFlags::MOUNT_ATTR_NOSUID);
    let set = match kind {
        SourceKind::System | SourceKind::Read | SourceKind::Copy | SourceKind::Mask => {
            read_only | no_suid | MountAttrFlags::MOUNT_ATTR_NODEV
        }
        SourceKind::Write => no_suid | MountAttrFlags::MOUNT_ATTR_NODEV,
        // Only the layer over it is written.
        SourceKind::Device => read_only | no_suid | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    };
    sys::set_mount_attributes(tree.as_fd(), set, true)
}

/// The kernel's view of two layers looks below what is mounted in the lower one, and would show what is hidden there.
fn refuse_mounts_within(dir: &Path) -> io::Result<()> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mut points = table.lines().filter_map(|line| Some(unescaped(line.split(' ').nth(4)?)));
    points.find(|point| point.starts_with(dir) && point != dir).map_or(Ok(()), |point| {
        Err(io::Error::other(format!(
            "`{}` is mounted in it, and a copy shows one filesystem",
            point.display()
        )))
    })
}

/// A path of the mount table, in which white space and backslashes are octal.
fn unescaped(text: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *first == b'\\').and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// User namespaces that translate one owner on disk to the cell's own id, one per distinct owner.
struct IdMaps {
    identity: Identity,
    made: Vec<((u32, u32), OwnedFd)>,
}

impl IdMaps {
    /// Lets the owner of the mount's root appear as the cell, and the cell's files belong to that owner.
    fn apply(&mut self, tree: &OwnedFd) -> io::Result<()> {
        let stat = rustix::fs::statat(tree, c"", AtFlags::EMPTY_PATH)?;
        let owner = (stat.st_uid, stat.st_gid);
        if !self.made.iter().any(|(known, _)| *known == owner) {
            self.made.push((owner, map_namespace(owner, self.identity)?));
        }
        let found = self.made.iter().find(|(known, _)| *known == owner);
        found.map_or(Ok(()), |(_, namespace)| sys::set_mount_id_map(tree.as_fd(), namespace.as_fd()))
    }
}

/// Tries an id-mapped mount of a directory, without attaching it.
pub(crate) fn try_id_map(dir: &Path, identity: Identity) -> io::Result<()> {
    let kind = SourceKind::Write;
    let source = Source { path: dir.to_owned(), target: dir.to_owned(), kind, layer: None };
    let open = open_one(&source).map_err(|failure| io::Error::other(failure.detail))?;
    IdMaps { identity, made: Vec::new() }.apply(&open.tree)
}

/// Makes a user namespace with this one translation. It is made by a process that does nothing but wait until it has been
/// looked at.
fn map_namespace(owner: (u32, u32), identity: Identity) -> io::Result<OwnedFd> {
    let (release, hold) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    match sys::fork(libc::CLONE_NEWUSER)? {
        Forked::Child => {
            drop(hold);
            let _end_of_file = rustix::io::read(&release, &mut [0u8; 1]);
            sys::exit_now(0);
        }
        Forked::Parent { pid, pidfd } => {
            let proc = format!("/proc/{pid}");
            let namespace = write_map(&proc, "uid_map", owner.0, identity.uid)
                .and_then(|()| write_map(&proc, "gid_map", owner.1, identity.gid))
                .and_then(|()| open_namespace(&proc));
            drop(hold);
            drop(pidfd);
            namespace
        }
    }
}

fn open_namespace(proc: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(format!("{proc}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Writes one translation of a user namespace: `inner` inside is `outer` outside.
pub(crate) fn write_map(proc: &str, file: &str, inner: u32, outer: u32) -> io::Result<()> {
    write_whole(&format!("{proc}/{file}"), &format!("{inner} {outer} 1\n"))
}

/// Writes a kernel file in one call.
pub(crate) fn write_whole(path: &str, text: &str) -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn a_mount_point_with_a_space_is_found_by_its_name() {
        let paths = ["/a\\040b", "/a\\134c", "/plain", "/odd\\9", "/end\\"].map(unescaped);
        assert_eq!(paths, ["/a b", "/a\\c", "/plain", "/odd\\9", "/end\\"].map(std::path::PathBuf::from));
    }
}
