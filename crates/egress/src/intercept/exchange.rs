//! One request and its answer.

use std::sync::Arc;

use cella_secret::{Use, Violation};
use http::{Method, Request, Response, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    Passage, answer,
    refusal::refusal,
    request::{self, Prepared},
    upstream::{Body, Upstream},
};
use crate::{denial::Denial, limits::DRAINED, record::Verdict};

/// Longest part of a path that is recorded, in characters. Threat: a request that fills the ledger. Past it: cut off.
const PATH_CHARS_MAX: usize = 200;

/// Why an exchange stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is refused.
    Denied(Denial),
    /// It was refused before, and that is on record.
    Known(Denial),
    /// The server or the connection to it failed.
    Failed(hyper::Error),
}

/// Carries a request; whatever happens there is an answer.
pub(super) async fn exchange(request: Request<Incoming>, passage: &Arc<Passage>) -> Response<Body> {
    let version = request.version();
    let (parts, body) = request.into_parts();
    let mut body = Some(body);
    let stop = match carried(parts, &mut body, passage).await {
        Ok(answer) => return answer,
        Err(stop) => stop,
    };
    if let Stop::Denied(denial) = &stop {
        passage.cell.recorder.denied(passage.subject.clone(), denial.clone());
    }
    if let Some(body) = body {
        let _gone = timeout(DRAINED.1, Limited::new(body, DRAINED.0).collect()).await;
    }
    // Whoever sent one such request gets no other answered here.
    passage.stop.notify_one();
    refusal(&stop, version)
}

async fn carried(
    parts: Parts,
    body: &mut Option<Incoming>,
    passage: &Arc<Passage>,
) -> Result<Response<Body>, Stop> {
    if let Upstream::Refused(denial) = &passage.upstream {
        return Err(Stop::Known(denial.clone()));
    }
    let authority = request::screened(&parts, &passage.name, passage.port)?;
    let material = passage.material().await?;
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let Prepared { request, uses, verdict } =
        request::prepared((parts, body), authority, &material, passage).await?;
    recorded(uses, &method, &path, passage).await?;
    let answered = passage.upstream.send(request).await;
    let response = answered.map_err(|error| match verdict.get() {
        Some(denial) => Stop::Known(denial),
        None => Stop::Failed(error),
    })?;
    if let Some(denial) = verdict.get() {
        // a server that was cut off in the middle may say something to that
        return Err(Stop::Known(denial));
    }
    Ok(answer::scrubbed(response, &method, &material, passage)?)
}

/// Puts each use on record before the request goes out.
async fn recorded(mut uses: Vec<Use>, method: &Method, path: &str, passage: &Passage) -> Result<(), Denial> {
    uses.dedup();
    let path: String = path.chars().take(PATH_CHARS_MAX).collect();
    for Use { secret, place } in uses {
        let (connection, method, path) = (passage.connection, method.to_string(), path.clone());
        let verdict = Verdict::Used { connection, secret, place, method, path };
        passage.cell.recorder.note(&passage.subject, verdict, passage.cell.limits.dial_time).await?;
    }
    Ok(())
}

// === impl Stop ===

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Denied(Denial::Secret(violation))
    }
}
