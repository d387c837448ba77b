//! What is measured: nothing in between, Cella, and a peer gateway where one is given.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::load::Target;

/// A program that does not accept connections by then does not work.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A program that was started, killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn start(mut command: Command, port: u16, log: &Path) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = |path: &Path| fs::File::create(path).map_err(|e| e.to_string());
        command
            .stdin(Stdio::null())
            .stdout(file(&log.with_extension("out"))?)
            .stderr(file(&log.with_extension("err"))?);
        let child = command.spawn().map_err(|e| format!("cannot start {name}: {e}"))?;
        let mut running = Self { child, port };
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.child.try_wait().map_err(|e| e.to_string())?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(log.with_extension("err")).unwrap_or_default();
                return Err(format!("{name} does not listen on {port} ({ended:?}): {said}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let term = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(12);
        while term.is_ok() && matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        let _ended = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

/// How a gateway reaches its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A server over HTTP.
    Http,
    /// A child process.
    Stdio,
}

impl Upstream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Http, Self::Stdio];

    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Stdio => "stdio",
        }
    }
}

/// A free port on loopback.
pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| e.to_string())?;
    Ok(listener.local_addr().map_err(|e| e.to_string())?.port())
}

fn own() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|e| e.to_string())
}

/// The echo server over HTTP.
pub fn echo(dir: &Path, tools: u16) -> Result<Running, String> {
    let port = free_port()?;
    let mut command = Command::new(own()?);
    command.args(["echo-http", &port.to_string(), &tools.to_string()]);
    Running::start(command, port, &dir.join(format!("echo-{port}")))
}

/// The floor: bytes through two connections.
pub fn relay(dir: &Path, echo: &Running) -> Result<(Running, Target), String> {
    let port = free_port()?;
    let mut command = Command::new(own()?);
    command.args(["relay", &port.to_string(), &echo.port.to_string()]);
    let relay = Running::start(command, port, &dir.join(format!("relay-{port}")))?;
    let target = Target { port, ..direct(echo) };
    Ok((relay, target))
}

/// Straight to the echo server.
#[must_use]
pub fn direct(echo: &Running) -> Target {
    Target { port: echo.port, path: "/mcp".into(), tool: "echo".into(), token: None }
}

/// A running Cella.
#[derive(Debug)]
pub struct Cella {
    /// The process.
    pub process: Running,
    token: String,
}

/// One entry of Cella's configuration.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// A server over HTTP.
    Url(&'a Running),
    /// The echo server as a child in a cell, with so many tools.
    Child(u16),
}

impl Cella {
    /// Starts `program` with the named servers. `effect` is what the contract says of the echo tool.
    pub fn start(
        program: &Path,
        dir: &Path,
        effect: &str,
        servers: &[(String, Entry<'_>)],
    ) -> Result<Self, String> {
        let port = free_port()?;
        let home = dir.join(format!("cella-{port}"));
        let (config, token_file, contract) =
            (home.join("cella.toml"), home.join("token"), home.join("echo.contract.toml"));
        let write = |path: &Path, text: &str| fs::write(path, text).map_err(|e| e.to_string());
        for part in ["state", "run", "cache", "config"] {
            fs::create_dir_all(home.join(part)).map_err(|e| e.to_string())?;
        }
        let program_path = own()?;
        let readable = program_path.parent().unwrap_or(Path::new("/")).display().to_string();
        write(
            &contract,
            &format!(
                "egress = []\n\n[[files]]\npath = \"{readable}\"\nmode = \"read\"\n\n[tools.echo]\neffect = \"{effect}\"\n"
            ),
        )?;
        let mut text = String::new();
        for (name, entry) in servers {
            text += &format!("[servers.{name}]\n");
            text += &match entry {
                Entry::Url(echo) => format!("url = \"http://127.0.0.1:{}/mcp\"\n", echo.port),
                Entry::Child(tools) => format!(
                    "command = \"{}\"\nargs = [\"echo-stdio\", \"{tools}\"]\n",
                    program_path.display()
                ),
            };
            text += &format!("contract = \"{}\"\n\n", contract.display());
        }
        write(&config, &text)?;
        let mut command = Command::new(program);
        command.arg("up").arg("--config").arg(&config).args(["--listen", &format!("127.0.0.1:{port}")]);
        command.arg("--token-file").arg(&token_file).current_dir(&home);
        for (variable, part) in [
            ("STATE_HOME", "state"),
            ("RUNTIME_DIR", "run"),
            ("CACHE_HOME", "cache"),
            ("CONFIG_HOME", "config"),
        ] {
            command.env(format!("XDG_{variable}"), home.join(part));
        }
        let process = Running::start(command, port, &home.join("cella"))?;
        let token = fs::read_to_string(&token_file).map_err(|e| format!("token file: {e}"))?;
        Ok(Self { process, token: token.trim().to_owned() })
    }

    /// One of its servers.
    #[must_use]
    pub fn server(&self, name: &str) -> Target {
        Target {
            port: self.process.port,
            path: format!("/mcp/servers/{name}"),
            tool: "echo".into(),
            token: Some(self.token.clone()),
        }
    }

    /// All of them at once.
    #[must_use]
    pub fn all(&self) -> Target {
        Target { path: "/mcp".into(), ..self.server("") }
    }
}

/// mcp-proxy, a gateway in Rust, with one backend and as little logging as it can.
pub fn mcp_proxy(
    program: &Path,
    dir: &Path,
    upstream: Upstream,
    echo: &Running,
) -> Result<(Running, Target), String> {
    let port = free_port()?;
    let config = dir.join(format!("mcp-proxy-{port}.toml"));
    let backend = match upstream {
        Upstream::Http => format!("transport = \"http\"\nurl = \"http://127.0.0.1:{}/mcp\"", echo.port),
        Upstream::Stdio => {
            format!("transport = \"stdio\"\ncommand = \"{}\"\nargs = [\"echo-stdio\"]", own()?.display())
        }
    };
    let text = format!(
        "[proxy]\nname = \"bench\"\nversion = \"1\"\nseparator = \"/\"\n\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = {port}\n\n\
         [[backends]]\nname = \"bench\"\n{backend}\n\n[observability]\nlog_level = \"error\"\n"
    );
    fs::write(&config, text).map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&config).env("RUST_LOG", "error");
    let running = Running::start(command, port, &config.with_extension("log"))?;
    let target = Target { port, path: "/".into(), tool: "bench/echo".into(), token: None };
    Ok((running, target))
}
