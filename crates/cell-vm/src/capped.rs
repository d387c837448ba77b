//! Lets so many bytes out of a cell and no more.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cella_cell::LimitHit;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    sync::mpsc,
};

/// Bytes copied at once: a quarter of what a pipe holds.
const CHUNK_BYTES: usize = 16 << 10;

/// Bytes that may still come out, shared by standard output and error; and who is told that there were more.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    left: Option<Arc<AtomicU64>>,
    hit: mpsc::UnboundedSender<LimitHit>,
}

// === impl Allowance ===

impl Allowance {
    pub(crate) fn new(bytes: Option<u64>, hit: mpsc::UnboundedSender<LimitHit>) -> Self {
        Self { left: bytes.map(|bytes| Arc::new(AtomicU64::new(bytes))), hit }
    }

    /// A pipe that gives what `source` gives, as far as is allowed; as it is where there is no limit.
    pub(crate) fn capped(&self, source: pipe::Receiver) -> io::Result<pipe::Receiver> {
        if self.left.is_none() {
            return Ok(source);
        }
        let (ours, theirs) = io::pipe()?;
        let sink = pipe::Sender::from_owned_fd(theirs.into())?;
        let allowance = self.clone();
        tokio::spawn(async move { allowance.copy(source, sink).await });
        pipe::Receiver::from_owned_fd(ours.into())
    }

    /// Copies until the end of either; gives how many bytes came.
    pub(crate) async fn copy(
        &self,
        mut source: impl AsyncRead + Unpin,
        mut sink: pipe::Sender,
    ) -> io::Result<u64> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut sum = 0;
        loop {
            let count = source.read(&mut chunk).await?;
            if count == 0 {
                return Ok(sum);
            }
            let allowed = self.take(count);
            sink.write_all(&chunk[..allowed]).await?;
            sum += u64::try_from(allowed).unwrap_or_default();
            if allowed < count {
                let _ended_already = self.hit.send(LimitHit::Output);
                return Ok(sum);
            }
        }
    }

    /// How many of so many may pass.
    fn take(&self, count: usize) -> usize {
        let Some(left) = &self.left else { return count };
        let wanted = u64::try_from(count).unwrap_or(u64::MAX);
        let before =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(wanted)));
        usize::try_from(before.unwrap_or_default().min(wanted)).unwrap_or(count)
    }
}
