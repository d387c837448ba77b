//! Hears of changes for as long as the link lives: one subscription at a time, made again when it ends.

use std::{pin::Pin, sync::Arc};

use cella_mcp::{Era, Raw, codes, modern::ListenFilter};
use tokio::sync::{oneshot, watch};

use super::{backoff::Backoff, carrier::Carrier, events::Lists, http::keep_stream, interests::Interests};
use cella_transport::Failure;

/// Runs until the link is closed. `ready` fires when the first subscription stands, or there is none.
pub(super) async fn keep(carrier: Carrier, interests: Arc<Interests>, ready: oneshot::Sender<()>) {
    let mut ready = Some(ready);
    let Some(mut generation) = carrier.generation() else {
        return hear(&carrier, &interests, &mut ready).await;
    };
    loop {
        generation.mark_unchanged();
        tokio::select! {
            () = hear(&carrier, &interests, &mut ready) => {
                // Nothing can be heard under these terms. Others may come.
                ready = None;
                if generation.changed().await.is_err() {
                    return;
                }
            }
            changed = generation.changed() => if changed.is_err() { return },
        }
    }
}

/// Hears of changes under the present terms; returns when the server tells of none.
async fn hear(carrier: &Carrier, interests: &Interests, ready: &mut Option<oneshot::Sender<()>>) {
    let Some(terms) = carrier.terms() else { return };
    match (terms.era(), carrier) {
        (Era::Modern, _) => listen(carrier, interests, ready).await,
        (Era::Legacy, Carrier::Http(link)) => keep_stream(link, ready).await,
        // On a channel everything comes without asking.
        (Era::Legacy, Carrier::Channel(_)) => {}
    }
}

type Subscription<'a> = Pin<Box<dyn Future<Output = Result<Raw, Failure>> + Send + 'a>>;

async fn listen(carrier: &Carrier, interests: &Interests, ready: &mut Option<oneshot::Sender<()>>) {
    let mut backoff = Backoff::default();
    let mut changes = interests.changes();
    let mut gap = false;
    while let Some(terms) = carrier.terms() {
        changes.mark_unchanged();
        let filter = interests.filter(&terms);
        if filter.is_empty() {
            drop(ready.take());
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let ended = match subscribe(carrier, interests, &filter).await {
            Ok(subscription) => {
                if std::mem::take(&mut gap) {
                    report_gap(carrier, &filter);
                }
                drop(ready.take());
                backoff.reset();
                follow(carrier, interests, subscription, &mut changes).await
            }
            Err(failure) => Err(failure),
        };
        drop(ready.take());
        if let Err(Failure::Peer(error)) = &ended
            && error.code == codes::METHOD_NOT_FOUND
        {
            return;
        }
        gap = true;
        backoff.wait().await;
    }
}

/// Makes a subscription and waits until the server has acknowledged it.
async fn subscribe<'a>(
    carrier: &'a Carrier,
    interests: &'a Interests,
    filter: &ListenFilter,
) -> Result<Subscription<'a>, Failure> {
    let (acknowledged, granted) = oneshot::channel();
    let filter = filter.clone();
    let mut subscription: Subscription<'a> =
        Box::pin(async move { carrier.listen(&filter, interests, acknowledged).await });
    tokio::select! {
        biased;
        granted = granted => match granted {
            Ok(_) => Ok(subscription),
            Err(_) => Err(subscription.await.err().unwrap_or_else(|| Failure::Fault(super::error::cancelled()))),
        },
        ended = &mut subscription => match ended {
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::Fault(super::error::crashed("it ended the subscription at once", false))),
        },
    }
}

/// Stays with a subscription until it ends; when other resources are watched it is replaced without a gap.
async fn follow<'a>(
    carrier: &'a Carrier,
    interests: &'a Interests,
    mut subscription: Subscription<'a>,
    changes: &mut watch::Receiver<u64>,
) -> Result<Raw, Failure> {
    loop {
        tokio::select! {
            ended = &mut subscription => return ended,
            changed = changes.changed() => {
                let Some(terms) = carrier.terms().filter(|_| changed.is_ok()) else { return subscription.await };
                let filter = interests.filter(&terms);
                tokio::select! {
                    ended = &mut subscription => return ended,
                    next = subscribe(carrier, interests, &filter) => subscription = next?,
                }
            }
        }
    }
}

/// Whatever was subscribed to may have changed while nobody heard.
fn report_gap(carrier: &Carrier, filter: &ListenFilter) {
    let events = carrier.events();
    events.changed(Lists { tools: filter.tools, prompts: filter.prompts, resources: filter.resources });
    for uri in &filter.uris {
        events.updated(uri, None);
    }
}
