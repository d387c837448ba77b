//! Load: so many clients at once, each with one call in the air, for a fixed time.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinSet,
};

use crate::wire::Era;

/// Where the calls go.
#[derive(Clone, Debug)]
pub struct Target {
    /// The port on loopback.
    pub port: u16,
    /// For example `/mcp`.
    pub path: String,
    /// The tool's name there.
    pub tool: String,
    /// The bearer token, if one is wanted.
    pub token: Option<String>,
}

/// Calls that were made, each with its duration.
#[derive(Debug, Default)]
pub struct Sample {
    /// In nanoseconds.
    pub durations: Vec<u64>,
    /// Answers that were not the expected one.
    pub wrong: u64,
    /// How long it took altogether.
    pub took: Duration,
}

/// What each client does over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Calls the echo tool.
    Call,
    /// Reads the tool list.
    List,
}

/// Loads an HTTP target.
pub async fn http(
    target: &Target,
    era: Era,
    work: Work,
    clients: usize,
    time: Duration,
) -> Result<Sample, String> {
    let mut opened = Vec::new();
    for _ in 0..clients {
        opened.push(Client::open(target.clone(), era).await?);
    }
    let started = Instant::now();
    let until = started + time;
    let mut tasks = JoinSet::new();
    for (n, mut client) in opened.into_iter().enumerate() {
        tasks.spawn(async move {
            let mut sample = Sample::default();
            let mut id = 1;
            while Instant::now() < until {
                let text = format!("text-{n}-{id}");
                let begun = Instant::now();
                let good = client.work(id, work, &text).await?;
                sample.durations.push(begun.elapsed().as_nanos() as u64);
                sample.wrong += u64::from(!good);
                id += 1;
            }
            client.close().await;
            Ok::<_, String>(sample)
        });
    }
    let mut all = gather(tasks).await?;
    all.took = started.elapsed().min(time);
    Ok(all)
}

async fn gather(mut tasks: JoinSet<Result<Sample, String>>) -> Result<Sample, String> {
    let mut all = Sample::default();
    while let Some(done) = tasks.join_next().await {
        let sample = done.map_err(|e| e.to_string())??;
        all.durations.extend(sample.durations);
        all.wrong += sample.wrong;
    }
    Ok(all)
}

/// One connection, and in the legacy era one session.
struct Client {
    target: Target,
    era: Era,
    session: Option<String>,
    connection: SendRequest<Full<Bytes>>,
}

impl Client {
    async fn open(target: Target, era: Era) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(driver);
        let mut client = Self { target, era, session: None, connection };
        if era == Era::Legacy {
            let (body, session) = client.post(Era::initialize(), None).await?;
            if !contains(&body, b"protocolVersion") {
                return Err(format!("initialize: {}", String::from_utf8_lossy(&body)));
            }
            client.session = session;
            client.post(Era::INITIALIZED.to_owned(), None).await?;
        }
        Ok(client)
    }

    /// True when the answer is the expected one.
    async fn work(&mut self, id: u64, work: Work, text: &str) -> Result<bool, String> {
        let (message, method, wanted) = match work {
            Work::Call => (self.era.call(id, &self.target.tool, text), "tools/call", text),
            Work::List => (self.era.list(id), "tools/list", "\"tools\""),
        };
        let (body, _) = self.post(message, Some(method)).await?;
        Ok(contains(&body, wanted.as_bytes()))
    }

    async fn post(&mut self, body: String, method: Option<&str>) -> Result<(Bytes, Option<String>), String> {
        let mut request = Request::post(&self.target.path)
            .header(header::HOST, format!("127.0.0.1:{}", self.target.port))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream");
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        if let Some(method) = method {
            request = request.header("mcp-protocol-version", self.era.revision());
            if self.era == Era::Modern {
                request = request.header("mcp-method", method);
            }
            if self.era == Era::Modern && method == "tools/call" {
                request = request.header("mcp-name", &self.target.tool);
            }
        }
        let request = request.body(Full::from(body)).map_err(|e| e.to_string())?;
        self.connection.ready().await.map_err(|e| e.to_string())?;
        let response = self.connection.send_request(request).await.map_err(|e| e.to_string())?;
        let session = response.headers().get("mcp-session-id").and_then(|v| v.to_str().ok());
        let session = session.map(str::to_owned);
        let body = response.into_body().collect().await.map_err(|e| e.to_string())?;
        Ok((body.to_bytes(), session))
    }

    async fn close(mut self) {
        let Some(session) = &self.session else { return };
        let mut request = Request::delete(&self.target.path)
            .header(header::HOST, format!("127.0.0.1:{}", self.target.port))
            .header("mcp-session-id", session);
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Ok(request) = request.body(Full::default()) {
            let _gone_anyway = self.connection.send_request(request).await.is_err();
        }
    }
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    body.windows(wanted.len()).any(|w| w == wanted)
}

/// A stdio server spoken to without anything between.
#[derive(Debug)]
pub struct Pipe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pipe {
    /// Starts the echo server.
    pub fn open() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.arg("echo-stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the echo server has no pipes".to_owned());
        };
        Ok(Self { child, input, output: BufReader::with_capacity(1 << 16, output) })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Keeps `clients` calls in the air on the one pipe.
    pub async fn load(&mut self, era: Era, clients: usize, time: Duration) -> Result<Sample, String> {
        let started = Instant::now();
        let mut sample = Sample::default();
        let mut begun = Vec::new();
        for id in 0..clients as u64 {
            begun.push(Instant::now());
            self.send(era, id).await?;
        }
        let mut line = Vec::new();
        let mut open = clients;
        while open > 0 {
            line.clear();
            let read = self.output.read_until(b'\n', &mut line).await.map_err(|e| e.to_string())?;
            // answers come in the order of the calls, and ids count up
            let id = sample.durations.len() as u64;
            if read == 0 || !contains(&line, format!("text-{id}\"").as_bytes()) {
                sample.wrong += 1;
            }
            sample.durations.push(begun[id as usize].elapsed().as_nanos() as u64);
            if started.elapsed() < time {
                begun.push(Instant::now());
                self.send(era, begun.len() as u64 - 1).await?;
            } else {
                open -= 1;
            }
        }
        sample.took = started.elapsed();
        Ok(sample)
    }

    async fn send(&mut self, era: Era, id: u64) -> Result<(), String> {
        let mut message = era.call(id, "echo", &format!("text-{id}"));
        message.push('\n');
        self.input.write_all(message.as_bytes()).await.map_err(|e| e.to_string())
    }
}
