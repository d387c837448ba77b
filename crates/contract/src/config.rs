//! `cella.toml`: which servers there are and how the node behaves.

mod parse;
mod principals;
mod providers;

pub use principals::{PrincipalConfig, RateConfig};

use std::{collections::BTreeMap, num::NonZeroU16, path::PathBuf, time::Duration};

use cella_dialogue::Wire;

use crate::{Capture, ContractSource, Rate};

/// A whole configuration, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Servers by name.
    pub servers: BTreeMap<String, ServerConfig>,
    /// Curated views by name.
    pub views: BTreeMap<String, ViewConfig>,
    /// The node.
    pub node: NodeConfig,
    /// The ledger.
    pub ledger: LedgerConfig,
    /// Installing packages.
    pub install: InstallConfig,
    /// Providers of models by name.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Budgets of accounts by their path.
    pub budgets: BTreeMap<String, BudgetConfig>,
    /// What models cost, by `provider/model` or `provider/*`.
    pub prices: BTreeMap<String, PriceConfig>,
    /// Who is let in beside the owner, and what for.
    pub principals: BTreeMap<String, PrincipalConfig>,
    /// How often tools may be called, by `SERVER__TOOL` or a pattern.
    pub rates: BTreeMap<String, RateConfig>,
}

/// One server. Texts are as written: `${VAR}` is not replaced yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its name.
    pub name: String,
    /// What answers.
    pub run: Run,
    /// How it is spoken to; `None`: to be found out.
    pub transport: Option<Transport>,
    /// Where its contract stands.
    pub contract: ContractSource,
    /// Who shares a process.
    pub isolation: Option<Isolation>,
    /// When it starts.
    pub start: Start,
    /// Stopped after so long without a call.
    pub idle_stop: Option<Duration>,
    /// Longest time for start and handshake.
    pub start_timeout: Option<Duration>,
    /// Longest silence in a call.
    pub call_timeout: Option<Duration>,
    /// Most processes.
    pub instances: Option<u32>,
    /// A cell waits for the next process; `None`: where processes are not shared.
    pub warm: Option<bool>,
    /// Offered to clients.
    pub enabled: bool,
    /// Its package may run code of its own when it is installed, in the installer's cell.
    pub build_from_source: bool,
    /// Runs even where not all limits can be enforced.
    pub best_effort: bool,
}

/// What answers for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// A program in a cell.
    Program(StdioProgram),
    /// An address.
    Remote(Remote),
}

/// A program to be run in a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StdioProgram {
    /// Name or path; `builtin:NAME` for one of Cella's own.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment, beside the defaults of a cell. Values as written; see [`crate::Text`].
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Where it speaks HTTP inside its cell; `None`: it speaks on its pipes.
    pub endpoint: Option<CellEndpoint>,
}

/// Where a program in a cell speaks HTTP. Nothing outside can connect to it but the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellEndpoint {
    /// TCP port on the cell's own loopback.
    pub port: NonZeroU16,
    /// Path of the endpoint, `/mcp` unless something else is written.
    pub path: String,
}

/// A server reached over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Its address: `http://…`, `https://…`, or `unix:/path/to/socket`, with `:/path` behind it when the endpoint is not
    /// `/mcp`.
    pub url: String,
    /// Headers of every request. Values as written; see [`crate::Text`].
    pub headers: Vec<(String, String)>,
}

/// Wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Standard input and output.
    Stdio,
    /// Streamable HTTP.
    Http,
    /// HTTP with a separate event stream, as in the oldest revision.
    Sse,
}

/// Who shares a process of a server, from most to fewest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// All clients.
    #[default]
    Shared,
    /// One process per client.
    Client,
    /// One process per run: what the client names so (`io.cella/run` in `_meta`), else its session. A request with neither
    /// is refused.
    Run,
}

/// When a server starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the first call or list that needs it.
    #[default]
    Lazy,
    /// With the node.
    Eager,
}

/// A curated view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewConfig {
    /// Servers in it; `None`: all.
    pub servers: Option<Vec<String>>,
    /// Patterns of names in it; `None`: all.
    pub allow: Option<Vec<String>>,
    /// Patterns of names not in it.
    pub deny: Vec<String>,
    /// Names and their new names.
    pub rename: BTreeMap<String, String>,
}

/// The node's own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// Address of the TCP door; `Some("none")`: no such door.
    pub listen: Option<String>,
    /// File with the access token.
    pub token_file: Option<PathBuf>,
    /// The unix socket.
    pub socket: Option<PathBuf>,
    /// Names under which the door may be addressed.
    pub allowed_hosts: Vec<String>,
    /// Origins that may use the door.
    pub allowed_origins: Vec<String>,
    /// Time to finish after SIGTERM.
    pub drain: Option<Duration>,
    /// Time a first list waits for starting servers.
    pub first_list_wait: Option<Duration>,
    /// Directory of agents' files, relative to the configuration.
    pub agents: Option<PathBuf>,
}

/// A provider of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// How it is spoken to.
    pub wire: Wire,
    /// Its base address; empty for a recording.
    pub url: String,
    /// Where its key comes from, as written; see [`crate::Text`]. `None`: it wants none.
    pub key: Option<String>,
    /// More headers of each request.
    pub headers: Vec<(String, String)>,
    /// Requests at the same time.
    pub concurrency: Option<u32>,
    /// Requests in a time.
    pub rate: Option<Rate>,
    /// The recording, relative to the configuration.
    pub file: Option<PathBuf>,
}

/// What an account may spend; `None`: no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetConfig {
    /// Micro-units of the currency.
    pub money_micros: Option<u64>,
    /// Tokens of models.
    pub tokens: Option<u64>,
    /// Calls of tools.
    pub calls: Option<u64>,
    /// Over which time.
    pub per: BudgetPeriod,
}

/// What a model costs, in micro-units of the currency for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriceConfig {
    /// Input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input from the provider's cache; `None`: as input.
    pub cached_input: Option<u64>,
    /// Input into the cache; `None`: as input.
    pub cache_write: Option<u64>,
}

/// Over which time a budget holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// Once and for all.
    #[default]
    Total,
    /// Each day.
    Day,
    /// Each month.
    Month,
}

/// The ledger's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Its directory.
    pub path: Option<PathBuf>,
    /// What is kept of payloads.
    pub capture: Capture,
}

/// What an installer may reach beside the registries that its own configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallConfig {
    /// Hosts and ports, as written; each is an [`crate::EgressGrant`].
    pub egress: Vec<String>,
}

impl Isolation {
    /// The word in configuration and status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Client => "client",
            Self::Run => "run",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Shared, Self::Client, Self::Run].into_iter().find(|i| i.as_str() == word)
    }
}
