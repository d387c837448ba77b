//! The node that pursues a run: the running one, or one that is started for it and drained after it.

use serde_json::Value;

use crate::{
    args::{Global, Target},
    exit::Stop,
    target::{self, Reach},
};

/// A node for the length of a verb.
pub(super) struct Session {
    pub(super) reach: Reach,
    own: Option<cella_node::Running>,
}

impl Session {
    pub(super) async fn open(global: &Global, at: &Target) -> Result<Self, Stop> {
        if let Some(reach) = target::running(global, at)? {
            return Ok(Self { reach, own: None });
        }
        let places = target::places(global);
        if !places.config.is_file() {
            target::must_run(global, at)?;
        }
        let mut options = cella_node::Options::new(places);
        options.http = false;
        let running = cella_node::start(options).await?;
        Ok(Self { reach: Reach::Socket(running.socket().to_path_buf()), own: Some(running) })
    }

    /// True for a node that ends with this verb.
    pub(super) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Stop> {
        self.reach.post(&format!("/api/v1/runs{path}"), body).await
    }

    pub(super) async fn close(self) {
        if let Some(running) = self.own {
            running.drain().await;
        }
    }
}
