//! Lets so many bytes out of a cell and no more.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::{io::AsyncWriteExt, net::unix::pipe, sync::mpsc};

use crate::LimitHit;

/// Bytes copied at once: a quarter of what a pipe holds.
const CHUNK_BYTES: usize = 16 << 10;

/// What may still come out, of all pipes that share it.
#[derive(Debug)]
pub(crate) struct Allowance {
    state: Mutex<State>,
    hit: mpsc::UnboundedSender<LimitHit>,
}

#[derive(Debug)]
struct State {
    left: u64,
    over: bool,
    /// The program's pipes, for as long as somebody copies from them: a reader that is gone must close them.
    sources: Vec<Weak<pipe::Receiver>>,
}

impl Allowance {
    /// `hit` is told when there is more.
    pub(crate) fn new(bytes: u64, hit: mpsc::UnboundedSender<LimitHit>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { left: bytes, over: false, sources: Vec::new() }), hit })
    }

    /// A pipe that gives what `source` gives, and ends when the allowance is used up.
    pub(crate) fn capped(self: &Arc<Self>, source: pipe::Receiver) -> io::Result<pipe::Receiver> {
        let (ours, theirs) = io::pipe()?;
        let sink = pipe::Sender::from_owned_fd(theirs.into())?;
        let ours = pipe::Receiver::from_owned_fd(ours.into())?;
        let source = Arc::new(source);
        self.lock().sources.push(Arc::downgrade(&source));
        let allowance = Arc::clone(self);
        tokio::spawn(async move {
            let _reader_is_gone = allowance.copy(&source, sink).await;
        });
        Ok(ours)
    }

    /// Whether there was more than allowed, what nobody has read yet included. For when the program is gone: what it
    /// wrote last may still lie in its pipe, and cutting that off must not go unsaid.
    pub(crate) fn is_overrun(&self) -> bool {
        let state = self.lock();
        let sources = state.sources.iter().filter_map(Weak::upgrade);
        let unread: u64 =
            sources.map(|source| rustix::io::ioctl_fionread(&*source).unwrap_or_default()).sum();
        state.over || unread > state.left
    }

    async fn copy(&self, source: &pipe::Receiver, mut sink: pipe::Sender) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            source.readable().await?;
            let (allowed, over) = match self.take(source, &mut chunk) {
                Ok((0, false)) => return Ok(()),
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            if over {
                let _ended_already = self.hit.send(LimitHit::Output);
            }
            sink.write_all(&chunk[..allowed]).await?;
            if over {
                return Ok(());
            }
        }
    }

    /// Reads and subtracts in one step: how much of it is allowed, and whether there was more. Nothing at all is the end.
    fn take(&self, source: &pipe::Receiver, chunk: &mut [u8]) -> io::Result<(usize, bool)> {
        let mut state = self.lock();
        let count = source.try_read(chunk)?;
        let allowed = usize::try_from(state.left).unwrap_or(usize::MAX).min(count);
        state.left -= u64::try_from(allowed).unwrap_or_default();
        state.over |= allowed < count;
        Ok((allowed, allowed < count))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
