//! What `cella.toml` says, as typed values: which servers, views and clients there are, and how the node behaves.

mod check;
mod file;

use core::net::SocketAddr;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    ByteSize, Checked, EnvName, HeaderName, Isolation, Mistakes, Origin, Place, Preset, ServerName, Template,
    pattern::ItemPattern,
    read::{Read as _, Reader, choices},
    toml_text,
};

pub(crate) use file::ConfigTable;

/// The version of the configuration format that this crate reads.
pub const CONFIG_VERSION: u32 = 1;
/// Longest time for a call unless the server's section says otherwise. Long enough for slow tools that report progress;
/// a call that hangs must not hold its client for ever.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest time from launch to the end of the handshake.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that nobody used for so long is stopped.
pub const IDLE_STOP: Duration = Duration::from_secs(600);
/// Longest time that calls in progress get when the node is told to end.
pub const DRAIN: Duration = Duration::from_secs(10);

/// A whole configuration. Relative paths in it are absolute here; holes in texts are not filled yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `[servers.NAME]`
    pub servers: BTreeMap<ServerName, Server>,
    /// `[views.NAME]`
    pub views: BTreeMap<ServerName, View>,
    /// `[clients.NAME]`
    pub clients: BTreeMap<ServerName, Client>,
    /// `[node]`
    pub node: NodeSettings,
    /// `[ledger]`
    pub ledger: LedgerSettings,
    /// `[limits]`
    pub limits: NodeLimits,
}

/// `[servers.NAME]`: one MCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// Where its section begins.
    pub origin: Origin,
    /// What answers.
    pub target: Target,
    /// Under which contract.
    pub contract: ContractRef,
    /// Who shares one process; the contract's own word goes first.
    pub isolation: Isolation,
    /// When it is started.
    pub start: Start,
    /// Stopped after so long without use; `None`: never.
    pub idle_stop: Option<Duration>,
    /// Longest time for a call.
    pub call_timeout: Duration,
    /// Longest time from launch to the end of the handshake.
    pub start_timeout: Duration,
    /// Whether it is there at all.
    pub enabled: bool,
    /// What its tools' names begin with on `/mcp`, instead of its name.
    pub namespace: Option<ServerName>,
    /// Where its files came from, when Cella installed them.
    pub install: Option<Install>,
}

/// What answers for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A program that speaks MCP on its standard input and output.
    Program(Program),
    /// A server that is reached by HTTP.
    Remote(Remote),
}

/// A program and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// A name to be found in `PATH`, or a path (relative to the directory of the configuration).
    pub command: Template,
    /// Arguments.
    pub args: Vec<Template>,
    /// Variables of its environment; it inherits none.
    pub env: BTreeMap<EnvName, Template>,
    /// Working directory.
    pub cwd: Option<Template>,
}

/// A server that is reached by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where: `http://`, `https://`, or `unix:` and the path of a socket.
    pub url: Template,
    /// Headers of every request.
    pub headers: BTreeMap<HeaderName, Template>,
    /// `None`: found out.
    pub transport: Option<RemoteTransport>,
}

/// How a remote server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemoteTransport {
    /// Streamable HTTP.
    Http,
    /// HTTP with a separate stream of server-sent events (MCP 2024-11-05).
    Sse,
}

/// Under which contract a server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractRef {
    /// Nothing was said: [`Preset::Untrusted`].
    Absent,
    /// A preset by name.
    Preset(Preset),
    /// A contract file.
    File(PathBuf),
}

choices! {
    /// When a server is started.
    pub enum Start {
        /// At its first call; lists are answered from the cache.
        Lazy = "lazy",
        /// With the node.
        Eager = "eager",
    }
}

/// Where the files of a server came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The registry.
    pub from: Registry,
    /// The package, without version.
    pub package: Box<str>,
    /// The exact version.
    pub version: Box<str>,
    /// Digest of what was installed, as the installer names it.
    pub digest: Option<Box<str>>,
}

choices! {
    /// A registry of packages.
    pub enum Registry {
        /// The npm registry (`npx`).
        Npm = "npm",
        /// The Python package index (`uvx`).
        Pypi = "pypi",
    }
}

/// `[views.NAME]`: a curated part of the catalogue at `/mcp/views/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Where its section begins.
    pub origin: Origin,
    /// Servers it shows; `None`: all.
    pub servers: Option<Vec<ServerName>>,
    /// Which of their tools.
    pub tools: Filter,
    /// Which of their prompts.
    pub prompts: Filter,
    /// Which of their resources; patterns match the server and the whole URI.
    pub resources: Filter,
    /// New names of tools, by `server/tool`.
    pub rename: BTreeMap<ItemName, Box<str>>,
}

