//! From text to [`Config`], with everything that is wrong reported at once.

use std::{collections::BTreeMap, num::NonZeroU16, ops::Range, path::PathBuf};

use super::{
    CellEndpoint, Config, InstallConfig, Isolation, LedgerConfig, NodeConfig, Remote, Run, ServerConfig,
    Start, StdioProgram, Transport, ViewConfig,
};
use crate::{
    Capture, ContractSource, Diagnostics, EgressFault, EgressGrant, Severity, codes,
    diagnostic::{Diagnostic, Origin},
    shape::{CONFIG, Checked, Table, check},
    text,
};

/// Longest server name. With `mcp__cella__`, `__` and a tool name of 40 characters it stays under the 64 that model
/// providers accept.
const SERVER_NAME_MAX: usize = 32;

impl Config {
    /// Reads `cella.toml`. `file` is its name for messages.
    ///
    /// Gives the configuration and its warnings.
    ///
    /// # Errors
    /// Everything that is wrong, warnings included.
    pub fn parse(file: &str, text: &str) -> Result<(Self, Diagnostics), Diagnostics> {
        let Checked { origin, root, found } = check(file, text, &CONFIG);
        let mut reading = Reading { origin, found };
        let config = reading.config(Table(root.get_ref()));
        let diagnostics = Diagnostics(reading.found);
        if diagnostics.has_errors() { Err(diagnostics) } else { Ok((config, diagnostics)) }
    }
}

