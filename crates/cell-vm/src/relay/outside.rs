//! The host's end: makes each connection of the guest again, where the node's broker listens.

use std::{io, net::SocketAddr, os::fd::OwnedFd};

use cella_cell::SocketOrder;
use tokio::{
    net::{TcpSocket, TcpStream, UdpSocket, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::mux::{Mux, News};

/// What the guest says and nobody has done yet. Stops a guest that talks faster than connections are made; past it
/// connections are reset, and attempts in vain go unseen.
const NEWS_WAITING: usize = 256;
/// No port of the program's: the driver that makes sockets keeps none of the broker's ports from it.
const NO_PORT: u16 = 0;

/// Until the machine's port closes, or the guest breaks the rules.
pub(crate) async fn serve(port: UnixStream, sockets: mpsc::Sender<SocketOrder>) {
    let (reader, writer) = port.into_split();
    let (tell, mut news) = mpsc::channel(NEWS_WAITING);
    let (_mux, life) = Mux::over(reader, writer, tell);
    let mut at_work = JoinSet::new();
    let works = async {
        loop {
            tokio::select! {
                Some(news) = news.recv() => drop(at_work.spawn(done(news, sockets.clone()))),
                Some(_ended) = at_work.join_next() => {}
                else => return,
            }
        }
    };
    tokio::select! {
        ended = life => tracing::debug!(?ended, "the relay of a guest has ended"),
        () = works => {}
    }
}

async fn done(news: News, sockets: mpsc::Sender<SocketOrder>) {
    match news {
        News::Open(to, carried) => match connected(&sockets, to).await {
            Ok(stream) => carried.carry(stream).await,
            Err(_refused) => carried.reset().await,
        },
        // The namespace refuses it as the guest's did, and the broker's audit sees it.
        News::Tried { datagram: false, to } => drop(connected(&sockets, to).await),
        News::Tried { datagram: true, to } => drop(sent(&sockets, to).await),
    }
}

async fn connected(sockets: &mpsc::Sender<SocketOrder>, to: SocketAddr) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(socket(sockets, to, false).await?.into()).connect(to).await
}

async fn sent(sockets: &mpsc::Sender<SocketOrder>, to: SocketAddr) -> io::Result<usize> {
    UdpSocket::from_std(socket(sockets, to, true).await?.into())?.send_to(&[0], to).await
}

async fn socket(sockets: &mpsc::Sender<SocketOrder>, to: SocketAddr, datagrams: bool) -> io::Result<OwnedFd> {
    let gone = || io::Error::from(io::ErrorKind::NotConnected);
    let (reply, made) = oneshot::channel();
    let order = SocketOrder { port: NO_PORT, v6: to.is_ipv6(), datagrams, reply };
    sockets.send(order).await.map_err(|_| gone())?;
    made.await.map_err(|_| gone())?
}
