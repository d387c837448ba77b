//! One connection to a host with a secret: TLS ends here and begins anew towards the server, and every request and answer
//! is read and written in between.
//!
//! The server is asked first, with the protocols that the program proposed, and what it chooses the program gets. So both
//! sides speak the same, and one connection inside is one outside.

mod answer;
mod exchange;
mod refusal;
mod request;
mod tapped;
mod tasks;
mod upstream;

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use cella_contract::DomainName;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ServerConfig, server::Acceptor};
use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{interval, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::{
    exchange::exchange,
    tapped::Tapped,
    tasks::Tasks,
    upstream::{Upstream, With, connect},
};
use crate::{
    carry::Activity,
    connection::{Cell, dialled, reset},
    denial::Denial,
    limits::{HEAD_BYTES_MAX, HEADERS_MAX, STREAMS_MAX, VALUE_AGE_MAX, WINDOW_BYTES},
    policy::Vetted,
    record::{Account, Ending, Subject},
    secrets::{Armed, Material},
};

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Where a connection goes.
pub(crate) struct Destination {
    pub(crate) name: DomainName,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<Vetted>,
}

/// What both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http1,
    Http2,
}

/// What the exchanges of one connection share.
struct Passage {
    cell: Arc<Cell>,
    armed: Arc<Armed>,
    name: DomainName,
    port: u16,
    subject: Subject,
    connection: u64,
    upstream: Upstream,
    /// Values for the next request, for a while.
    held: Mutex<Option<Arc<Material>>>,
    /// Tells that no request is taken any more.
    stop: Arc<Notify>,
}

/// Carries a connection whose first bytes, `said`, are a TLS hello for the destination.
pub(crate) async fn intercept(
    client: TcpStream,
    said: Vec<u8>,
    to: Destination,
    subject: Subject,
    (cell, armed): (&Arc<Cell>, &Arc<Armed>),
) {
    let _ = client.set_nodelay(true);
    let protocols = match proposed(&said, &to.name) {
        Ok(protocols) => protocols,
        Err(denial) => {
            cell.recorder.denied(subject, denial);
            return reset(&client);
        }
    };
    let Destination { name, port, addresses } = to;
    let Some((server, account)) = dialled(addresses, &subject, cell).await else { return reset(&client) };
    let tasks = Tasks::default();
    let stop = Arc::<Notify>::default();
    let with =
        With { trust: &armed.secrets.trust, tasks: &tasks, stop: &stop, patience: cell.limits.dial_time };
    let asked = connect(server, &name, protocols.clone(), with);
    let (spoken, upstream) = match asked.await {
        Ok((spoken, upstream)) => (spoken, upstream),
        Err(denial) => {
            cell.recorder.denied(subject.clone(), denial.clone());
            // The program is told in words, in whatever it speaks.
            let first = protocols.first().is_some_and(|protocol| protocol == HTTP2);
            (if first { Spoken::Http2 } else { Spoken::Http1 }, Upstream::Refused(denial))
        }
    };
    let connection = account.connection();
    let (cell, armed, held) = (cell.clone(), armed.clone(), Mutex::default());
    let passage = Arc::new(Passage { cell, armed, name, port, subject, connection, upstream, held, stop });
    let alpn = if protocols.is_empty() { Vec::new() } else { vec![spoken.name().to_vec()] };
    let ending = served(client, said, alpn, &passage, (spoken, &account, &tasks)).await;
    if let Ending::Denied(denial) = &ending {
        passage.cell.recorder.denied(passage.subject.clone(), denial.clone());
    }
    account.end(ending);
}

