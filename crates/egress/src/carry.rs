//! Moves bytes between two sockets, each way on its own, until both sides have said all.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use crate::{denial::Denial, limits::CHUNK_BYTES, record::Ending};

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
        let mut chunk = Vec::new();
        loop {
            self.from.readable().await.map_err(|_| Ending::Broken)?;
            chunk.reserve(CHUNK_BYTES);
            match self.from.try_read_buf(&mut chunk) {
                Ok(0) => break,
                Ok(_) => self.pass(&chunk).await?,
                // a quiet connection keeps no memory
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => chunk = Vec::new(),
                Err(_) => return Err(Ending::Broken),
            }
            chunk.clear();
        }
        rustix::net::shutdown(self.to, rustix::net::Shutdown::Write).map_err(|_| Ending::Broken)
    }

    /// Passes these bytes on.
    pub(crate) async fn pass(&self, bytes: &[u8]) -> Result<(), Ending> {
        let count = bytes.len() as u64;
        self.allowance.map_or(Ok(()), |allowance| allowance.spend(count)).map_err(Ending::Denied)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.to.try_write(rest) {
                Ok(written) => {
                    rest = &rest[written..];
                    self.moved.fetch_add(written as u64, Ordering::Relaxed);
                    self.activity.note();
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(|_| Ending::Broken)?;
                }
                Err(_) => return Err(Ending::Broken),
            }
        }
        Ok(())
    }
}
