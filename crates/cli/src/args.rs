//! What a person types, as clap understands it. Meaning is given to it in `command`.

mod secret;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::{ArgValueCandidates, ArgValueCompleter};

mod cells;
mod workspace;

pub(crate) use self::cells::{ContractArgs, ContractVerb, Exec, Shell, Top};
pub(crate) use self::workspace::{Prune, Workspace, WorkspaceVerb};
pub(crate) use cella_runs::{Prices, RunVerb};

use crate::complete;

pub(crate) use cella_terminal::{Global, Target};
pub(crate) use secret::{Import as SecretImport, Rm as SecretRm, Secret, SecretVerb, Set as SecretSet};

/// One process between any agent and any MCP server.
#[derive(Debug, Parser)]
#[command(
    name = "cella",
    version,
    disable_help_subcommand = true,
    about = "One URL for all your MCP servers: each confined by the kernel, each call checked and on record.",
    after_help = "Examples:\n  cella demo                         see everything work, in a fresh directory\n  cella import                       take over the servers your clients use today\n  cella up                           start the node\n  cella client setup                 point your clients at it\n  cella call time get_current_time '{\"timezone\":\"Europe/Berlin\"}'\n\nErrors carry a code; `cella explain CE2104` explains one.\nExit codes: 0 ok, 1 failed, 2 usage, 3 partly degraded, 4 credentials needed,\n5 refused by policy, 7 differs, 69 not running, 75 timed out, 78 configuration."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the node and serve until told to stop
    #[command(
        after_help = "Examples:\n  cella up\n  cella up --listen 127.0.0.1:9000 --token-file ~/.cella-token\n  cella up --json                       one JSON document with URL, socket and token file\n\nPrints `ready` and the URL once calls are accepted. SIGHUP reads the configuration again; SIGTERM and Ctrl-C let\ncalls in progress finish. Under systemd: docs/guide/systemd.md."
    )]
    Up(Up),
    /// Show everything at work in a fresh directory, then clean up
    #[command(after_help = "Examples:\n  cella demo\n  cella demo --offline --keep")]
    Demo(Demo),
    /// Add a server
    #[command(
        after_help = "Examples:\n  cella add time --builtin time\n  cella add fs -- npx -y @modelcontextprotocol/server-filesystem ~/work\n  cella add git -- uvx mcp-server-git --repository ~/work\n  cella add linear --url https://mcp.linear.app/mcp\n  cella add brave --yes -- npx -y @modelcontextprotocol/server-brave-search\n\nA server that is a program is started once in a cell that reaches nothing and is asked for its lists, never for a call.\nWhat it tried is proposed as its contract, contracts/NAME.toml, with the reason of each line. Its hosts are what the\nserver asked for: look at them before you say yes. Without a terminal and without --yes nothing of it is granted."
    )]
    Add(Add),
    /// Remove a server
    #[command(after_help = "Example:\n  cella rm time")]
    Rm(Rm),
    /// List the configured servers
    #[command(after_help = "Examples:\n  cella ls\n  cella ls --json")]
    Ls,
    /// Show what every server is doing
    #[command(
        after_help = "Examples:\n  cella status\n  cella status --json\n  cella status --url http://127.0.0.1:7878 --token-file token\n\nExit codes: 0 all well, 3 some server is not or the configuration was refused, 69 no node is running."
    )]
    Status(Target),
    /// Call one tool
    #[command(after_help = "Example:\n  cella call time get_current_time '{\"timezone\":\"Asia/Tokyo\"}'")]
    Call(Call),
    /// List the tools clients see
    #[command(
        after_help = "Examples:\n  cella tools\n  cella tools time\n  cella tools --view reading --json"
    )]
    Tools(Tools),
    /// Read the ledger
    #[command(
        after_help = "Examples:\n  cella log tail --follow\n  cella log query --kind call.refused\n  cella log why 42\n  cella log verify"
    )]
    Log(Log),
    /// Keep the secrets of servers, sealed; a value goes in and is never printed
    #[command(
        after_help = "Examples:\n  cella secret set github\n  cella secret ls\n  cella secret import                 what looks like a secret in cella.toml\n\nHow they are kept, and what that protects against: docs/guide/secrets.md."
    )]
    Secret(Secret),
    /// Take over the MCP servers of other clients
    #[command(
        after_help = "Examples:\n  cella import --dry-run              what would change, and nothing changes\n  cella import cursor vscode\n  cella import --file ~/old/mcp.json --yes\n  cella import --keep-secrets         leaves values that look like secrets in plain text\n\nThe clients' own files stay as they are. Values that look like secrets move into the vault: cella secret ls.\nExit codes: 0 all well, 3 something was left out or the running node refuses the configuration."
    )]
    Import(Import),
    /// Point clients at this node
    #[command(
        after_help = "Examples:\n  cella client ls\n  cella client setup --dry-run\n  cella client setup cursor\n  cella client restore"
    )]
    Client(Client),
    /// Find out what works on this machine and what does not
    #[command(
        after_help = "Examples:\n  cella doctor\n  cella doctor --quick --json\n\nExit codes: 0 all good, 3 something is weak, 1 something is bad."
    )]
    Doctor(Doctor),
    /// Serve one client on stdin and stdout, by the socket of the node; starts one if none runs, which stays for the next
    #[command(
        after_help = "Examples:\n  cella stdio\n  cella stdio --server time\n  claude mcp add cella -- cella stdio"
    )]
    Stdio(Stdio),
    /// The node that `stdio` starts
    #[command(hide = true)]
    Linger(Linger),
    /// Run any command in a cell, with this terminal's or script's standard streams
    #[command(
        after_help = "Examples:\n  cella exec --contract untrusted -- python3 -c 'print(1 + 1)'\n  cella exec --contract job.toml -- sh -c 'sort < /data/in > /data/out'\n  cella exec --contract job.toml --env LANG=C --cwd /data --report -- make\n  cella exec --contract job.toml --copy -- make     what it changes is kept apart: cella workspace\n  tar c src | cella exec --contract untrusted -- sha256sum\n\nNo node is needed. Only what the contract grants is visible; the environment is HOME, PATH, TMPDIR, LANG and --env.\nA terminal on stdin is a pipe for the program: no job control, no line editing. SIGINT, SIGTERM and SIGHUP ask the\nprogram to end (SIGTERM) and kill it after 5 s; a second one kills at once.\n\nExit codes: the program's own, 128+n when signal n ended it, 75 ended by the contract's time limit; and when nothing ran:\n2 usage, 5 this machine cannot enforce the contract, 78 contract or configuration, 126 not executable, 127 not found."
    )]
    Exec(Exec),
    /// A shell in a cell like the one of a configured server
    #[command(
        after_help = "Examples:\n  cella shell files\n  cella shell files -- -c 'ls -l /home/cell'\n\nIt sees what the server sees; the server's environment is not set. Exit codes: as for cella exec."
    )]
    Shell(Shell),
    /// Read, compare and try contracts
    #[command(
        after_help = "Examples:\n  cella contract show files\n  cella contract diff untrusted job.toml\n  cella contract test job.toml"
    )]
    Contract(ContractArgs),
    /// What runs changed in their copies of directories: look at it, commit it, discard it
    #[command(
        after_help = "Examples:\n  cella exec --contract job.toml --copy -- make     changes land in a workspace\n  cella workspace diff 3f9a\n  cella workspace commit 3f9a"
    )]
    Workspace(Workspace),
    #[command(flatten)]
    Runs(RunVerb),
    /// What models cost, and who says so
    #[command(
        after_help = "Examples:\n  cella prices openai/gpt-5            what counts for this model, and where it is from\n  cella prices anthropic               all that are known of a vendor\n  cella prices --json\n  cella prices --from model_prices_and_context_window.json\n\nWhat [prices.\"PROVIDER/MODEL\"] of the configuration says counts first, then prices.tsv beside it, then the table that came along."
    )]
    Prices(Prices),
    /// Watch the cells of a running node: processor, memory, processes
    #[command(after_help = "Examples:\n  cella top\n  cella top --once\n  cella top --once --json")]
    Top(Top),
    /// Look at the configuration
    #[command(
        after_help = "Examples:\n  cella config validate\n  cella config path\n  cella config schema > cella.schema.json"
    )]
    Config(Config),
    /// Print a shell completion script, which completes servers and tools too
    #[command(
        after_help = "Examples:\n  source <(cella completion bash)          in ~/.bashrc\n  source <(cella completion zsh)           in ~/.zshrc, after compinit\n  cella completion fish | source           in ~/.config/fish/config.fish"
    )]
    Completion(Completion),
    /// Explain an error code
    #[command(after_help = "Examples:\n  cella explain CE2104\n  cella explain CE2104 --json")]
    Explain(Explain),
    /// Show the help of a verb, or explain an error code
    #[command(after_help = "Examples:\n  cella help log query\n  cella help CE2104")]
    Help(Help),
    /// Serve a built-in MCP server on stdin and stdout (what the node runs in a cell)
    #[command(hide = true)]
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Address of the HTTP door [default: 127.0.0.1:7878]
    #[arg(long, env = "CELLA_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// Access token for the HTTP door; the file is made if there is none
    #[arg(long, env = "CELLA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Start although acknowledged events are damaged or missing at the end of the ledger; the loss is put on record
    #[arg(long)]
    pub(crate) accept_loss: bool,
    /// Log format on stderr
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the directory with configuration and ledger
    #[arg(long)]
    pub(crate) keep: bool,
    /// Only the built-in servers; nothing is installed from npm or PyPI
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Name of the server, as clients will see it
    pub(crate) name: String,
    /// A server reached over HTTP
    #[arg(long, conflicts_with_all = ["builtin", "command"])]
    pub(crate) url: Option<String>,
    /// One of Cella's own: files, time, fetch
    #[arg(long, conflicts_with = "url")]
    pub(crate) builtin: Option<String>,
    /// A preset (trusted, semi-trusted, untrusted) or a contract file
    #[arg(long, value_name = "PRESET|FILE")]
    pub(crate) contract: Option<String>,
    /// Environment for the server, KEY=VALUE (a secret: KEY=vault:NAME, see cella secret)
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,
    /// HTTP header for --url, NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) header: Vec<String>,
    /// Let code of the package run in the cell of its installer, where it has to be built
    #[arg(long, conflicts_with_all = ["url", "builtin"])]
    pub(crate) build_from_source: bool,
    /// Do not install or start it now
    #[arg(long)]
    pub(crate) no_install: bool,
    /// Do not start it once to see what it needs
    #[arg(long)]
    pub(crate) no_observe: bool,
    /// Take the proposed contract without asking
    #[arg(long, short, conflicts_with = "no_input")]
    pub(crate) yes: bool,
    /// Never ask: what is not granted by --yes or --contract stays denied
    #[arg(long)]
    pub(crate) no_input: bool,
    /// The command that starts the server
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Name of the server
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// Name of the server
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    pub(crate) server: String,
    /// Name of the tool, as the server spells it
    #[arg(add = ArgValueCompleter::new(complete::tools))]
    pub(crate) tool: String,
    /// Arguments as a JSON object; `-` reads them from stdin
    #[arg(default_value = "{}")]
    pub(crate) arguments: String,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Tools {
    /// Only this server's
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    pub(crate) server: Option<String>,
    /// Only this view's
    #[arg(long, conflicts_with = "server", add = ArgValueCandidates::new(complete::views))]
    pub(crate) view: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(subcommand)]
    pub(crate) what: LogVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// The newest events
    #[command(
        after_help = "Examples:\n  cella log tail\n  cella log tail -n 100 --json\n  cella log tail --follow"
    )]
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u64,
        /// Go on printing as events come
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        target: Target,
    },
    /// One event with its payloads
    #[command(after_help = "Example:\n  cella log show 42")]
    Show {
        /// Number of the event
        seq: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Events that match
    #[command(
        after_help = "Examples:\n  cella log query --kind call.refused\n  cella log query --server files --tool write_file --limit 10 --json"
    )]
    Query(LogQuery),
    /// Check every event, the chain and every payload
    #[command(
        after_help = "Examples:\n  cella log verify\n  cella log verify --json\n\nExit codes: 0 nothing was changed, 1 the ledger was changed or damaged."
    )]
    Verify {
        /// An exported file, instead of the ledger
        file: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Write all events as NDJSON: one JSON document a line
    #[command(
        after_help = "Examples:\n  cella log export -o events.ndjson\n  cella log export --payloads | jq .event.kind"
    )]
    Export {
        /// Where to [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Payloads too
        #[arg(long)]
        payloads: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Why a call went as it did
    #[command(
        after_help = "Examples:\n  cella log why 42          by the number of one of its events\n  cella log why 7f3a...     by the call's id"
    )]
    Why {
        /// The call's id, or the number of one of its events
        call: String,
        #[command(flatten)]
        target: Target,
    },
    /// Drop the projections (cost, audit, replay, analytics) and build them again from the ledger
    #[command(
        after_help = "Examples:\n  cella log rebuild\n  cella log rebuild --json      rows and digest of every table\n\nWorks with a running node and without one. Nothing is lost: the tables are made of the events alone."
    )]
    Rebuild {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LogQuery {
    /// Kind of event, for example call.refused; may be repeated
    #[arg(long)]
    pub(crate) kind: Vec<String>,
    /// Name of a server
    #[arg(long, add = ArgValueCandidates::new(complete::servers))]
    pub(crate) server: Option<String>,
    /// Name of a tool
    #[arg(long)]
    pub(crate) tool: Option<String>,
    /// Who asked
    #[arg(long)]
    pub(crate) principal: Option<String>,
    /// At most this many, the newest
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Only from these clients [default: all that are found]
    #[arg(add = ArgValueCandidates::new(complete::clients))]
    pub(crate) from: Vec<String>,
    /// Read this file instead of looking for clients
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Show what would change and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Do not install npm and PyPI packages now
    #[arg(long)]
    pub(crate) no_install: bool,
    /// Leave values that look like secrets in the configuration, in plain text
    #[arg(long)]
    pub(crate) keep_secrets: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Client {
    #[command(subcommand)]
    pub(crate) what: ClientVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientVerb {
    /// Which clients are on this machine, and do they use this node?
    #[command(after_help = "Examples:\n  cella client ls\n  cella client ls --json")]
    Ls,
    /// Write this node into clients' configuration in the place of the servers it serves; shows the difference, keeps a backup
    #[command(
        after_help = "Examples:\n  cella client setup --dry-run\n  cella client setup claude-code codex --yes\n  cella client setup cursor --http\n  cella client setup cursor --keep       beside the client's own entries, which run outside any cell\n\nA client's own entry goes when cella.toml has a server of that name that starts the same program or\ncalls the same URL; every other one stays and is named. `cella client restore` puts them back."
    )]
    Setup {
        /// Only these [default: all that are found]
        #[arg(add = ArgValueCandidates::new(complete::clients))]
        clients: Vec<String>,
        /// Show the difference and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Write the URL and the token instead of `cella stdio`, which needs no token
        #[arg(long)]
        http: bool,
        /// Leave the client's own entries, which run outside any cell
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Put back what setup changed
    #[command(after_help = "Examples:\n  cella client restore\n  cella client restore cursor --yes")]
    Restore {
        /// Only these [default: all that were changed]
        #[arg(add = ArgValueCandidates::new(complete::clients))]
        clients: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Print what a client's configuration needs
    #[command(
        after_help = "Examples:\n  cella client config claude-code\n  cella client config codex --http"
    )]
    Config {
        /// Name of the client
        #[arg(add = ArgValueCandidates::new(complete::clients))]
        client: String,
        /// With the URL and the token
        #[arg(long)]
        http: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Do not start servers to look at them
    #[arg(long)]
    pub(crate) quick: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stdio {
    /// Only this server, with its own names
    #[arg(long, add = ArgValueCandidates::new(complete::servers))]
    pub(crate) server: Option<String>,
    /// Only this view
    #[arg(long, conflicts_with = "server", add = ArgValueCandidates::new(complete::views))]
    pub(crate) view: Option<String>,
    /// How long a node that this starts stays without a client: 30s, 10m, 2h
    #[arg(long, env = "CELLA_LINGER", default_value = "10m", value_name = "DURATION", value_parser = duration)]
    pub(crate) linger: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Linger {
    /// How long to stay without a client
    #[arg(long, value_name = "DURATION")]
    pub(crate) idle: String,
}

/// Checked here, kept as it was typed.
fn duration(text: &str) -> Result<String, &'static str> {
    match cella_contract::parse_duration(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write it as 30s, 10m or 2h"),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) what: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Check the configuration and every contract it names
    #[command(
        after_help = "Examples:\n  cella config validate\n  cella config validate --config ./cella.toml --json"
    )]
    Validate,
    /// Where configuration, state and socket are
    #[command(after_help = "Examples:\n  cella config path\n  cella config path --json")]
    Path,
    /// The configuration as Cella understands it, secrets hidden
    #[command(after_help = "Example:\n  cella config show")]
    Show,
    /// The JSON Schema of cella.toml, of contract files, or of agents' files
    #[command(
        after_help = "Examples:\n  cella config schema\n  cella config schema contract\n  cella config schema agent"
    )]
    Schema {
        /// config, contract or agent
        #[arg(default_value = "config", value_parser = ["config", "contract", "agent"])]
        of: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new(), add = ArgValueCandidates::new(complete::shells))]
    pub(crate) shell: String,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// For example CE2104
    #[arg(add = ArgValueCandidates::new(complete::codes))]
    pub(crate) code: String,
}

#[derive(Debug, Args)]
pub(crate) struct Help {
    /// A verb, for example `log query`, or a code, for example CE2104
    #[arg(value_name = "VERB|CODE")]
    pub(crate) about: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// files, time or fetch
    pub(crate) name: String,
    /// The server's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}
