//! Which models a provider has.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cella_dialogue::Failure;
use http_body_util::Full;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    Provider,
    ask::{exchange, headed, unaskable, whole},
    failure::{failure, of_response},
    wire::malformed,
};

/// Longest list, in bytes. Stops a provider that never ends one from filling memory.
const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The names of a provider's models, in its order: `GET /v1/models` of both protocols.
///
/// # Errors
/// A failure as of any request; `wait` is for all of it.
pub async fn models(provider: &Provider, wait: Duration) -> Result<Vec<String>, Failure> {
    let late = || {
        let seconds = wait.as_secs();
        failure(cella_dialogue::FailureClass::Stalled, format!("no list within {seconds} s"))
    };
    timeout(wait, listed(provider)).await.map_err(|_| late())?
}

async fn listed(provider: &Provider) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let request = headed(provider, http::Method::GET, "/models", &[])?;
    let request =
        request.body(Full::new(Bytes::new())).map_err(|fault| unaskable(provider, &fault.to_string()))?;
    let (parts, mut body) = exchange(provider, request).await?.into_parts();
    let mut bytes = Vec::new();
    whole(&mut body, &mut bytes, LIST_BYTES_MAX).await?;
    if !parts.status.is_success() {
        return Err(of_response(parts.status.as_u16(), &parts.headers, &bytes, SystemTime::now()));
    }
    let list: List =
        serde_json::from_slice(&bytes).map_err(|fault| malformed(&format!("no list of models ({fault})")))?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}
