//! The node's end of the launcher: starts it, hands it descriptors, starts another if it died.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{Child, Command, Stdio},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Mutex,
};

use super::{launcher::LAUNCHER_ARG, sys, wire};
use crate::CellError;

/// The launcher, once there is one.
#[derive(Debug, Default)]
pub(crate) struct LauncherLink {
    launcher: Mutex<Option<Launcher>>,
}

#[derive(Debug)]
struct Launcher {
    socket: AsyncFd<OwnedFd>,
    child: Child,
}

impl LauncherLink {
    /// Asks for a cell whose socket and pipes are these. Gives the process id of the launcher that was asked.
    pub(crate) async fn request(&self, fds: &[BorrowedFd<'_>]) -> Result<u32, CellError> {
        let mut launcher = self.launcher.lock().await;
        let failed = |error: io::Error| CellError::Launcher { cause: error.to_string() };
        if let Some(living) = launcher.as_ref() {
            match living.send(fds).await {
                Ok(()) => return Ok(living.child.id()),
                Err(error) => tracing::warn!(%error, "the cell launcher is gone, starting another"),
            }
        }
        // The old one is dropped, and with it reaped, before the new one exists.
        *launcher = None;
        let launcher = launcher.insert(Launcher::start().map_err(failed)?);
        launcher.send(fds).await.map_err(failed)?;
        Ok(launcher.child.id())
    }

    /// Gives up the launcher that was asked in vain, unless there is another by now. One that is dying still takes
    /// requests: the kernel may close its cells' sockets before its own.
    pub(crate) async fn give_up(&self, asked: u32) {
        let mut launcher = self.launcher.lock().await;
        if launcher.as_ref().is_some_and(|launcher| launcher.child.id() == asked) {
            *launcher = None;
        }
    }
}

impl Launcher {
    fn start() -> io::Result<Self> {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // Our own binary by its inode, so that an upgrade on disk does not change what runs. No environment: forked
        // cells would have it in memory.
        let child = Command::new("/proc/self/exe")
            .arg(LAUNCHER_ARG)
            .env_clear()
            .stdin(theirs)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { socket: sys::awaitable(ours, Interest::READABLE | Interest::WRITABLE)?, child })
    }

    async fn send(&self, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            match ready.try_io(|socket| wire::send_with_fds(socket.as_fd(), b"c", fds)) {
                Ok(sent) => return sent.map(drop),
                Err(_would_block) => {}
            }
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // It has no state and ends at once; its cells live on, they hold sockets of their own to this node.
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
