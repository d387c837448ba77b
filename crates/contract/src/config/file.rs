//! The keys of `cella.toml`. Their comments are the descriptions in the published JSON Schema.

use std::time::Duration;

use crate::{
    ByteSize, Capture, EnvName, HeaderName, Isolation, Registry, ServerName, Start,
    pattern::ItemPattern,
    read::{Located, Named, choices, table},
    texts::{
        ContractText, ExposedName, HostText, IdleStop, ItemText, OriginText, PackageText, PathText, Plain,
        Redact, SocketText, ValueText, VersionText,
    },
};

table! {
    /// Configuration of Cella.
    pub(crate) struct ConfigTable {
        /// Version of the format; 1, which is the default.
        version: u32,
        /// MCP servers by name: 1 to 32 of A-Z a-z 0-9 _ -.
        servers: Vec<Named<ServerName, ServerTable>>,
        /// Curated tool sets by name, each at /mcp/views/NAME.
        views: Vec<Named<ServerName, ViewTable>>,
        /// Clients with tokens of their own, by name.
        clients: Vec<Named<ServerName, ClientTable>>,
        /// How the node is reached.
        node: NodeTable,
        /// What is recorded, and where.
        ledger: LedgerTable,
        /// Ceilings of the whole node, whatever contracts say.
        limits: NodeLimitsTable,
    }
}

table! {
    /// One MCP server: a program (`command`) or a remote one (`url`).
    pub(crate) struct ServerTable {
        /// Program to run: a name found in PATH, or a path. It runs in a cell, under its contract.
        command: Plain,
        /// Arguments of the program. `${NAME}` and `${NAME:-default}` are replaced by variables of the node's environment.
        args: Vec<Located<Plain>>,
        /// Environment of the program; it inherits nothing. A secret is named, not written: "env:NAME", "file:PATH" or "cmd:LINE".
        env: Vec<Named<EnvName, ValueText>>,
        /// Working directory of the program. The contract must show it to the cell.
        cwd: Plain,
        /// Address of a remote server: http://, https://, or unix: and the path of a socket.
        url: Plain,
        /// Headers of every request to a remote server. A secret is named: "env:NAME", or "Bearer ${env:NAME}".
        headers: Vec<Named<HeaderName, ValueText>>,
        /// How the server is spoken to. Default: stdio for a program, found out for a url.
        transport: Transport,
        /// What the server may touch and what its tools promise: "untrusted" (default), "semi-trusted", "trusted", or a contract file.
        contract: ContractText,
        /// Who shares one process of the server. Default: shared.
        isolation: Isolation,
        /// When the server is started. Default: lazy.
        start: Start,
        /// Stop the server after so long without use, for example "10m", or "never". Default: 10m.
        idle_stop: IdleStop,
        /// Longest time for a call. Default: 10m.
        call_timeout: Duration,
        /// Longest time from launch to the end of the handshake. Default: 60s.
        start_timeout: Duration,
        /// Whether the server is there at all. Default: true.
        enabled: bool,
        /// What its tools' names begin with on /mcp, instead of the server's name.
        namespace: ServerName,
        /// Where its files came from; written by `cella add`.
        install: InstallTable,
    }
}

choices! {
    /// How a server is spoken to.
    pub(crate) enum Transport {
        /// Lines on standard input and output.
        Stdio = "stdio",
        /// Streamable HTTP.
        Http = "http",
        /// HTTP with a separate stream of server-sent events (MCP 2024-11-05).
        Sse = "sse",
    }
}

table! {
    /// A package that Cella installed.
    pub(crate) struct InstallTable {
        /// The registry it came from.
        @required from: Registry,
        /// The package, without version.
        @required package: PackageText,
        /// The exact version.
        @required version: VersionText,
        /// Digest of what was installed.
        digest: VersionText,
    }
}

table! {
    /// A curated part of the catalogue.
    pub(crate) struct ViewTable {
        /// Servers it shows. Default: all.
        servers: Vec<Located<ServerName>>,
        /// Which of their tools.
        tools: FilterTable,
        /// Which of their prompts.
        prompts: FilterTable,
        /// Which of their resources; patterns match the server and the whole URI.
        resources: FilterTable,
        /// New names of tools: "server/tool" = "name".
        rename: Vec<Named<ItemText, ExposedName>>,
    }
}

table! {
    /// A part of a list. Denial wins.
    pub(crate) struct FilterTable {
        /// Patterns "server/name" of what is shown; `*` is any text, `?` one character; "server" alone is all of it. Default: everything.
        allow: Vec<Located<ItemPattern>>,
        /// Patterns of what is not shown.
        deny: Vec<Located<ItemPattern>>,
    }
}

table! {
    /// A client with a token of its own.
    pub(crate) struct ClientTable {
        /// File that holds the token; made when absent, readable by its owner only.
        @required token_file: PathText,
        /// The only view that the client may use. Default: everything.
        view: ServerName,
    }
}

table! {
    /// How the node is reached.
    pub(crate) struct NodeTable {
        /// Address of the HTTP door, for example "127.0.0.1:7878".
        listen: SocketText,
        /// File of the token for it; made when absent, readable by its owner only.
        token_file: PathText,
        /// Path of the unix socket, where the system vouches for who connects.
        socket: PathText,
        /// Host names under which the node may be addressed, beyond loopback.
        allowed_hosts: Vec<Located<HostText>>,
        /// Web origins whose pages may call the node, for example "https://console.example.com". Default: none.
        allowed_origins: Vec<Located<OriginText>>,
        /// Longest time that calls in progress get when the node is told to end. Default: 10s.
        drain: Duration,
    }
}

table! {
    /// What is recorded, and where.
    pub(crate) struct LedgerTable {
        /// Directory of the ledger.
        path: PathText,
        /// What is kept of arguments and results: "full" or "digest". Default: full.
        capture: Capture,
        /// Members taken out before anything is kept: names ("password", "*token*") at any depth, or JSON pointers ("/card/number").
        redact: Vec<Located<Redact>>,
        /// Delete arguments and results after so long, for example "30d"; events stay. Default: never.
        retention: Duration,
    }
}

table! {
    /// Ceilings of the whole node.
    pub(crate) struct NodeLimitsTable {
        /// Servers running at once. Past it a call that needs another one is told to wait. Default: 256.
        servers: u32,
        /// Connections of clients at once. Past it new ones are not accepted. Default: 4096.
        connections: u32,
        /// Calls in progress at once. Past it a call is refused as overloaded. Default: 4096.
        calls: u32,
        /// Size of one message from a client. Past it the message is refused. Default: 16MiB.
        message: ByteSize,
    }
}
