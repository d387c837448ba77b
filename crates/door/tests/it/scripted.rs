//! A service that does what the name of the called tool says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use cella_door::{DoorOptions, Doors, limits::Limits};
use cella_mcp::{
    Era, HeaderParam, HeaderParams, Notification, Raw, Revision, RpcError, ServerFacts, call_target, member,
    progress_token, raw_json,
};
use cella_transport::{
    Answer, Ask, AskKey, Call, Caller, Change, Exchange, Failure, Fault, FaultKind, Interest, Peer,
    Performer, Refusal, Scope, Service, Step, TaskWatch, Watch,
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::sync::{mpsc, oneshot, watch};

use super::wire::Http;

/// The token that the scripted service admits.
pub(super) const TOKEN: &str = "s3cret";

/// A scripted service, and what it has seen.
pub(super) struct Scripted {
    /// How many calls were dropped before their end.
    pub(super) cancelled: watch::Sender<usize>,
    /// How many calls have begun.
    pub(super) begun: watch::Sender<usize>,
    /// How many requests for the service's own paths have come.
    pub(super) others: watch::Sender<usize>,
    /// Lets calls of `gate` go on.
    pub(super) gate: watch::Sender<bool>,
    watches: Mutex<Vec<(Interest, mpsc::Sender<Change>)>>,
    tasks: Mutex<Vec<mpsc::Sender<Notification>>>,
    pub(super) seen: Mutex<Vec<Call>>,
    live: watch::Sender<usize>,
}

/// Doors on a loopback port.
pub(super) struct House {
    pub(super) service: Arc<Scripted>,
    pub(super) doors: Doors<Scripted>,
    pub(super) address: std::net::SocketAddr,
}

pub(super) fn raw(json: &str) -> Raw {
    raw_json(json).unwrap()
}

pub(super) fn options() -> DoorOptions {
    DoorOptions { hosts: Vec::new(), origins: Vec::new(), key: [7; 32], limits: Limits::default() }
}

impl House {
    pub(super) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut DoorOptions)) -> Self {
        let mut options = options();
        change(&mut options);
        let service = Arc::new(Scripted::new());
        let doors = Doors::new(service.clone(), options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = doors.clone();
        tokio::spawn(async move { serving.serve_tcp(listener).await.unwrap() });
        Self { service, doors, address }
    }

    /// Waits until no stream is open.
    pub(super) async fn no_streams(&self) {
        within(async {
            while !format!("{:?}", self.doors).contains("streams: 0") {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    pub(super) async fn connect(&self) -> Http {
        Http::connect(self.address).await
    }
}

impl Scripted {
    pub(super) fn new() -> Self {
        Self {
            cancelled: watch::channel(0).0,
            begun: watch::channel(0).0,
            others: watch::channel(0).0,
            gate: watch::channel(false).0,
            watches: Mutex::default(),
            tasks: Mutex::default(),
            seen: Mutex::default(),
            live: watch::channel(0).0,
        }
    }

    /// Waits until so many calls were dropped before their end.
    pub(super) async fn cancellations(&self, count: usize) {
        within(self.cancelled.subscribe().wait_for(|n| *n >= count)).await.unwrap();
    }

    /// Waits until so many calls have begun.
    pub(super) async fn beginnings(&self, count: usize) {
        within(self.begun.subscribe().wait_for(|n| *n >= count)).await.unwrap();
    }

    /// Waits until no performer is left.
    pub(super) async fn quiet(&self) {
        within(self.live.subscribe().wait_for(|n| *n == 0)).await.unwrap();
    }

    /// Waits until so many watches are open, then tells them of a change.
    pub(super) async fn change(&self, watches: usize, change: Change) {
        loop {
            let open: Vec<_> = {
                let mut all = self.watches.lock().unwrap();
                all.retain(|(_, w)| !w.is_closed());
                all.iter().map(|(_, w)| w.clone()).collect()
            };
            if open.len() >= watches {
                for watch in open {
                    watch.send(change.clone()).await.unwrap();
                }
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Says something of a task to all who watch tasks.
    pub(super) async fn task(&self, params: &str) {
        let note = Notification { method: "notifications/tasks".into(), params: Some(raw(params)) };
        let all = self.tasks.lock().unwrap().clone();
        for watch in all {
            watch.send(note.clone()).await.unwrap();
        }
    }

    pub(super) fn open_watches(&self) -> usize {
        self.watches.lock().unwrap().iter().filter(|(_, w)| !w.is_closed()).count()
    }

    /// The resources that open watches were granted.
    pub(super) fn watched(&self) -> Vec<Vec<String>> {
        let watches = self.watches.lock().unwrap();
        watches.iter().filter(|(_, w)| !w.is_closed()).map(|(granted, _)| granted.uris.clone()).collect()
    }
}

/// Fails a test that would hang.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("nothing happened for 20 s")
}

impl Service for Scripted {
    fn admit(&self, head: &http::request::Parts, peer: &Peer) -> Result<Arc<str>, Refusal> {
        if let Peer::Unix { uid, .. } = peer {
            return Ok(format!("local:uid={uid}").into());
        }
        if head.uri.path() == "/livez" {
            return Ok("public".into());
        }
        match head
            .headers
            .get("authorization")
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.strip_prefix("Bearer "))
        {
            Some(TOKEN) => Ok("token:default".into()),
            Some("other") => Ok("token:other".into()),
            _ => Err(Refusal {
                status: http::StatusCode::UNAUTHORIZED,
                challenge: Some("Bearer realm=\"cella\"".into()),
                message: "a token is needed".into(),
            }),
        }
    }

    fn facts(&self, scope: &Scope) -> Option<Arc<ServerFacts>> {
        let known = match scope {
            Scope::All => true,
            Scope::Server(name) => &**name == "one",
            Scope::View(_) => false,
        };
        known.then(|| {
            Arc::new(ServerFacts {
                revisions: Revision::ALL.to_vec(),
                capabilities: raw(
                    r#"{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}}"#,
                ),
                info: Some(raw(r#"{"name":"scripted","version":"1"}"#)),
                instructions: None,
            })
        })
    }

    async fn call(&self, call: Call) -> Exchange {
        self.begun.send_modify(|n| *n += 1);
        self.seen.lock().unwrap().push(call.clone());
        let tool = call_target(&call.method, call.params.as_deref())
            .map(|t| t.name.into_owned())
            .unwrap_or_default();
        if let Some(answer) = at_once(&call, &tool) {
            return Exchange::ready(answer);
        }
        let (performer, exchange) = Exchange::live();
        let perform = Perform { performer, cancelled: self.cancelled.clone(), gate: self.gate.subscribe() };
        let live = self.live.clone();
        live.send_modify(|n| *n += 1);
        tokio::spawn(async move {
            perform.run(&call, &tool).await;
            live.send_modify(|n| *n -= 1);
        });
        exchange
    }

    fn header_params(&self, _: &Scope, tool: &str) -> Option<Arc<HeaderParams>> {
        (tool == "mirrored").then(|| {
            Arc::new(HeaderParams {
                params: vec![HeaderParam { header: "Region".into(), path: vec!["region".into()] }],
            })
        })
    }

    fn watch_tasks(&self, _: &Scope, _: &Arc<Caller>, ids: &[String]) -> Option<TaskWatch> {
        let (sender, states) = mpsc::channel(16);
        self.tasks.lock().unwrap().push(sender);
        let granted = ids.iter().filter(|id| id.starts_with("mine")).cloned().collect();
        Some(TaskWatch { granted, states })
    }

    fn watch(&self, _: &Scope, _: &Arc<Caller>, mut interest: Interest) -> Watch {
        let (sender, changes) = mpsc::channel(16);
        interest.prompts = false;
        interest.uris.retain(|uri| uri.starts_with("test://"));
        self.watches.lock().unwrap().push((interest.clone(), sender));
        let settled = interest.uris.iter().any(|uri| uri.starts_with("test://slow")).then(|| {
            let (told, settled) = oneshot::channel();
            let mut gate = self.gate.subscribe();
            tokio::spawn(async move {
                gate.wait_for(|open| *open).await.unwrap();
                told.send(()).ok();
            });
            settled
        });
        Watch { granted: interest, changes, settled }
    }

    async fn other(
        &self,
        request: http::Request<Bytes>,
        principal: Arc<str>,
        _: &Peer,
    ) -> http::Response<UnsyncBoxBody<Bytes, std::io::Error>> {
        self.others.send_modify(|n| *n += 1);
        let text =
            format!("{} {} {principal} {}", request.method(), request.uri().path(), request.body().len());
        http::Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync())
    }
}

fn at_once(call: &Call, tool: &str) -> Option<Answer> {
    let legacy = |outcome| Some(Answer { era: Era::Legacy, outcome });
    let fault = |kind| Fault {
        kind,
        code: "CE4001",
        message: "not here".into(),
        fix: Some("ask".into()),
        in_doubt: false,
    };
    match (&*call.method, tool) {
        ("tools/list", _) => legacy(Ok(raw(r#"{"tools":[]}"#))),
        ("tools/call", "echo") => {
            let params = call.params.as_ref().map_or("null", |p| p.get());
            legacy(Ok(raw(&format!(r#"{{"content":[],"structuredContent":{{"params":{params}}}}}"#))))
        }
        ("tools/call", "modern-echo") => Some(Answer {
            era: Era::Modern,
            outcome: Ok(raw(r#"{"x":1.0,"resultType":"complete","content":[],"_meta":{"a":1}}"#)),
        }),
        ("tools/call", "modern-input") => Some(Answer { era: Era::Modern, outcome: Ok(modern_input(call)) }),
        ("tools/call", "modern-endless") => Some(Answer {
            era: Era::Modern,
            outcome: Ok(raw(r#"{"resultType":"input_required","requestState":"again"}"#)),
        }),
        ("tools/call", tool) if tool.starts_with("modern-error") => Some(Answer {
            era: Era::Modern,
            outcome: Err(Failure::Peer(RpcError {
                code: tool.trim_start_matches("modern-error").parse().unwrap(),
                message: "so it is".into(),
                data: Some(raw(r#"{"x":1}"#)),
            })),
        }),
        ("tools/call", "peer-error") => legacy(Err(Failure::Peer(RpcError {
            code: -32002,
            message: "gone".into(),
            data: Some(raw(r#"{"uri":"x"}"#)),
        }))),
        ("tools/call", "refused") => legacy(Err(Failure::Fault(fault(FaultKind::Refused)))),
        ("tools/call" | "prompts/get", "unknown") => legacy(Err(Failure::Fault(fault(FaultKind::NotFound)))),
        ("prompts/get", "refused") => legacy(Err(Failure::Fault(fault(FaultKind::Refused)))),
        ("tools/call", _) => None,
        (method, _) => legacy(Err(Failure::Peer(RpcError {
            code: -32601,
            message: format!("Method not found: {method}"),
            data: None,
        }))),
    }
}

/// A modern server that asks for a name, keeping a state of its own.
fn modern_input(call: &Call) -> Raw {
    let params = call.params.as_ref().unwrap();
    match (member(params, "requestState"), member(params, "inputResponses")) {
        (Some(state), Some(answers)) => raw(&format!(
            r#"{{"resultType":"complete","content":[],"structuredContent":{{"got":[{state},{answers}]}}}}"#
        )),
        _ => raw(
            r#"{"resultType":"input_required","requestState":"its \"own\"","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"name?","requestedSchema":{"type":"object"}}}}}"#,
        ),
    }
}

struct Perform {
    performer: Performer,
    cancelled: watch::Sender<usize>,
    gate: watch::Receiver<bool>,
}

impl Perform {
    async fn run(mut self, call: &Call, tool: &str) {
        let token = progress_token(call.params.as_deref()).map(ToOwned::to_owned);
        match tool {
            "progress" => {
                for n in 1..=3 {
                    self.progress(token.as_ref(), n).await;
                }
                self.done(r#"{"content":[{"type":"text","text":"done"}]}"#).await;
            }
            "log" => {
                for level in ["debug", "warning"] {
                    self.log(level).await;
                }
                self.done(r#"{"content":[]}"#).await;
            }
            "modern-progress" => self.modern_progress(call, token.as_ref()).await,
            "ask-and-leave" => {
                self.put(1).await;
                tokio::select! {
                    () = self.performer.abandoned() => self.cancelled.send_modify(|n| *n += 1),
                    opened = self.gate.wait_for(|open| *open) => { opened.unwrap(); }
                }
                self.done(r#"{"content":[]}"#).await;
            }
            "ask" => {
                let answers = self.ask(&[1]).await;
                self.progress(token.as_ref(), 1).await;
                self.done(&answers).await;
            }
            "ask-two" => {
                let answers = self.ask(&[1, 2]).await;
                self.done(&answers).await;
            }
            "ask-twice" => {
                let first = self.ask(&[1]).await;
                let second = self.ask(&[2]).await;
                self.done(&format!(r#"{{"content":[],"both":[{first},{second}]}}"#)).await;
            }
            "gate" => {
                tokio::select! {
                    () = self.performer.abandoned() => self.cancelled.send_modify(|n| *n += 1),
                    opened = self.gate.wait_for(|open| *open) => { opened.unwrap(); }
                }
                self.done(r#"{"content":[{"type":"text","text":"through"}]}"#).await;
            }
            "flood" => self.flood().await,
            "steps" => {
                // one message per opening of the gate
                let mut gate = self.gate.clone();
                for n in 1..=3 {
                    self.progress(token.as_ref(), n).await;
                    let _sender_lives = gate.wait_for(|open| *open).await.is_ok();
                }
                self.done(r#"{"content":[]}"#).await;
            }
            tool => self.fail(&format!("no script for {tool}")).await,
        }
    }

    /// A modern server that tells progress in both rounds, beginning anew in the second.
    async fn modern_progress(&self, call: &Call, token: Option<&Raw>) {
        let again = member(call.params.as_ref().unwrap(), "inputResponses").is_some();
        for n in if again { [1, 2, 3] } else { [0, 1, 2] } {
            self.progress(token, n).await;
        }
        let result =
            if again { raw(r#"{"resultType":"complete","content":[]}"#) } else { modern_input(call) };
        self.performer.step(Step::Done(Answer { era: Era::Modern, outcome: Ok(result) })).await;
    }

    async fn flood(&self) {
        let data = "x".repeat(32 * 1024);
        let params = raw(&format!(r#"{{"level":"error","data":"{data}"}}"#));
        loop {
            let note = Notification { method: "notifications/message".into(), params: Some(params.clone()) };
            if !self.performer.step(Step::Notify(note)).await {
                self.cancelled.send_modify(|n| *n += 1);
                return;
            }
        }
    }

    async fn progress(&self, token: Option<&Raw>, n: u64) {
        if let Some(token) = token {
            let params = raw(&format!(r#"{{"progressToken":{token},"progress":{n}}}"#));
            let note = Notification { method: "notifications/progress".into(), params: Some(params) };
            self.performer.step(Step::Notify(note)).await;
        }
    }

    async fn log(&self, level: &str) {
        let params = raw(&format!(r#"{{"level":"{level}","data":1}}"#));
        let note = Notification { method: "notifications/message".into(), params: Some(params) };
        self.performer.step(Step::Notify(note)).await;
    }

    async fn put(&self, key: u64) {
        let params = raw(r#"{"message":"name?","requestedSchema":{"type":"object","properties":{}}}"#);
        let ask = Ask { key: AskKey(key), method: "elicitation/create".into(), params: Some(params) };
        self.performer.step(Step::Ask(ask)).await;
    }

    /// Asks all at once, and returns a result that holds the answers in the order of the keys.
    async fn ask(&mut self, keys: &[u64]) -> String {
        for key in keys {
            self.put(*key).await;
        }
        let mut answers = HashMap::new();
        while answers.len() < keys.len() {
            let Some((key, answer)) = self.performer.reply().await else {
                self.cancelled.send_modify(|n| *n += 1);
                return "{}".into();
            };
            let text = match answer {
                Ok(result) => result.get().to_owned(),
                Err(error) => format!(r#"{{"error":{}}}"#, error.code),
            };
            answers.insert(key.0, text);
        }
        let answers: Vec<_> = keys.iter().map(|key| answers.remove(key).unwrap()).collect();
        format!(r#"{{"content":[],"answers":[{}]}}"#, answers.join(","))
    }

    async fn done(&self, result: &str) {
        self.performer.step(Step::Done(Answer { era: Era::Legacy, outcome: Ok(raw(result)) })).await;
    }

    async fn fail(&self, message: &str) {
        let error = RpcError { code: -32603, message: message.into(), data: None };
        self.performer
            .step(Step::Done(Answer { era: Era::Legacy, outcome: Err(Failure::Peer(error)) }))
            .await;
    }
}
