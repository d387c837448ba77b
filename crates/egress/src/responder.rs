//! Answers a cell's DNS queries, over datagrams and streams.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::{
    broker::Tally,
    connection::Cell,
    denial::Denial,
    dns::{Reply, answer},
    limits::{ACCEPT_PAUSE, DNS_IDLE, QUERY_BYTES_MAX},
    rate::Rate,
    record::Subject,
};

/// What answering needs.
pub(crate) struct Responder {
    pub(crate) cell: Arc<Cell>,
    pub(crate) rate: Rate,
    /// Whether the cell's listeners can be reached over IPv6.
    pub(crate) v6: bool,
    pub(crate) tally: Arc<Tally>,
}

// === impl Responder ===

impl Responder {
    /// Answers datagrams until the broker ends.
    pub(crate) async fn datagrams(self: Arc<Self>, socket: UdpSocket) {
        // one byte more than the longest query, so that a longer one is seen to be longer
        let mut message = [0; QUERY_BYTES_MAX + 1];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut message).await else {
                // an error of an earlier answer, reported late; there is nothing to do about it, but not in a busy loop
                tokio::time::sleep(ACCEPT_PAUSE.0).await;
                continue;
            };
            if let Some(reply) = self.reply(&message[..length])
                && let Err(error) = socket.try_send_to(&reply, from)
            {
                tracing::debug!(%error, "a DNS answer was not sent");
            }
        }
    }

    /// Answers the queries of one stream, each after its length (RFC 1035, 4.2.2).
    pub(crate) async fn stream(&self, mut stream: TcpStream) {
        let mut message = [0; QUERY_BYTES_MAX];
        loop {
            let read = async {
                let length = usize::from(stream.read_u16().await.ok()?);
                let message = message.get_mut(..length)?;
                stream.read_exact(message).await.ok()?;
                Some(length)
            };
            let Ok(Some(length)) = timeout(DNS_IDLE, read).await else { return };
            let Some(reply) = self.reply(&message[..length]) else { return };
            let size = u16::try_from(reply.len()).unwrap_or_default();
            let framed = [&size.to_be_bytes()[..], &reply].concat();
            if !timeout(DNS_IDLE, stream.write_all(&framed)).await.is_ok_and(|sent| sent.is_ok()) {
                return;
            }
        }
    }

    fn reply(&self, message: &[u8]) -> Option<Vec<u8>> {
        if !self.rate.take(Instant::now()) {
            let denial = Denial::QueryRate { most: self.rate.most() };
            self.cell.recorder.denied(Subject::default(), denial);
            return None;
        }
        let answered = {
            let mut names = self.cell.names.lock().unwrap_or_else(PoisonError::into_inner);
            answer(message, &self.cell.policy, &mut names, self.v6)
        };
        let Ok(Reply { bytes, denial }) = answered else {
            self.tally.unreadable_queries.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if let Some((name, denial)) = denial {
            self.cell.recorder.denied(Subject { name, ..Subject::default() }, denial);
        }
        Some(bytes)
    }
}
