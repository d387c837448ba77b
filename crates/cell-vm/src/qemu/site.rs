//! Where a machine lives on the host: a directory of the node's, with a place in it that is the machine's.
//!
//! Under a root node the machine runs as somebody else, who may be a user of the host. So nothing that the node opens by its
//! path, makes, or gives away lies where he can put a link in its way; and who answers at a socket of his must be him.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
};

use cella_cell::TreeNetwork;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

use super::{
    machine::{self, INITRD, KERNEL, MACHINES, SAVED, Start},
    plan::Plan,
    talk,
};
use crate::{
    VmError,
    groups::Groups,
    tools,
    tree::{Ends, Tree},
};

/// Bytes of complaints that are shown.
const COMPLAINT_BYTES: u64 = 2048;
/// What nobody but the node may look into: the machine's complaints, and the socket by which its tree is found.
const NODES: &str = "node";

/// Enters the groups and becomes QEMU, by way of a program that gives up every privilege.
const SCRIPT: &str = r#"
groups=$1; shift
for group in $groups; do echo 0 >"$group" || exit 125; done
exec "$@"
"#;

/// What a machine needs before it starts.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) groups: Groups,
    pub(super) dir: TempDir,
    /// As whom it runs.
    owner: (u32, u32),
    /// Standard output and error of the machine's processes: those of the program are others.
    log: fs::File,
}

// === impl Site ===

impl Site {
    /// Blocks.
    pub(super) fn new(plan: &Plan, groups: Groups) -> Result<Self, VmError> {
        let site = Self::lay_out(plan.guest.owner, groups)?;
        site.file(INITRD, &mut &super::guest::first_files(&plan.parts)?[..])?;
        // The machine's user may not be one who can read the kernel where it lies.
        site.file(KERNEL, &mut fs::File::open(&plan.parts.kernel)?)?;
        Ok(site)
    }

    fn lay_out(owner: (u32, u32), groups: Groups) -> io::Result<Self> {
        let dir = tools::private_dir()?;
        let mut private = fs::DirBuilder::new();
        private.mode(0o700);
        private.create(dir.path().join(NODES))?;
        private.create(dir.path().join(MACHINES))?;
        let mut log = fs::OpenOptions::new();
        log.read(true).append(true).create_new(true).mode(0o600);
        let log = log.open(dir.path().join(NODES).join("log"))?;
        give(&dir.path().join(MACHINES), owner)?;
        if owner.0 != rustix::process::geteuid().as_raw() {
            // He finds what is his, and sees nothing else.
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
        }
        Ok(Self { groups, dir, owner, log })
    }

    /// A file that the machine reads. Nothing of a cell is in one.
    fn file(&self, name: &str, content: &mut dyn io::Read) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).open(self.dir.path().join(name))?;
        io::copy(content, &mut file)?;
        file.flush()?;
        file.set_permissions(fs::Permissions::from_mode(0o644))
    }

    pub(super) async fn start(&self, plan: &Plan, start: Start) -> Result<(Tree, Option<Ends>), VmError> {
        let (uid, gid) = self.owner;
        let entrances: Vec<String> =
            self.groups.entrances().iter().map(|file| file.display().to_string()).collect();
        let mut args = ["-c", SCRIPT, "sh", &entrances.join(" ")].map(str::to_owned).to_vec();
        args.push(plan.parts.setpriv.display().to_string());
        if rustix::process::geteuid().is_root() {
            args.extend([format!("--reuid={uid}"), format!("--regid={gid}")]);
            args.extend(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"].map(str::to_owned));
        }
        args.extend(["--no-new-privs".to_owned(), plan.parts.qemu.display().to_string()]);
        args.extend(machine::arguments(self.dir.path(), &plan.spec, &plan.guest, &plan.parts, start));
        // Only what this start says is of interest.
        self.log.set_len(0)?;
        let shell = Path::new("/bin/sh");
        let streams = [Stdio::null(), self.log.try_clone()?.into(), self.log.try_clone()?.into()];
        let network = TreeNetwork::of(&plan.spec.network, &self.dir.path().join(NODES))?;
        Ok(match network.filter(|_| plan.guest.relay.is_some()) {
            None => (Tree::start(shell, &args, streams).await?, None),
            Some(network) => {
                let (tree, ends) = Tree::start_in(network, shell, &args, streams).await?;
                (tree, Some(ends))
            }
        })
    }

    /// The end of what its processes said.
    pub(super) fn complaint(&self) -> String {
        let length = self.log.metadata().map(|log| log.len()).unwrap_or_default();
        let mut end = vec![0; usize::try_from(length.min(COMPLAINT_BYTES)).unwrap_or_default()];
        let _nothing_was_said = self.log.read_exact_at(&mut end, length.saturating_sub(COMPLAINT_BYTES));
        String::from_utf8_lossy(&end).trim().to_owned()
    }

    /// A connection to a socket that the machine makes, as soon as it does. `None` if the machine ends before.
    pub(super) async fn connect(&self, name: &str, tree: &mut Tree) -> io::Result<Option<UnixStream>> {
        let stream = talk::connect(&self.place(name), tree).await?;
        stream.map(|stream| self.of_the_machine(stream)).transpose()
    }

    /// The same of one that is there.
    pub(super) async fn connected(&self, name: &str) -> io::Result<UnixStream> {
        self.of_the_machine(UnixStream::connect(self.place(name)).await?)
    }

    /// Takes away the way to a socket of the machine's.
    pub(super) fn forget(&self, name: &str) {
        let _not_there = fs::remove_file(self.place(name));
    }

    /// A socket of the node's to which the machine can connect.
    pub(super) fn listen(&self) -> io::Result<(UnixListener, PathBuf)> {
        let place = self.dir.path().join(SAVED);
        let listener = UnixListener::bind(&place)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600))?;
        give(&place, self.owner)?;
        Ok((listener, place))
    }

    pub(super) async fn accepted(&self, listener: &UnixListener) -> io::Result<UnixStream> {
        self.of_the_machine(listener.accept().await?.0)
    }

    fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(MACHINES).join(name)
    }

    /// A link in a socket's place could lead to anybody's, who would be told what is the guest's.
    fn of_the_machine(&self, stream: UnixStream) -> io::Result<UnixStream> {
        if stream.peer_cred()?.uid() == self.owner.0 {
            Ok(stream)
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "a socket of the machine is somebody else's"))
        }
    }
}

// === free functions ===

/// Of something in a directory that is nobody else's: what has been made there is still what lies there.
fn give(place: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    std::os::unix::fs::lchown(place, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests;
