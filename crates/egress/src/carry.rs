//! Moves bytes between two sockets, each way on its own, until both sides have said all.

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{io::Interest, net::TcpStream};

use crate::{
    denial::Denial,
    limits::{BULK_BYTES, CHUNK_BYTES, PIPE_BYTES},
    record::Ending,
};

/// When something was last moved.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    last_millis: AtomicU64,
}

/// How much a cell has sent, over all its connections, and may.
#[derive(Debug)]
pub(crate) struct Allowance {
    sent: AtomicU64,
    most: Option<u64>,
}

/// What follows when bytes were copied for a while.
#[derive(PartialEq, Eq)]
enum After {
    /// The sender has said all.
    End,
    /// There is so much that a pipe is worth its descriptors.
    Bulk,
}

/// One way.
pub(crate) struct Way<'a> {
    pub(crate) from: &'a TcpStream,
    pub(crate) to: &'a TcpStream,
    pub(crate) moved: &'a AtomicU64,
    pub(crate) activity: &'a Activity,
    /// What limits it: only what a cell sends is limited.
    pub(crate) allowance: Option<&'a Allowance>,
}

// === impl Activity ===

impl Activity {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), last_millis: AtomicU64::new(0) }
    }

    pub(crate) fn note(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_millis.store(millis, Ordering::Relaxed);
    }

    /// Returns when nothing was moved for so long.
    pub(crate) async fn quiet_for(&self, time: Duration) {
        loop {
            let last = self.start + Duration::from_millis(self.last_millis.load(Ordering::Relaxed));
            let end = last + time;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end.into()).await;
        }
    }
}

// === impl Allowance ===

impl Allowance {
    pub(crate) fn new(most: Option<u64>) -> Self {
        Self { sent: AtomicU64::new(0), most }
    }

    pub(crate) fn spend(&self, bytes: u64) -> Result<(), Denial> {
        let Some(most) = self.most else { return Ok(()) };
        let before = self.sent.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > most { Err(Denial::Bytes { most }) } else { Ok(()) }
    }
}

// === impl Way ===

impl Way<'_> {
    /// Moves everything until the sender has said all, and tells the receiver.
    pub(crate) async fn run(&self) -> Result<(), Ending> {
        if self.copied().await? == After::Bulk {
            // without a descriptor left for the pipe it goes on as before
            match pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) {
                Ok((out, into)) => self.spliced(&out, &into).await?,
                Err(_) => while self.copied().await? == After::Bulk {},
            }
        }
        rustix::net::shutdown(self.to, rustix::net::Shutdown::Write).map_err(|_| Ending::Broken)
    }

    /// Moves bytes through memory, until all is said or it has become worthwhile to do otherwise.
    async fn copied(&self) -> Result<After, Ending> {
        let (mut chunk, mut moved) = (Vec::new(), 0);
        while moved < BULK_BYTES {
            self.from.readable().await.map_err(|_| Ending::Broken)?;
            chunk.reserve(CHUNK_BYTES);
            match self.from.try_read_buf(&mut chunk) {
                Ok(0) => return Ok(After::End),
                Ok(count) => {
                    moved += count;
                    self.pass(&chunk).await?;
                }
                // a quiet connection keeps no memory
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => chunk = Vec::new(),
                Err(_) => return Err(Ending::Broken),
            }
            chunk.clear();
        }
        Ok(After::Bulk)
    }

    /// Moves bytes inside the kernel, through a pipe that is empty whenever this waits for the sender.
    async fn spliced(&self, out: &OwnedFd, into: &OwnedFd) -> Result<(), Ending> {
        // a smaller pipe works too
        let _ = fcntl_setpipe_size(into, PIPE_BYTES);
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        loop {
            self.from.readable().await.map_err(|_| Ending::Broken)?;
            let take = || Ok(splice(self.from, None, into, None, PIPE_BYTES, flags)?);
            let mut rest = match self.from.try_io(Interest::READABLE, take) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return Err(Ending::Broken),
            };
            self.spend(rest)?;
            while rest > 0 {
                let give = || Ok(splice(out, None, self.to, None, rest, flags)?);
                match self.to.try_io(Interest::WRITABLE, give) {
                    Ok(count) => {
                        rest -= count;
                        self.note(count);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        self.to.writable().await.map_err(|_| Ending::Broken)?;
                    }
                    Err(_) => return Err(Ending::Broken),
                }
            }
        }
    }

    /// Passes these bytes on.
    pub(crate) async fn pass(&self, bytes: &[u8]) -> Result<(), Ending> {
        self.spend(bytes.len())?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.to.try_write(rest) {
                Ok(written) => {
                    rest = &rest[written..];
                    self.note(written);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(|_| Ending::Broken)?;
                }
                Err(_) => return Err(Ending::Broken),
            }
        }
        Ok(())
    }

    fn spend(&self, bytes: usize) -> Result<(), Ending> {
        self.allowance.map_or(Ok(()), |allowance| allowance.spend(bytes as u64)).map_err(Ending::Denied)
    }

    fn note(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        self.activity.note();
    }
}
