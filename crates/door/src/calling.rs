//! A call from its beginning on, so that starting a server counts as part of the call: it can be cancelled, and the
//! client is kept company meanwhile.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use cella_mcp::{Raw, RpcError};

use super::Shared;
use cella_transport::{AskKey, Call, Exchange, Service, Step};

/// A call that was asked of the service.
pub(super) enum Calling {
    /// The service has not begun.
    Starting(Pin<Box<dyn Future<Output = Exchange> + Send>>),
    Begun(Exchange),
    /// Put aside, or ended.
    Over,
}

impl Calling {
    pub(super) fn of<S: Service>(shared: &Arc<Shared<S>>, call: Call) -> Self {
        let service = shared.service.clone();
        Self::Starting(Box::pin(async move { service.call(call).await }))
    }

    /// The next step; never when there is no call. Cancel safe.
    pub(super) async fn next(&mut self) -> Step {
        if let Self::Starting(start) = self {
            let exchange = start.await;
            *self = Self::Begun(exchange);
        }
        match self {
            Self::Begun(exchange) => exchange.next().await,
            Self::Starting(_) | Self::Over => std::future::pending().await,
        }
    }

    pub(super) fn answer(&mut self, key: AskKey, outcome: Result<Raw, RpcError>) {
        if let Self::Begun(exchange) = self {
            exchange.answer(key, outcome);
        }
    }

    /// Takes the exchange out.
    pub(super) fn take(&mut self) -> Option<Exchange> {
        match std::mem::replace(self, Self::Over) {
            Self::Begun(exchange) => Some(exchange),
            Self::Starting(_) | Self::Over => None,
        }
    }
}

/// Polls a future once: what is ready at once needs no timer.
pub(super) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting(_) => "Calling(starting)",
            Self::Begun(_) => "Calling(begun)",
            Self::Over => "Calling(over)",
        })
    }
}
