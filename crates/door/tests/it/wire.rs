//! HTTP as bytes, so that nothing between the test and the door puts things right.

use std::{fmt::Write, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::scripted::{TOKEN, within};

/// One connection.
pub(super) struct Http {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
}

/// A whole response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

/// One server-sent event.
#[derive(Debug, Default)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) id: Option<String>,
    pub(super) retry: Option<String>,
    pub(super) data: String,
    pub(super) comment: bool,
}

/// An event stream that is being read.
pub(super) struct Events {
    http: Http,
    pub(super) head: Head,
    text: String,
}

impl Http {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a request with the usual headers, of which `headers` replaces those of the same name.
    pub(super) async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut all = vec![
            ("host", "localhost"),
            ("authorization", "Bearer s3cret"),
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ];
        assert_eq!(TOKEN, "s3cret");
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend(headers.iter().filter(|(_, value)| *value != "-"));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in all {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.send(head).await;
    }

    pub(super) async fn head(&mut self) -> Head {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            assert!(self.fill().await, "the connection ended before a response");
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|l| l.split_once(": ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned()));
        Head { status, headers: headers.collect() }
    }

    pub(super) async fn reply(&mut self) -> Reply {
        let head = self.head().await;
        let mut body = Vec::new();
        if head.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                body.extend(chunk);
            }
        } else {
            let length: usize = head.header("content-length").map_or(0, |l| l.parse().unwrap());
            while self.buffer.len() < length {
                assert!(self.fill().await, "the body ended early");
            }
            body = self.buffer.drain(..length).collect();
        }
        Reply { head, body }
    }

    /// Sends a request and reads the whole response.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.request(method, path, headers, body).await;
        self.reply().await
    }

    /// Sends a request and reads an event stream.
    pub(super) async fn events(
        mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Events {
        self.request(method, path, headers, body).await;
        let head = self.head().await;
        assert_eq!(head.header("content-type"), Some("text/event-stream"), "{head:?}");
        Events { http: self, head, text: String::new() }
    }

    /// True when the other end has closed and nothing is left to read.
    pub(super) async fn is_closed(&mut self) -> bool {
        while self.fill().await {}
        true
    }

    async fn fill(&mut self) -> bool {
        let mut space = vec![0; 16 * 1024];
        let read = within(self.stream.read(&mut space)).await.unwrap_or(0);
        self.buffer.extend_from_slice(&space[..read]);
        read > 0
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                break at;
            }
            if !self.fill().await {
                return None;
            }
        };
        let size = String::from_utf8(self.buffer.drain(..line + 2).collect()).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        while self.buffer.len() < size + 2 {
            assert!(self.fill().await, "a chunk ended early");
        }
        let chunk = self.buffer.drain(..size + 2).take(size).collect();
        (size > 0).then_some(chunk)
    }
}

impl Head {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

impl Reply {
    pub(super) fn status(&self) -> u16 {
        self.head.status
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The error's code.
    pub(super) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("{}", self.json()))
    }

    /// Our own code.
    pub(super) fn ce(&self) -> String {
        self.json()["error"]["data"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Events {
    /// The next event that is no comment; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.next_of_any_kind().await?;
            if !event.comment {
                return Some(event);
            }
        }
    }

    pub(super) async fn next_of_any_kind(&mut self) -> Option<Event> {
        let end = loop {
            if let Some(at) = self.text.find("\n\n") {
                break at;
            }
            let chunk = self.http.chunk().await?;
            self.text.push_str(&String::from_utf8(chunk).unwrap());
        };
        let text: String = self.text.drain(..end + 2).collect();
        let mut event = Event { kind: "message".into(), ..Event::default() };
        for line in text.trim_end_matches('\n').lines() {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.trim_start().to_owned();
            match field {
                "" => event.comment = true,
                "event" => event.kind = value,
                "id" => event.id = Some(value),
                "retry" => event.retry = Some(value),
                "data" => event.data = value,
                field => panic!("unknown field {field}"),
            }
        }
        Some(event)
    }

    /// The next message.
    pub(super) async fn message(&mut self) -> Value {
        loop {
            let event = self.next().await.expect("the stream ended");
            if !event.data.is_empty() {
                return serde_json::from_str(&event.data).unwrap();
            }
        }
    }
}

/// A modern request with its headers.
pub(super) struct Modern {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

impl Modern {
    pub(super) fn new(id: i64, method: &str, mut params: Value) -> Self {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
        let mut headers =
            vec![("mcp-protocol-version".into(), "2026-07-28".into()), ("mcp-method".into(), method.into())];
        if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
            headers.push(("mcp-name".into(), name.into()));
        }
        Self { headers, body: json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}) }
    }

    pub(super) fn call(id: i64, tool: &str) -> Self {
        Self::new(id, "tools/call", json!({"name": tool, "arguments": {}}))
    }

    pub(super) fn meta(mut self, key: &str, value: Value) -> Self {
        self.body["params"]["_meta"][key] = value;
        self
    }

    pub(super) fn param(mut self, key: &str, value: Value) -> Self {
        self.body["params"][key] = value;
        self
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    fn parts(&self) -> (Vec<(&str, &str)>, String) {
        (self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(), self.body.to_string())
    }

    pub(super) async fn ask(&self, http: &mut Http) -> Reply {
        let (headers, body) = self.parts();
        http.ask("POST", "/mcp", &headers, &body).await
    }

    pub(super) async fn events(&self, http: Http) -> Events {
        let (headers, body) = self.parts();
        http.events("POST", "/mcp", &headers, &body).await
    }

    pub(super) async fn send(&self, http: &mut Http) {
        let (headers, body) = self.parts();
        http.request("POST", "/mcp", &headers, &body).await;
    }
}

/// A client with a session.
pub(super) struct Client {
    pub(super) session: String,
    pub(super) revision: String,
    pub(super) address: SocketAddr,
}

impl Client {
    pub(super) async fn initialize(address: SocketAddr, revision: &str) -> Self {
        let mut http = Http::connect(address).await;
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"}}});
        let reply = http.ask("POST", "/mcp", &[], &body.to_string()).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        let session = reply.head.header("mcp-session-id").unwrap().to_owned();
        let revision = reply.json()["result"]["protocolVersion"].as_str().unwrap().to_owned();
        Self { session, revision, address }
    }

    pub(super) fn headers(&self) -> [(&str, &str); 2] {
        [("mcp-session-id", &self.session), ("mcp-protocol-version", &self.revision)]
    }

    pub(super) async fn ask(&self, body: Value) -> Reply {
        Http::connect(self.address).await.ask("POST", "/mcp", &self.headers(), &body.to_string()).await
    }

    pub(super) async fn events(&self, body: Value) -> Events {
        Http::connect(self.address).await.events("POST", "/mcp", &self.headers(), &body.to_string()).await
    }

    pub(super) async fn listen(&self, last: Option<&str>) -> Events {
        let mut headers = self.headers().to_vec();
        headers.extend(last.map(|id| ("last-event-id", id)));
        Http::connect(self.address).await.events("GET", "/mcp", &headers, "").await
    }

    pub(super) fn call(id: i64, tool: &str) -> Value {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": tool, "arguments": {}, "_meta": {"progressToken": format!("p{id}")}}})
    }
}
