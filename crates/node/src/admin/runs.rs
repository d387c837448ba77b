//! Runs through the admin door.

use std::{
    future::ready,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use cella_agency::{ApiError, Crew, Ear, Heard, follow};
use cella_event::RunId;
use cella_kernel::Status;
use cella_model::Delta;
use cella_pursuit::Runs;
use futures_util::{Stream, StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};

use super::{Admin, Body, error, json_body, log::streamed, nothing_here};

impl Admin {
    /// Answers `/api/v1/runs` and what is below.
    pub(super) async fn run(&self, request: &Request<Bytes>, path: &str, principal: &str) -> Response<Body> {
        let path = path.trim_start_matches('/');
        if let (&Method::GET, Some(run)) = (request.method(), path.strip_suffix("/follow")) {
            let with_text = request.uri().query() == Some("text=1");
            return match self.watched(run, with_text, principal).await {
                Ok(body) => streamed(body),
                Err(refused) => refusal(&refused),
            };
        }
        let post = request.method() == Method::POST;
        if !post && request.method() != Method::GET {
            return nothing_here();
        }
        match self.runs.answer(post, path, request.body(), principal).await {
            Ok(Some(value)) => json_body(StatusCode::OK, &value),
            Ok(None) => nothing_here(),
            Err(refused) => refusal(&refused),
        }
    }

    async fn watched(&self, run: &str, with_text: bool, principal: &str) -> Result<Body, ApiError> {
        let run = self.runs.named(run).await?;
        self.runs.may_see(&run, principal).await?;
        let ear = with_text.then(|| self.runs.crew().ears().listen(&run));
        let facts = follow(&self.ledger, run.clone()).await?;
        let (mut draining, runs) = (self.draining.clone(), self.runs.runs().clone());
        let broken = Arc::new(OnceLock::new());
        let told = Arc::clone(&broken);
        // Who watches has no call that a drain should wait for; and of a run that broke off nothing more comes.
        let until = async move {
            tokio::select! {
                _begun_or_over = draining.wait_for(|begun| *begun) => {}
                why = broke_off(&runs, &run) => drop(told.set(why)),
            }
        };
        let last = stream::once(async move { broken.get().map(|why: &String| json!({ "broken": why })) });
        let facts = facts.take_until(Box::pin(until)).chain(last.filter_map(ready));
        let lines = beside(facts, ear);
        let lines = lines.map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))));
        Ok(StreamBody::new(lines).boxed_unsync())
    }
}

/// Facts, and between them what a model says while it says it (`{"text": ...}`), which is not on record yet. Ends with the facts.
fn beside(
    facts: impl Stream<Item = Value> + Send + 'static,
    ear: Option<Ear>,
) -> impl Stream<Item = Value> + Send + 'static {
    stream::unfold((Box::pin(facts), ear), |(mut facts, mut ear)| async move {
        loop {
            let heard = async {
                match &mut ear {
                    Some(ear) => ear.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                fact = facts.next() => return Some((fact?, (facts, ear))),
                heard = heard => if let Heard::Delta(Delta::Text(text)) = heard {
                    return Some((json!({ "text": text }), (facts, ear)));
                },
            }
        }
    })
}

/// Completes when the pursuit of a run has broken off, and says why. Never, where it comes to its end.
async fn broke_off(runs: &Runs<Crew>, run: &RunId) -> String {
    match runs.finished(run).await {
        Some(Err(broken)) => return broken.to_string(),
        // It broke off before anybody watched.
        None if runs
            .show(run)
            .await
            .is_ok_and(|known| !known.active && known.state.status() == Status::Running) =>
        {
            return "nobody pursues this run".to_owned();
        }
        _ => {}
    }
    std::future::pending().await
}

fn refusal(refused: &ApiError) -> Response<Body> {
    let status = match refused {
        ApiError::NotAllowed(_) => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    error(status, &refused.code(), &refused.to_string(), &refused.fix())
}
