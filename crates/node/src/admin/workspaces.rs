//! Workspaces through the admin door: `POST ID/commit?force=1`, `POST ID/discard`. What reads them needs no node.

use http::{Response, StatusCode};
use serde_json::json;

use super::{Admin, Body, error, json_body, nothing_here};
use crate::StartError;

impl Admin {
    pub(super) async fn workspace(&self, order: &str, query: Option<&str>) -> Response<Body> {
        let done = match order.split_once('/') {
            Some((id, "commit")) => {
                let force = cella_history::number(query, "force") == Some(1);
                self.workspaces.commit(id, force).await.map(|(kept, done)| done.as_json(&kept))
            }
            Some((id, "discard")) => self.workspaces.discard(id).await.map(|kept| {
                json!({ "schema": "cella/v1", "workspace": kept.id, "delta": kept.digest.to_string() })
            }),
            _ => return nothing_here(),
        };
        match done {
            Ok(value) => json_body(StatusCode::OK, &value),
            Err(refused) => {
                let refused = StartError::from(refused);
                let fix = refused.fix().unwrap_or_default();
                error(StatusCode::CONFLICT, refused.code(), &refused.to_string(), &fix)
            }
        }
    }
}
