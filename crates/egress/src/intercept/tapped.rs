//! The cell's side of a connection: counted, watched and limited as one that only passes.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{carry::Activity, connection::Cell, denial::Denial, record::Meter};

/// A stream whose first bytes were read already.
pub(super) struct Tapped {
    stream: TcpStream,
    said: Vec<u8>,
    at: usize,
    meter: Arc<Meter>,
    activity: Arc<Activity>,
    cell: Arc<Cell>,
    over: Arc<Mutex<Option<Denial>>>,
}

// === impl Tapped ===

impl Tapped {
    pub(super) fn new(
        stream: TcpStream,
        said: Vec<u8>,
        (meter, activity, cell): (Arc<Meter>, Arc<Activity>, Arc<Cell>),
    ) -> Self {
        Self { stream, said, at: 0, meter, activity, cell, over: Arc::default() }
    }

    /// Why it was broken off, if a limit did that.
    pub(super) fn over(&self) -> Arc<Mutex<Option<Denial>>> {
        self.over.clone()
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        self.meter.up.fetch_add(bytes as u64, Ordering::Relaxed);
        self.activity.note();
        self.cell.allowance.spend(bytes as u64).map_err(|denial| {
            let error = io::Error::other(denial.to_string());
            *self.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(denial);
            error
        })
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.said.len() - self.at;
        if rest > 0 {
            let count = rest.min(buf.remaining());
            buf.put_slice(&self.said[self.at..self.at + count]);
            self.at += count;
            if self.at == self.said.len() {
                (self.said, self.at) = (Vec::new(), 0);
            }
            return Poll::Ready(self.count(count));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.count(buf.filled().len() - before))
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.meter.down.fetch_add(count as u64, Ordering::Relaxed);
        self.activity.note();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
