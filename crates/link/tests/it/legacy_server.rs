//! A legacy server behind Streamable HTTP that does as it is told and remembers what it was asked.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use cella_link::{Endpoint, EraPreference, Link, LinkEvent, LinkOptions, Wire};
use cella_mcp::{Raw, Revision, raw_json};
use cella_transport::{Call, Caller, Exchange, Scope};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// What the server answers to a request of its choice, instead of what it would.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `GET`, or the JSON-RPC method.
    pub(crate) of: &'static str,
    pub(crate) status: u16,
    pub(crate) body: &'static str,
}

/// The server.
pub(crate) struct LegacyServer {
    pub(crate) url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Capabilities of each session that was ever opened; `None` once it is forgotten.
    sessions: BTreeMap<String, Option<Value>>,
    /// Session and method (or HTTP verb) of each request.
    seen: Vec<(String, String)>,
    /// Each is used once, in order.
    rules: VecDeque<Rule>,
    streams: BTreeMap<String, mpsc::UnboundedSender<Value>>,
    gives_sessions: u32,
    asks_first: bool,
}

struct Asked {
    verb: String,
    session: String,
    body: Value,
}

impl LegacyServer {
    /// Starts one that gives as many sessions as wanted.
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let state = State { gives_sessions: u32::MAX, ..State::default() };
        let server = Arc::new(Self { url, state: Mutex::new(state) });
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move { server.serve(socket).await });
            }
        });
        server
    }

    /// A link to it, and what the link tells.
    pub(crate) async fn link(&self) -> (Link, mpsc::Receiver<LinkEvent>) {
        let options = LinkOptions { era: EraPreference::Legacy, ..LinkOptions::new("legacy") };
        let (sender, events) = mpsc::channel(64);
        (Link::open(Wire::Http(Endpoint::new(&*self.url)), options, sender).await.unwrap(), events)
    }

    /// Sessions that it will still give.
    pub(crate) fn gives_sessions(&self, number: u32) {
        self.lock().gives_sessions = number;
    }

    /// To a call it asks the client something on the standing stream, and has no answer.
    pub(crate) fn asks_on_the_standing_stream(&self) {
        self.lock().asks_first = true;
    }

    /// Answers the next fitting request by this rule.
    pub(crate) fn next(&self, of: &'static str, status: u16, body: &'static str) {
        self.lock().rules.push_back(Rule { of, status, body });
    }

    /// Forgets every session that is open.
    pub(crate) fn restart(&self) {
        self.lock().sessions.values_mut().for_each(|session| *session = None);
    }

    /// Says something on every standing stream.
    pub(crate) fn say(&self, message: &Value) {
        self.lock().streams.values().for_each(|stream| drop(stream.send(message.clone())));
    }

    /// What was asked in which session.
    pub(crate) fn seen(&self, method: &str) -> Vec<String> {
        let state = self.lock();
        state.seen.iter().filter(|(_, m)| m == method).map(|(session, _)| session.clone()).collect()
    }

    /// What was declared in a session.
    pub(crate) fn declared(&self, session: &str) -> Value {
        self.lock().sessions[session].clone().unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, mut socket: TcpStream) {
        while let Some(asked) = read(&mut socket).await {
            if asked.verb == "GET" && !self.has_rule("GET") {
                let (sender, mut messages) = mpsc::unbounded_channel();
                self.lock().streams.insert(asked.session.clone(), sender);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                socket.write_all(head.as_bytes()).await.unwrap();
                while let Some(message) = messages.recv().await {
                    if socket.write_all(format!("data: {message}\n\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
                return;
            }
            let answer = self.answer(&asked).await;
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn has_rule(&self, of: &str) -> bool {
        self.lock().rules.front().is_some_and(|rule| rule.of == of)
    }

    async fn answer(&self, asked: &Asked) -> String {
        let method = asked.body["method"].as_str().unwrap_or(&asked.verb).to_owned();
        let mut state = self.lock();
        state.seen.push((asked.session.clone(), method.clone()));
        if state.rules.front().is_some_and(|rule| rule.of == method) {
            let rule = state.rules.pop_front().unwrap();
            return response(rule.status, None, rule.body);
        }
        let known = matches!(state.sessions.get(&asked.session), Some(Some(_)));
        if method == "initialize" {
            if state.gives_sessions == 0 {
                return response(503, None, "no more sessions");
            }
            state.gives_sessions -= 1;
            let session = format!("s{}", state.sessions.len() + 1);
            state.sessions.insert(session.clone(), Some(asked.body["params"]["capabilities"].clone()));
            let result = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "l", "version": "1"},
                "capabilities": {"tools": {"listChanged": true}, "logging": {}}});
            return response(200, Some(&session), &reply(asked, &result));
        }
        if !known {
            return response(
                404,
                None,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}"#,
            );
        }
        if asked.verb == "DELETE" {
            state.sessions.insert(asked.session.clone(), None);
            return response(200, None, "");
        }
        if asked.body.get("id").is_none() || asked.body.get("method").is_none() {
            return response(202, None, "");
        }
        if method == "tools/call" && state.asks_first {
            let question = json!({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create",
                "params": {"message": "m", "requestedSchema": {"type": "object", "properties": {}}}});
            state.streams[&asked.session].send(question).unwrap();
            drop(state);
            return response(202, None, "");
        }
        response(200, None, &reply(asked, &json!({"content": [{"type": "text", "text": asked.session}]})))
    }
}

fn reply(asked: &Asked, result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": asked.body["id"], "result": result}).to_string()
}

fn response(status: u16, session: Option<&str>, body: &str) -> String {
    let session = session.map_or_else(String::new, |id| format!("mcp-session-id: {id}\r\n"));
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
    format!(
        "HTTP/1.1 {status} X\r\n{session}content-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn read(socket: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length").map_or(0, |n| n.parse().unwrap())];
    socket.read_exact(&mut body).await.ok()?;
    Some(Asked {
        verb: head.split(' ').next().unwrap().to_owned(),
        session: header("mcp-session-id").unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

/// A call of somebody with these capabilities.
pub(crate) fn call_of(capabilities: &str) -> Call {
    call_by(Caller { capabilities: raw_json(capabilities).unwrap(), ..client() })
}

/// A call of this caller.
pub(crate) fn call_by(caller: Caller) -> Call {
    Call {
        scope: Scope::All,
        id: None,
        method: "tools/call".into(),
        params: Some(raw_json(r#"{"name":"t"}"#).unwrap()),
        caller: Arc::new(caller),
        param_headers: Vec::new(),
        own_headers: Vec::new(),
    }
}

/// A client of the modern era.
pub(crate) fn client() -> Caller {
    Caller { principal: "somebody".into(), revision: Revision::NEWEST_MODERN, ..Caller::cella() }
}

/// The session in which a call was answered.
pub(crate) fn session_of(exchange: &Exchange) -> String {
    let result: &Raw = exchange.peek_ready().unwrap().outcome.as_ref().unwrap();
    let result: Value = serde_json::from_str(result.get()).unwrap();
    result["content"][0]["text"].as_str().unwrap().to_owned()
}