/// Is the host towards the program, for as long as the connection lasts.
async fn served(
    client: TcpStream,
    said: Vec<u8>,
    alpn: Vec<Vec<u8>>,
    passage: &Arc<Passage>,
    (spoken, account, tasks): (Spoken, &Account, &Tasks),
) -> Ending {
    let limits = &passage.cell.limits;
    let activity = Arc::new(Activity::new());
    let tapped = Tapped::new(client, said, (account.meter.clone(), activity.clone(), passage.cell.clone()));
    let over = tapped.over();
    let config = match passage.armed.secrets.authority.server(&passage.name, SystemTime::now()) {
        Ok(config) => {
            let mut config = ServerConfig::clone(&config);
            config.alpn_protocols = alpn;
            config
        }
        Err(error) => {
            tracing::error!(%error, "a cell's authority failed");
            return Ending::Broken;
        }
    };
    let accepting = TlsAcceptor::from(Arc::new(config)).accept(tapped);
    let stream = match timeout(limits.opening_time, accepting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Ending::Denied(passage.distrusted(&error)),
        Err(_) => return Ending::Denied(Denial::OpeningLimit),
    };
    let serving = async {
        match spoken {
            Spoken::Http1 => http1(stream, passage).await,
            Spoken::Http2 => http2(stream, passage, tasks).await,
        }
    };
    let ended = tokio::select! {
        ended = serving => ended,
        () = passage.forget() => Ok(()),
        () = activity.quiet_for(limits.idle_time) => return Ending::Idle,
    };
    let denied = over.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (denied, ended) {
        (Some(denial), _) => Ending::Denied(denial),
        (None, Ok(())) => Ending::Finished,
        (None, Err(error)) => {
            tracing::debug!(%error, "a connection of a cell ended in the middle");
            Ending::Broken
        }
    }
}

async fn http1(stream: TlsStream<Tapped>, passage: &Arc<Passage>) -> hyper::Result<()> {
    let shared = passage.clone();
    let service = service_fn(move |request| {
        let passage = shared.clone();
        async move { Ok::<_, Infallible>(exchange(request, &passage).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // nobody but the cell itself waits, and not longer than an idle connection lasts
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    until_stopped(serving, &passage.stop, |serving| serving.graceful_shutdown()).await
}

async fn http2(stream: TlsStream<Tapped>, passage: &Arc<Passage>, tasks: &Tasks) -> hyper::Result<()> {
    let shared = passage.clone();
    let service = service_fn(move |request| {
        let passage = shared.clone();
        async move { Ok::<_, Infallible>(exchange(request, &passage).await) }
    });
    let head = u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX);
    let serving = http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .max_header_list_size(head)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1)
        .serve_connection(TokioIo::new(stream), service);
    until_stopped(serving, &passage.stop, |serving| serving.graceful_shutdown()).await
}

/// Serves until the end, or until the last answer after it was told to stop.
async fn until_stopped<S: Future>(serving: S, stop: &Notify, shut: impl Fn(Pin<&mut S>)) -> S::Output {
    tokio::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => return ended,
        () = stop.notified() => shut(serving.as_mut()),
    }
    serving.await
}

/// The protocols of a hello that are spoken here, in its order; none where it proposes none.
fn proposed(hello: &[u8], name: &DomainName) -> Result<Vec<Vec<u8>>, Denial> {
    let mut acceptor = Acceptor::default();
    let mut rest = hello;
    let accepted = loop {
        if rest.is_empty() || acceptor.read_tls(&mut rest).is_err() {
            return Err(Denial::Opening);
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => break accepted,
            Ok(None) => {}
            Err(_) => return Err(Denial::Opening),
        }
    };
    let Some(all) = accepted.client_hello().alpn() else { return Ok(Vec::new()) };
    let all: Vec<Vec<u8>> = all.map(<[u8]>::to_vec).collect();
    let known: Vec<_> = all.iter().filter(|p| [HTTP1, HTTP2].contains(&p.as_slice())).cloned().collect();
    if known.is_empty() {
        let got: Vec<_> = all.iter().take(4).map(|p| p.escape_ascii().to_string()).collect();
        return Err(Denial::Protocol { name: name.clone(), got: got.join(", ") });
    }
    Ok(known)
}

// === impl Spoken ===

impl Spoken {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => HTTP1,
            Self::Http2 => HTTP2,
        }
    }
}

// === impl Passage ===

impl Passage {
    /// Values for a request.
    async fn material(&self) -> Result<Arc<Material>, Denial> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(material) = held.filter(|material| material.is_fresh()) {
            return Ok(material);
        }
        let material = self.armed.material(&self.name).await?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(material.clone());
        Ok(material)
    }

    /// Lets go of values that no request used lately. Never returns.
    async fn forget(&self) {
        let mut ticks = interval(VALUE_AGE_MAX);
        loop {
            ticks.tick().await;
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.as_ref().is_some_and(|material| !material.is_fresh()) {
                *held = None;
            }
        }
    }

    /// Why a program broke the handshake off.
    fn distrusted(&self, error: &io::Error) -> Denial {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let cause = match inner {
            Some(rustls::Error::AlertReceived(alert)) => format!("it says {alert:?}"),
            _ => error.to_string(),
        };
        Denial::Distrusted { name: self.name.clone(), cause }
    }
}
