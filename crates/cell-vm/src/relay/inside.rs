//! The guest's end: accepts whatever the program connects to, and tells what it tried in vain.
//!
//! It is this very binary, run by the guest's init as `root` of the guest, before the program and outside of its root.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    net::SocketAddr,
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    time::Duration,
};

use cella_cell::{NAMESERVER, NetworkEnds};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, mpsc},
};

use super::{
    mux::{Mux, News, Side},
    seen,
};

/// First argument that turns the node's own binary into the relay of a guest. Hidden from its help.
pub(crate) const GUEST_ARG: &str = "__guest";
/// What it says when it listens.
pub(crate) const READY: &str = "ready";
/// Longest query and answer by datagram, in bytes; a longer query is none.
const DATAGRAM_BYTES: usize = 1232;
/// Queries that are being answered at the same time. Stops a flood from filling the guest's memory; past it there is no answer.
const QUERIES_MAX: usize = 64;
/// How long an answer is waited for. The program's resolver asks again after two seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Connections of the node to the program that wait to be made.
const NEWS_WAITING: usize = 64;
/// Port of names.
const DNS_PORT: u16 = 53;

/// Becomes the relay of a guest and never returns, if this process was started as one; returns at once otherwise. One of
/// the first statements of `main`, beside [`cella_cell::launcher_main`].
pub fn guest_main() {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|first| first != GUEST_ARG) {
        return;
    }
    let said = match run(words) {
        Ok(()) => "the machine's port has closed\n".to_owned(),
        Err(error) => format!("{error}\n"),
    };
    let _nobody_reads = io::stdout().write_all(said.as_bytes());
    std::process::exit(1);
}

/// The device of the port, then the TCP ports that are served.
fn run(mut words: impl Iterator<Item = OsString>) -> io::Result<()> {
    let device = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    let ports = words.map(|word| word.to_str().and_then(|word| word.parse().ok()));
    let ports: Vec<u16> = ports.collect::<Option<_>>().ok_or(io::ErrorKind::InvalidInput)?;
    let ends = cella_cell::make_local(&ports)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(relay(Path::new(&device), ends));
    // A thread may wait for the port for ever.
    runtime.shutdown_background();
    ended
}

async fn relay(device: &Path, ends: NetworkEnds) -> io::Result<()> {
    // A port can be opened only once. It is read and written by threads that wait for it, not by the runtime's own poll, which
    // takes a short read for an empty source: a port gives one page at a time, and tells only of what comes after it was empty.
    let port = fs::OpenOptions::new().read(true).write(true).open(device)?;
    let (reader, writer) = (File::from_std(port.try_clone()?), File::from_std(port));
    let (tell, news) = mpsc::channel(NEWS_WAITING);
    let (mux, life) = Mux::over(Side::Inside, reader, writer, tell);
    tokio::spawn(publish(news));
    let listeners = ends.tcp.into_iter().map(|(_, listener)| listener).chain(ends.dns_tcp);
    for listener in listeners {
        tokio::spawn(accept(TcpListener::from_std(listener)?, mux.clone()));
    }
    for socket in ends.dns_udp {
        tokio::spawn(answer(Arc::new(UdpSocket::from_std(socket)?)));
    }
    if let Some(socket) = ends.audit {
        tokio::spawn(watch(socket, mux)?);
    }
    io::stdout().write_all(format!("{READY}\n").as_bytes())?;
    life.await
}

/// Every connection's own address is the one that was asked for.
async fn accept(listener: TcpListener, mux: Mux) {
    loop {
        let accepted = listener.accept().await.and_then(|(socket, _)| Ok((socket.local_addr()?, socket)));
        let Ok((wanted, socket)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match mux.open(wanted).await {
            Some(carried) => drop(tokio::spawn(carried.carry(socket))),
            None => drop(socket.set_zero_linger()),
        }
    }
}

/// Makes the node's connections to what the program serves.
async fn publish(mut news: mpsc::Receiver<News>) {
    while let Some(news) = news.recv().await {
        let News::Open(to, carried) = news else { continue };
        tokio::spawn(async move {
            match TcpStream::connect(to).await {
                Ok(socket) => {
                    carried.take().await;
                    carried.carry(socket).await;
                }
                Err(_refused) => carried.reset().await,
            }
        });
    }
}

/// Asks each question over a connection of its own, which is relayed like any other.
async fn answer(socket: Arc<UdpSocket>) {
    let places = Arc::new(Semaphore::new(QUERIES_MAX));
    let mut query = [0; DATAGRAM_BYTES];
    loop {
        let Ok((length, whom)) = socket.recv_from(&mut query).await else { continue };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (query, socket) = (query[..length].to_vec(), Arc::clone(&socket));
        tokio::spawn(async move {
            if let Ok(Ok(reply)) = tokio::time::timeout(ANSWER_TIMEOUT, asked(&query)).await {
                let _nobody_waits = socket.send_to(&reply, whom).await;
            }
            drop(place);
        });
    }
}

/// Over a stream a message comes after its length (RFC 1035, 4.2.2).
async fn asked(query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(SocketAddr::from((NAMESERVER, DNS_PORT))).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut reply = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// Tells what is tried in vain, as the broker's own audit would see it in a cell of class `process`.
fn watch(socket: OwnedFd, mux: Mux) -> io::Result<impl Future<Output = ()>> {
    // The type says datagrams and not UDP: nothing but waiting and receiving is done with it.
    let socket = std::net::UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    Ok(async move {
        loop {
            let mut packet = [0; seen::PACKET_BYTES];
            let Ok(length) = socket.recv(&mut packet).await else { continue };
            if let Some((datagram, to)) = seen::attempt(&packet[..length]) {
                mux.tried(datagram, to);
            }
        }
    })
}
