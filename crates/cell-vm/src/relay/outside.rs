//! The host's end: makes each connection of the guest again, where the node's broker listens.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    time::Duration,
};

use cella_cell::SocketOrder;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::mux::{Carried, Mux, News, STREAMS_MAX, Side};

/// What the guest says and nobody has done yet. Stops a guest that talks faster than connections are made; past it
/// connections are reset, and attempts in vain go unseen.
const NEWS_WAITING: usize = 256;
/// No port of the program's: the driver that makes sockets keeps none of the broker's ports from it.
const NO_PORT: u16 = 0;

/// What is done at once: every connection there may be, and some attempts in vain. Each has one descriptor of the node.
const WORK_MAX: usize = STREAMS_MAX + 16;
/// Sockets of the cell that were asked for and are not made yet. Past it whoever asks waits.
const ORDERS_WAITING: usize = 16;
/// How long the program is waited for to take a connection, and whoever asked for its socket to connect that. Stops one that
/// never does from holding up the next; past it whoever asked has an error.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Until the machine's port closes, or the guest breaks the rules. `sockets` gives sockets of the namespace in which the broker
/// listens, at `brokered`; what is returned, sockets that reach what the program serves.
pub(crate) fn serve(
    port: UnixStream,
    sockets: mpsc::Sender<SocketOrder>,
    brokered: Vec<u16>,
) -> mpsc::Sender<SocketOrder> {
    let (orders, ordered) = mpsc::channel(ORDERS_WAITING);
    tokio::spawn(relay(port, sockets, brokered, ordered));
    orders
}

async fn relay(
    port: UnixStream,
    sockets: mpsc::Sender<SocketOrder>,
    brokered: Vec<u16>,
    mut ordered: mpsc::Receiver<SocketOrder>,
) {
    let (reader, writer) = port.into_split();
    let (tell, mut news) = mpsc::channel(NEWS_WAITING);
    let (mux, life) = Mux::over(Side::Outside, reader, writer, tell);
    let publishes = async {
        // What is carried ends with the relay.
        let mut published = JoinSet::new();
        // One after the other: each needs the port of the namespace for a moment.
        while let Some(order) = ordered.recv().await {
            while published.try_join_next().is_some() {}
            if let Some((carried, socket)) = publish(order, &mux, &sockets, &brokered).await {
                published.spawn(carried.carry(socket));
            }
        }
        std::future::pending().await
    };
    let mut at_work = JoinSet::new();
    let works = async {
        loop {
            tokio::select! {
                Some(news) = news.recv(), if at_work.len() < WORK_MAX => drop(at_work.spawn(done(news, sockets.clone()))),
                Some(_ended) = at_work.join_next() => {}
                else => return,
            }
        }
    };
    tokio::select! {
        ended = life => tracing::debug!(?ended, "the relay of a guest has ended"),
        () = works => {}
        () = publishes => {}
    }
}

/// Gives whoever asked a socket that, when he connects it, is a connection to the program's port in the guest. That the program
/// does not listen is known before.
async fn publish(
    order: SocketOrder,
    mux: &Mux,
    sockets: &mpsc::Sender<SocketOrder>,
    brokered: &[u16],
) -> Option<(Carried, TcpStream)> {
    let ip = if order.v6 { IpAddr::from(Ipv6Addr::LOCALHOST) } else { Ipv4Addr::LOCALHOST.into() };
    let to = SocketAddr::new(ip, order.port);
    let made = if brokered.contains(&order.port) {
        Err(io::ErrorKind::AddrInUse.into())
    } else {
        reached(mux, sockets, to).await
    };
    match made {
        Err(refused) => {
            let _nobody_waits = order.reply.send(Err(refused));
            None
        }
        Ok((socket, listener, carried)) => {
            let _nobody_waits = order.reply.send(Ok(socket));
            match timeout(CONNECT_TIMEOUT, listener.accept()).await {
                Ok(Ok((stream, _))) => Some((carried, stream)),
                _ => {
                    carried.reset().await;
                    None
                }
            }
        }
    }
}

async fn reached(
    mux: &Mux,
    sockets: &mpsc::Sender<SocketOrder>,
    to: SocketAddr,
) -> io::Result<(OwnedFd, TcpListener, Carried)> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let opened = timeout(CONNECT_TIMEOUT, mux.open(to)).await.map_err(late)?;
    let mut carried = opened.ok_or(io::ErrorKind::NotConnected)?;
    let offered = timeout(CONNECT_TIMEOUT, offered(&mut carried, sockets, to)).await;
    match offered.map_err(late).flatten() {
        Ok((socket, listener)) => Ok((socket, listener, carried)),
        Err(error) => {
            carried.reset().await;
            Err(error)
        }
    }
}

/// A socket to be connected, and the listener that it will find.
async fn offered(
    carried: &mut Carried,
    sockets: &mpsc::Sender<SocketOrder>,
    to: SocketAddr,
) -> io::Result<(OwnedFd, TcpListener)> {
    if !carried.is_taken().await {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let listener = TcpSocket::from_std_stream(socket(sockets, to, false).await?.into());
    listener.set_reuseaddr(true)?;
    listener.bind(to)?;
    Ok((socket(sockets, to, false).await?, listener.listen(1)?))
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

#[cfg(test)]
mod tests;