/// A part of a list. Denial wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Shown when one matches; `None`: everything.
    pub allow: Option<Vec<ItemPattern>>,
    /// Not shown when one matches.
    pub deny: Vec<ItemPattern>,
}

/// A tool of a server: `server/tool`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemName {
    /// The server.
    pub server: ServerName,
    /// The tool's own name.
    pub item: Box<str>,
}

/// `[clients.NAME]`: a client with a token of its own, so that the ledger says which one called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where its section begins.
    pub origin: Origin,
    /// The file that holds its token; made by the node when absent.
    pub token_file: PathBuf,
    /// The only view it may use; `None`: everything.
    pub view: Option<ServerName>,
}

/// `[node]`. What is `None` or empty is the caller's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Address of the HTTP door.
    pub listen: Option<SocketAddr>,
    /// File of the token for it; made when absent.
    pub token_file: Option<PathBuf>,
    /// Path of the unix socket.
    pub socket: Option<PathBuf>,
    /// `Host` values that are accepted beyond loopback names, without port, in lower case.
    pub allowed_hosts: Vec<Box<str>>,
    /// `Origin` values that are accepted. Browsers send them; without one here no web page can call the node.
    pub allowed_origins: Vec<Box<str>>,
    /// Longest time that calls in progress get when the node is told to end.
    pub drain: Duration,
}

/// `[ledger]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerSettings {
    /// Its directory; `None`: the caller's default.
    pub path: Option<PathBuf>,
    /// What is kept of arguments and results.
    pub capture: Capture,
    /// Members of arguments and results whose values are taken out before anything is kept.
    pub redact: Vec<Redaction>,
    /// Arguments and results are deleted after so long; events stay. `None`: never.
    pub retention: Option<Duration>,
}

choices! {
    /// What the ledger keeps of arguments and results.
    pub enum Capture {
        /// All of it, without what `redact` takes out.
        Full = "full",
        /// A digest: who has the text can prove that it is the one.
        Digest = "digest",
    }
}

/// Which members are taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// Every member whose name matches (`*` is any text), at any depth, without regard to case.
    Name(Box<str>),
    /// The value at a JSON pointer (RFC 6901); a step `*` is any member or element.
    Pointer(Vec<Box<str>>),
}

/// `[limits]`: ceilings of the whole node, whatever contracts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Servers running at once. Past it a call that needs another one is told to wait.
    pub servers: u32,
    /// Connections of clients at once. Past it new ones are not accepted.
    pub connections: u32,
    /// Calls in progress at once. Past it a call is refused as overloaded.
    pub calls: u32,
    /// Bytes of one message from a client. Past it the message is refused.
    pub message: ByteSize,
}

// === impl Config ===

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Mistakes`]: everything that is wrong with it.
    pub fn parse(text: &str, place: &Place) -> Result<Checked<Self>, Mistakes> {
        let mut reader = Reader::new(text, place, ConfigTable::schema);
        let table: Option<ConfigTable> = toml_text::read(text, &mut reader);
        let config = table.map(|table| check::config(table, &mut reader));
        let warnings = Mistakes::among(reader.finish())?;
        // Without an error there is a table.
        Ok(Checked { value: config.unwrap_or_default(), warnings })
    }
}

// === impl Server ===

impl Server {
    /// What the names of its tools begin with on `/mcp`.
    #[must_use]
    pub fn namespace(&self) -> &ServerName {
        self.namespace.as_ref().unwrap_or(&self.name)
    }
}

// === impl View ===

impl View {
    /// Whether it shows a tool.
    #[must_use]
    pub fn shows_tool(&self, server: &str, tool: &str) -> bool {
        self.has_server(server) && self.tools.shows(server, tool)
    }

    /// Whether it shows a server at all.
    #[must_use]
    pub fn has_server(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.iter().any(|s| s.as_str() == server))
    }
}

impl Filter {
    /// Whether it lets an item through.
    #[must_use]
    pub fn shows(&self, server: &str, item: &str) -> bool {
        let matches = |patterns: &[ItemPattern]| patterns.iter().any(|p| p.matches(server, item));
        self.allow.as_deref().is_none_or(matches) && !matches(&self.deny)
    }
}

// === defaults ===

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            listen: None,
            token_file: None,
            socket: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            drain: DRAIN,
        }
    }
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self { servers: 256, connections: 4096, calls: 4096, message: ByteSize::mib(16) }
    }
}

#[expect(clippy::derivable_impls, reason = "the default is a decision, not the first in a list")]
impl Default for Capture {
    fn default() -> Self {
        Self::Full
    }
}
