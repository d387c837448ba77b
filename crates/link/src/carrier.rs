//! The two ways to carry calls, as one.

use std::{sync::Arc, time::Duration};

use cella_mcp::{Raw, modern, modern::ListenFilter};
use tokio::sync::{oneshot, watch};

use super::{
    LinkOptions, channel::Channel, error, events::Events, http::HttpLink, interests::Interests, tally::Tally,
    terms::Terms,
};
use cella_transport::{Call, Exchange, Failure};

/// Carries calls to one server.
#[derive(Clone, Debug)]
pub(super) enum Carrier {
    /// All calls share one pair of streams.
    Channel(Arc<Channel>),
    /// Each call has a POST.
    Http(Arc<HttpLink>),
}

impl Carrier {
    pub(super) async fn call(&self, call: &Call) -> Exchange {
        match self {
            Self::Channel(channel) => channel.call(call).await,
            Self::Http(link) => link.call(call).await,
        }
    }

    /// Sends a request of Cella's own.
    pub(super) async fn request(
        &self,
        method: &str,
        params: Option<Raw>,
        interests: &Interests,
        within: Duration,
    ) -> Result<Raw, Failure> {
        match self {
            Self::Http(link) => link.request(method, params, within).await,
            Self::Channel(channel) => {
                let params = self.own_params(params, interests);
                channel.request(method, params, within).await
            }
        }
    }

    /// Listens for changes until the subscription ends. Changes go to the events; dropped, the server is told.
    pub(super) async fn listen(
        &self,
        filter: &ListenFilter,
        interests: &Interests,
        acknowledged: oneshot::Sender<ListenFilter>,
    ) -> Result<Raw, Failure> {
        let params = self.own_params(Some(modern::listen_params(filter)), interests);
        match (self, params) {
            (Self::Channel(channel), Some(params)) => channel.listen(params, acknowledged).await,
            (Self::Http(link), params) => link.listen(params, acknowledged).await,
            (_, None) => Err(Failure::Fault(error::cancelled())),
        }
    }

    /// What was agreed; `None` before the opening.
    pub(super) fn terms(&self) -> Option<Terms> {
        match self {
            Self::Channel(channel) => channel.terms().cloned(),
            Self::Http(link) => link.terms().map(|t| t.terms.clone()),
        }
    }

    /// Tells when the terms change, where they can.
    pub(super) fn generation(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Self::Channel(_) => None,
            Self::Http(link) => Some(link.generation.subscribe()),
        }
    }

    pub(super) fn events(&self) -> &Events {
        match self {
            Self::Channel(channel) => &channel.events,
            Self::Http(link) => &link.events,
        }
    }

    pub(super) fn options(&self) -> &LinkOptions {
        match self {
            Self::Channel(channel) => &channel.options,
            Self::Http(link) => &link.options,
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        match self {
            Self::Channel(channel) => &channel.tally,
            Self::Http(link) => &link.tally,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Channel(channel) => channel.close().await,
            Self::Http(link) => link.close().await,
        }
    }

    /// Params of Cella's own requests in the server's era.
    fn own_params(&self, params: Option<Raw>, interests: &Interests) -> Option<Raw> {
        let Some(terms) = self.terms().filter(|terms| terms.era() == cella_mcp::Era::Modern) else {
            return params;
        };
        let cella = &interests.cella;
        Some(modern::with_request_meta(
            params.as_deref(),
            terms.revision,
            &cella.capabilities,
            cella.info.as_deref(),
            None,
        ))
    }
}
