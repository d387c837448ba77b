//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper's connection is a future of its own. Here it is polled by the call that uses it instead of by a task: an
//! exchange of request and response wakes nobody else. An idle connection is polled by nobody, and looked at before
//! it is used again.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use crate::limits::HEADERS_BYTES_MAX;
use cella_transport::net::Socket;

/// How long a connection is reused when the server does not say: servers on Node and uvicorn close after 5 s without
/// telling, and a request that meets the close may or may not have been seen.
const IDLE_DEFAULT: Duration = Duration::from_secs(4);
/// How long a connection is reused at most, whatever the server says.
const IDLE_MAX: Duration = Duration::from_secs(55);

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Socket>, Full<Bytes>>,
    /// The driver has completed and must not be polled again.
    over: bool,
    /// True once a request was carried: only then can a failure be the server's closing of an idle connection.
    pub(super) reused: bool,
    keep: Duration,
    idle_until: Instant,
}

/// Why a request got no response.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The request, when not one byte of it was sent.
    pub(super) unsent: Option<Request<Full<Bytes>>>,
    pub(super) source: hyper::Error,
}

impl Connection {
    /// Starts HTTP on a connected stream.
    pub(super) async fn start(socket: Socket) -> Result<Self, hyper::Error> {
        // The number of header fields stays at hyper's 100: those fit on the stack.
        let handshake =
            http1::Builder::new().max_header_size(HEADERS_BYTES_MAX).handshake(TokioIo::new(socket));
        let (sender, driver) = handshake.await?;
        Ok(Self {
            sender,
            driver,
            over: false,
            reused: false,
            keep: IDLE_DEFAULT,
            idle_until: Instant::now(),
        })
    }

    /// Sends a request and waits for the response's head.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Broken> {
        if let Err(source) = self.ready().await {
            return Err(Broken { unsent: Some(request), source });
        }
        let mut response = pin!(self.sender.try_send_request(request));
        let outcome = drive(&mut self.driver, &mut self.over, |cx| response.as_mut().poll(cx)).await;
        self.reused = true;
        let response =
            outcome.map_err(|mut e| Broken { unsent: e.take_message(), source: e.into_error() })?;
        self.keep = keep_alive(response.headers());
        Ok(response)
    }

    /// Waits for the next frame of a response's body; `None` at its end. Cancel safe.
    pub(crate) async fn frame(&mut self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        drive(&mut self.driver, &mut self.over, |cx| Pin::new(&mut *body).poll_frame(cx)).await
    }

    /// True when another request can be sent at once. To be asked after a body has ended.
    pub(super) fn is_reusable(&mut self) -> bool {
        self.look();
        self.idle_until = Instant::now() + self.keep;
        !self.over && self.sender.is_ready()
    }

    /// True when an idle connection still stands, as far as one can tell.
    pub(super) fn is_alive(&mut self) -> bool {
        self.look();
        !self.over && !self.sender.is_closed() && Instant::now() < self.idle_until
    }

    /// When it should be closed if it stays idle.
    pub(super) const fn idle_until(&self) -> Instant {
        self.idle_until
    }

    async fn ready(&mut self) -> Result<(), hyper::Error> {
        let sender = &mut self.sender;
        drive(&mut self.driver, &mut self.over, |cx| sender.poll_ready(cx)).await
    }

    /// Lets the driver do what it can without waiting.
    fn look(&mut self) {
        if !self.over {
            let mut cx = Context::from_waker(Waker::noop());
            self.over = Pin::new(&mut self.driver).poll(&mut cx).is_ready();
        }
    }
}

/// Polls for something that needs the driver to go on.
async fn drive<T>(
    driver: &mut http1::Connection<TokioIo<Socket>, Full<Bytes>>,
    over: &mut bool,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> T {
    std::future::poll_fn(|cx| {
        if let ready @ Poll::Ready(_) = poll(cx) {
            return ready;
        }
        if !*over {
            // Errors reach the response or the body as well, where they have a reader.
            *over = Pin::new(&mut *driver).poll(cx).is_ready();
        }
        poll(cx)
    })
    .await
}

/// How long the server says that it keeps an idle connection (`Keep-Alive: timeout=5`), less a second for the way.
fn keep_alive(headers: &HeaderMap) -> Duration {
    let hint = headers.get("keep-alive").and_then(|value| value.to_str().ok());
    let seconds = hint.and_then(|hint| {
        hint.split(',').find_map(|part| part.trim().strip_prefix("timeout=")?.trim().parse::<u64>().ok())
    });
    seconds.map_or(IDLE_DEFAULT, |s| Duration::from_secs(s.saturating_sub(1)).min(IDLE_MAX))
}
