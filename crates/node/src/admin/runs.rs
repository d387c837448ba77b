//! Runs through the admin door.

use bytes::Bytes;
use cella_agency::{ApiError, follow};
use futures_util::StreamExt as _;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::{Admin, Body, error, json_body, log::streamed, nothing_here};

impl Admin {
    /// Answers `/api/v1/runs` and what is below.
    pub(super) async fn run(&self, request: &Request<Bytes>, path: &str, principal: &str) -> Response<Body> {
        let path = path.trim_start_matches('/');
        if let (&Method::GET, Some(run)) = (request.method(), path.strip_suffix("/follow")) {
            return match self.watched(run).await {
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

    async fn watched(&self, run: &str) -> Result<Body, ApiError> {
        let run = self.runs.named(run).await?;
        let facts = follow(&self.ledger, run).await?;
        let mut draining = self.draining.clone();
        // Who watches has no call that a drain should wait for.
        let until = async move {
            let _begun_or_over = draining.wait_for(|begun| *begun).await;
        };
        let lines =
            facts.take_until(Box::pin(until)).map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))));
        Ok(StreamBody::new(lines).boxed_unsync())
    }
}

fn refusal(refused: &ApiError) -> Response<Body> {
    error(StatusCode::BAD_REQUEST, &refused.code(), &refused.to_string(), &refused.fix())
}