pub(super) struct Reading<'a> {
    origin: Origin<'a>,
    found: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn config(&mut self, root: Table<'_>) -> Config {
        let mut servers = BTreeMap::new();
        for (name, table, place) in root.named("servers") {
            self.server_name(name, place.clone());
            if let Some(server) = self.server(name, table, place) {
                servers.insert(name.to_owned(), server);
            }
        }
        let mut views = BTreeMap::new();
        for (name, table, place) in root.named("views") {
            self.server_name(name, place);
            for (server, place) in table.placed_texts("servers") {
                if !servers.contains_key(server) {
                    let known: Vec<&str> = servers.keys().map(String::as_str).collect();
                    let fix = format!("servers are: {}", known.join(", "));
                    self.error(
                        place,
                        "CE1009",
                        format!("the view `{name}` names `{server}`, which is no server"),
                        fix,
                    );
                }
            }
            views.insert(name.to_owned(), view(table));
        }
        let node = root.table("node").map(node).unwrap_or_default();
        let ledger = root.table("ledger").map(ledger).unwrap_or_default();
        let install = root.table("install").map(|table| self.install(table)).unwrap_or_default();
        let providers = self.providers(root);
        let budgets = self.budgets(root);
        let prices = self.prices(root);
        let (principals, rates) = (self.principals(root), self.rates(root));
        Config { servers, views, node, ledger, install, providers, budgets, prices, principals, rates }
    }

    fn install(&mut self, table: Table<'_>) -> InstallConfig {
        let egress = table.placed_texts("egress");
        for (host, place) in &egress {
            if let Err(fault) = host.parse::<EgressGrant>() {
                let text = format!("`{host}` is no egress grant: {fault}");
                self.error(place.clone(), EgressFault::CODE, text, fault.fix());
            }
        }
        InstallConfig { egress: egress.into_iter().map(|(host, _)| host.to_owned()).collect() }
    }

    fn server_name(&mut self, name: &str, place: Range<usize>) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let fix = match name {
            "" => "give it a name",
            n if n.len() > SERVER_NAME_MAX => "use at most 32 characters: names of tools are built from it",
            n if !n.chars().all(plain) => "use letters, digits, `-` and `_` only",
            n if n.contains("__") => "use a single `_`: `__` stands between server and tool",
            _ => return,
        };
        self.error(place, "CE1005", format!("`{name}` cannot be a name"), fix.to_owned());
    }

    fn server(&mut self, name: &str, table: Table<'_>, place: Range<usize>) -> Option<ServerConfig> {
        let run = match (table.text("command"), table.text("url")) {
            (Some(_), Some(_)) => {
                let fix = "keep `command` for a program run here, or `url` for a remote server".to_owned();
                self.error(
                    table.place("url"),
                    codes::CONTRADICTION,
                    format!("`{name}` has both a command and a url"),
                    fix,
                );
                return None;
            }
            (None, None) => {
                let fix = "add `command = \"…\"` or `url = \"https://…\"`".to_owned();
                self.error(place, "CE1007", format!("`{name}` has neither a command nor a url"), fix);
                return None;
            }
            (Some(command), None) => Run::Program(self.program(name, command, table)),
            (None, Some(url)) => Run::Remote(self.remote(name, url, table)?),
        };
        let transport = match table.text("transport") {
            Some("stdio") => Some(Transport::Stdio),
            Some("http") => Some(Transport::Http),
            Some("sse") => Some(Transport::Sse),
            _ => None,
        };
        let by_http = match &run {
            Run::Program(program) => program.endpoint.is_some(),
            Run::Remote(_) => true,
        };
        if transport.is_some_and(|transport| (transport == Transport::Stdio) == by_http) {
            let fix = "a command speaks stdio, one with a port or a url http or sse; leave `transport` out to have it found"
                .to_owned();
            self.error(
                table.place("transport"),
                "CE1008",
                format!("`{name}` cannot speak this transport"),
                fix,
            );
        }
        Some(ServerConfig {
            name: name.to_owned(),
            run,
            transport,
            contract: ContractSource::read(table.text("contract")),
            isolation: table.text("isolation").and_then(Isolation::parse),
            start: if table.text("start") == Some("eager") { Start::Eager } else { Start::Lazy },
            idle_stop: table.duration("idle_stop"),
            start_timeout: table.duration("start_timeout"),
            call_timeout: table.duration("call_timeout"),
            instances: table.count("instances"),
            warm: table.flag("warm"),
            enabled: table.flag("enabled").unwrap_or(true),
            build_from_source: table.flag("build_from_source").unwrap_or(false),
            best_effort: table.flag("best_effort").unwrap_or(false),
        })
    }

    fn program(&mut self, name: &str, command: &str, table: Table<'_>) -> StdioProgram {
        self.only_for(name, table, "headers", "a remote server");
        if command.trim().is_empty() {
            let fix = "write the program's name or path".to_owned();
            self.error(table.place("command"), codes::WRONG_VALUE, "`command` is empty".into(), fix);
        }
        StdioProgram {
            command: command.to_owned(),
            args: table.texts("args").unwrap_or_default(),
            env: self.values(name, table, "env"),
            cwd: table.text("cwd").map(str::to_owned),
            endpoint: self.endpoint(name, table),
        }
    }

    /// `port` and `path` of a program that speaks HTTP in its cell.
    fn endpoint(&mut self, name: &str, table: Table<'_>) -> Option<CellEndpoint> {
        let path = table.text("path");
        let Some(port) = table.count("port") else {
            self.only_for(name, table, "path", "a program with a `port`");
            return None;
        };
        let number = u16::try_from(port).ok().and_then(NonZeroU16::new);
        if number.is_none() {
            let fix = "write the port that the program listens on, 1 to 65535".to_owned();
            self.error(table.place("port"), codes::WRONG_VALUE, format!("{port} is no TCP port"), fix);
        }
        if path.is_some_and(|path| !path.starts_with('/')) {
            let fix = "write it from its root: /mcp".to_owned();
            self.error(table.place("path"), codes::WRONG_VALUE, "`path` does not begin with /".into(), fix);
        }
        Some(CellEndpoint { port: number?, path: path.unwrap_or("/mcp").to_owned() })
    }

    fn remote(&mut self, name: &str, url: &str, table: Table<'_>) -> Option<Remote> {
        for key in ["args", "env", "cwd", "port", "path", "warm"] {
            self.only_for(name, table, key, "a program");
        }
        let known = ["http://", "https://", "unix:/", "${"];
        if !known.iter().any(|start| url.starts_with(start)) {
            let fix = "write the whole address: https://host/path, or unix:/path/to/socket".to_owned();
            self.error(
                table.place("url"),
                codes::WRONG_VALUE,
                format!("`{url}` is not an http, https or unix address"),
                fix,
            );
            return None;
        }
        Some(Remote { url: url.to_owned(), headers: self.values(name, table, "headers") })
    }

    pub(super) fn only_for(&mut self, name: &str, table: Table<'_>, key: &str, whom: &str) {
        if table.get(key).is_some() {
            let text = format!("`{key}` of `{name}` means nothing here: it is for {whom}");
            self.error(table.place(key), codes::CONTRADICTION, text, format!("take `{key}` out"));
        }
    }

    pub(super) fn values(&mut self, name: &str, table: Table<'_>, key: &str) -> Vec<(String, String)> {
        let mut values = Vec::new();
        for (variable, value, place) in table.text_map(key) {
            // Where a secret's name is not one, what stands there would be taken for the value.
            if value.strip_prefix("vault:").is_some_and(|name| !text::is_vault_name(name)) {
                let fix = "write vault:NAME with 1 to 64 letters, digits, `.`, `_` and `-`".to_owned();
                let message = format!("`{variable}` of `{name}` names no secret of the vault");
                self.error(place.clone(), "CE1010", message, fix);
            }
            if text::looks_like_secret(variable, value) {
                let message = format!("`{variable}` of `{name}` looks like a secret in plain text");
                let fix = Some(format!(
                    "move it into the vault: cella secret import; or {variable} = \"env:{variable}\", file:PATH, cmd:PROGRAM"
                ));
                self.found.push(self.origin.at(place, Severity::Warning, "CE1011", message, fix));
            }
            values.push((variable.to_owned(), value.to_owned()));
        }
        values
    }

    pub(super) fn error(&mut self, place: Range<usize>, code: &'static str, message: String, fix: String) {
        self.found.push(self.origin.at(place, Severity::Error, code, message, Some(fix)));
    }
}

fn view(table: Table<'_>) -> ViewConfig {
    ViewConfig {
        servers: table.texts("servers"),
        allow: table.texts("allow"),
        deny: table.texts("deny").unwrap_or_default(),
        rename: table.text_map("rename").into_iter().map(|(k, v, _)| (k.to_owned(), v.to_owned())).collect(),
    }
}

fn node(table: Table<'_>) -> NodeConfig {
    NodeConfig {
        listen: table.text("listen").map(str::to_owned),
        token_file: table.text("token_file").map(PathBuf::from),
        socket: table.text("socket").map(PathBuf::from),
        allowed_hosts: table.texts("allowed_hosts").unwrap_or_default(),
        allowed_origins: table.texts("allowed_origins").unwrap_or_default(),
        drain: table.duration("drain"),
        first_list_wait: table.duration("first_list_wait"),
        agents: table.text("agents").map(PathBuf::from),
    }
}

fn ledger(table: Table<'_>) -> LedgerConfig {
    let capture = match (table.text("capture"), table.texts("capture")) {
        (Some("digest"), _) => Capture::Digest,
        (_, Some(names)) => Capture::Redact(names),
        _ => Capture::Full,
    };
    LedgerConfig { path: table.text("path").map(PathBuf::from), capture }
}
