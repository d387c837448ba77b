//! A service that does nothing, behind the doors that are fuzzed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cella_door::{DoorOptions, limits::Limits};
use cella_mcp::{HeaderParams, Revision, RpcError, ServerFacts, raw_json};
use cella_transport::{
    Answer, Call, Caller, Exchange, Failure, Interest, Peer, Refusal, Scope, Service, Watch,
};
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};

pub struct Still;

pub fn options() -> DoorOptions {
    let limits = Limits {
        body: 64 * 1024,
        body_read: Duration::from_millis(50),
        linger: Duration::from_millis(50),
        ..Limits::default()
    };
    DoorOptions { hosts: Vec::new(), origins: Vec::new(), key: [7; 32], limits }
}

/// What takes longer hangs.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("it hangs")
}

impl Service for Still {
    fn admit(&self, _: &http::request::Parts, _: &Peer) -> Result<Arc<str>, Refusal> {
        Ok("fuzz".into())
    }

    fn facts(&self, scope: &Scope) -> Option<Arc<ServerFacts>> {
        let capabilities = raw_json(r#"{"tools":{},"resources":{"subscribe":true}}"#).expect("JSON");
        let facts =
            ServerFacts { revisions: Revision::ALL.to_vec(), capabilities, info: None, instructions: None };
        (!matches!(scope, Scope::View(_))).then(|| Arc::new(facts))
    }

    async fn call(&self, call: Call) -> Exchange {
        let error = RpcError { code: -32601, message: call.method.into(), data: None };
        Exchange::ready(Answer::own(Err(Failure::Peer(error))))
    }

    fn header_params(&self, _: &Scope, _: &str) -> Option<Arc<HeaderParams>> {
        None
    }

    fn watch(&self, _: &Scope, _: &Arc<Caller>, interest: Interest) -> Watch {
        Watch { granted: interest, changes: tokio::sync::mpsc::channel(1).1, settled: None }
    }

    async fn other(
        &self,
        _: http::Request<Bytes>,
        _: Arc<str>,
        _: &Peer,
    ) -> http::Response<UnsyncBoxBody<Bytes, std::io::Error>> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut response = http::Response::new(body);
        *response.status_mut() = http::StatusCode::NO_CONTENT;
        response
    }
}
