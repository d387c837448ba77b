//! One Cella behind another: `cella stdio` in front of a node, or a node as a server of a node.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use cella_door::Doors;
use cella_mcp::{Era, HeaderParams, Revision, RpcError, ServerFacts};
use cella_transport::{
    Answer, Call, Caller, Exchange, Failure, Interest, Peer, Refusal, Scope, Service, Watch,
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use super::{
    scripted::{House, options, raw},
    wire::{Client, Http, Modern},
};

/// A service that asks the door at `behind` for everything, in the modern era.
struct Relay {
    behind: SocketAddr,
}

impl Service for Relay {
    fn admit(&self, _: &http::request::Parts, _: &Peer) -> Result<Arc<str>, Refusal> {
        Ok("local".into())
    }

    fn facts(&self, _: &Scope) -> Option<Arc<ServerFacts>> {
        let facts = ServerFacts {
            revisions: Revision::ALL.to_vec(),
            capabilities: raw(r#"{"tools":{}}"#),
            info: None,
            instructions: None,
        };
        Some(Arc::new(facts))
    }

    async fn call(&self, call: Call) -> Exchange {
        let params = call.params.map_or(json!({}), |p| serde_json::from_str(p.get()).unwrap());
        let request = Modern::new(1, &call.method, params).header("accept", "application/json");
        let reply = request.ask(&mut Http::connect(self.behind).await).await.json();
        let outcome = match reply.get("result") {
            Some(result) => Ok(raw(&result.to_string())),
            None => Err(Failure::Peer(RpcError {
                code: reply["error"]["code"].as_i64().unwrap(),
                message: reply["error"]["message"].to_string(),
                data: Some(raw(&reply["error"]["data"].to_string())),
            })),
        };
        Exchange::ready(Answer { era: Era::Modern, outcome })
    }

    fn header_params(&self, _: &Scope, _: &str) -> Option<Arc<HeaderParams>> {
        None
    }

    fn watch(&self, _: &Scope, _: &Arc<Caller>, _: Interest) -> Watch {
        Watch { granted: Interest::default(), changes: mpsc::channel(1).1, settled: None }
    }

    async fn other(
        &self,
        _: http::Request<Bytes>,
        _: Arc<str>,
        _: &Peer,
    ) -> http::Response<UnsyncBoxBody<Bytes, std::io::Error>> {
        http::Response::new(Full::default().map_err(|never| match never {}).boxed_unsync())
    }
}

/// A door with its own key in front of another.
async fn in_front_of(behind: &House) -> SocketAddr {
    let options = cella_door::DoorOptions { key: [9; 32], ..options() };
    let doors = Doors::new(Arc::new(Relay { behind: behind.address }), options);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { doors.serve_tcp(listener).await.unwrap() });
    address
}

fn answered(call: Modern, asked: &Value) -> Modern {
    let answers: serde_json::Map<String, Value> = asked["inputRequests"]
        .as_object()
        .unwrap()
        .keys()
        .map(|k| (k.clone(), json!({"action": "accept"})))
        .collect();
    call.param("requestState", asked["requestState"].clone()).param("inputResponses", answers.into())
}

#[tokio::test]
async fn a_question_of_an_old_server_reaches_a_modern_client_through_two_doors() {
    let house = House::open().await;
    let mut http = Http::connect(in_front_of(&house).await).await;
    let asked = Modern::call(1, "ask-twice").ask(&mut http).await.json()["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let again = answered(Modern::call(2, "ask-twice"), &asked).ask(&mut http).await.json()["result"].clone();
    assert_eq!(again["resultType"], "input_required", "{again}");
    let done = answered(Modern::call(3, "ask-twice"), &again).ask(&mut http).await.json();
    assert_eq!(done["result"]["both"][1]["answers"][0]["action"], "accept", "{done}");
    assert_eq!(*house.service.begun.borrow(), 1);
}

#[tokio::test]
async fn a_question_of_an_old_server_reaches_an_old_client_through_two_doors() {
    let house = House::open().await;
    let client = Client::initialize(in_front_of(&house).await, "2025-11-25").await;
    let mut events = client.events(Client::call(1, "ask")).await;
    let question = events.message().await;
    client.ask(json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}})).await;
    assert_eq!(events.message().await["result"]["answers"][0]["action"], "accept");
    assert_eq!(*house.service.begun.borrow(), 1);
}
