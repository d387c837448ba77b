//! Lets so many bytes out of a cell and no more.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    sync::mpsc,
};

use crate::LimitHit;

/// Bytes copied at once: a quarter of what a pipe holds.
const CHUNK_BYTES: usize = 16 << 10;

/// A pipe that gives what `source` gives, until `left`, which several may share, is used up; then it ends, and that is
/// told. A reader that is gone closes the program's pipe, as without the copy.
pub(crate) fn capped(
    source: pipe::Receiver,
    left: Arc<AtomicU64>,
    hit: mpsc::UnboundedSender<LimitHit>,
) -> io::Result<pipe::Receiver> {
    let (ours, theirs) = io::pipe()?;
    let sink = pipe::Sender::from_owned_fd(theirs.into())?;
    let ours = pipe::Receiver::from_owned_fd(ours.into())?;
    tokio::spawn(async move {
        if let Ok(true) = copy(source, sink, &left).await {
            let _ended_already = hit.send(LimitHit::Output);
        }
    });
    Ok(ours)
}

/// Whether there was more than allowed.
async fn copy(mut source: pipe::Receiver, mut sink: pipe::Sender, left: &AtomicU64) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = source.read(&mut chunk).await?;
        if count == 0 {
            return Ok(false);
        }
        let wanted = u64::try_from(count).unwrap_or(u64::MAX);
        let before =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(wanted)));
        let allowed = before.unwrap_or_default().min(wanted);
        sink.write_all(&chunk[..usize::try_from(allowed).unwrap_or(count)]).await?;
        if allowed < wanted {
            return Ok(true);
        }
    }
}
