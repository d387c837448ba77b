//! A server's section: a program or a URL, never both, and no secret in plain sight.

use std::collections::BTreeMap;

use super::{ServerName, values};
use crate::{
    CALL_TIMEOUT, Code, ContractRef, IDLE_STOP, Install, Isolation, Program, Remote, RemoteTransport,
    START_TIMEOUT, Server, Start, Target, Template,
    config::file::{InstallTable, ServerTable, Transport},
    read::{Fault, Located, Named, Reader, Slot},
    secret,
    template::Part,
    texts::{Plain, ValueText},
};

/// Keys that only a program has.
const PROGRAM: &str = "a program";
/// Keys that only a remote server has.
const REMOTE: &str = "a remote server";

/// The server; `None` when nothing could be reached by what is written, which has been said.
pub(super) fn server(
    name: Located<ServerName>,
    table: Located<ServerTable>,
    reader: &mut Reader<'_>,
) -> Option<Server> {
    let (span, table) = (table.span, table.value);
    one_target(&name, &span, &table, reader);
    strays(&name, &table, reader);
    transport(&table, reader);
    plain_secrets(&table, reader);
    let origin = reader.origin(&name.span);
    let target = if table.command.is_there() {
        Target::Program(Program {
            command: table.command.take()?.0,
            args: values(table.args).into_iter().map(|a| a.0).collect(),
            env: named(table.env),
            cwd: table.cwd.take().map(|c| c.0),
        })
    } else {
        let transport = match table.transport.get() {
            Some(Transport::Http) => Some(RemoteTransport::Http),
            Some(Transport::Sse) => Some(RemoteTransport::Sse),
            _ => None,
        };
        let url = table.url.into_located()?;
        well_formed(&url, reader);
        Target::Remote(Remote { url: url.value.0, headers: named(table.headers), transport })
    };
    Some(Server {
        name: name.value,
        origin,
        target,
        contract: table.contract.take().map_or(ContractRef::Absent, |c| c.0),
        isolation: table.isolation.take().unwrap_or(Isolation::Shared),
        start: table.start.take().unwrap_or(Start::Lazy),
        idle_stop: table.idle_stop.take().map_or(Some(IDLE_STOP), |i| i.0),
        call_timeout: table.call_timeout.take().unwrap_or(CALL_TIMEOUT),
        start_timeout: table.start_timeout.take().unwrap_or(START_TIMEOUT),
        enabled: table.enabled.take().unwrap_or(true),
        namespace: table.namespace.take(),
        install: table.install.take().and_then(install),
    })
}

fn named<K: Ord>(slot: Slot<Vec<Named<K, ValueText>>>) -> BTreeMap<K, Template> {
    let entries = slot.take().unwrap_or_default();
    entries.into_iter().filter_map(|entry| Some((entry.name.value, entry.value?.value.0))).collect()
}

fn install(table: InstallTable) -> Option<Install> {
    Some(Install {
        from: table.from.take()?,
        package: table.package.take()?.0,
        version: table.version.take()?.0,
        digest: table.digest.take().map(|d| d.0),
    })
}

fn one_target(
    name: &Located<ServerName>,
    span: &std::ops::Range<usize>,
    table: &ServerTable,
    reader: &mut Reader<'_>,
) {
    match (table.command.key(), table.url.key()) {
        (Some(_), Some(url)) => {
            let message = format!("[servers.{}] has both `command` and `url`", name.value);
            let fault = Fault::new(Code::CONFLICT, message)
                .cause("a server is a program that Cella runs, or a remote one")
                .fix("keep one of the two");
            reader.error(url, "and `command` too", fault);
        }
        (None, None) => {
            let message = format!("[servers.{}] has neither `command` nor `url`", name.value);
            let fault = Fault::new(Code::MISSING_KEY, message)
                .fix("command = \"PROGRAM\" for a program, url = \"https://...\" for a remote server");
            reader.error(span.clone(), "nothing to run or reach", fault);
        }
        _ => {}
    }
    let blank =
        table.command.located().filter(|c| c.value.0.as_literal().is_some_and(|c| c.trim().is_empty()));
    if let Some(command) = blank {
        let fault = Fault::new(Code::BAD_FORM, "`command` is empty").fix("the program's name or path");
        reader.error(command.span.clone(), "no program", fault);
    }
}

/// Keys of the other kind of server.
fn strays(name: &Located<ServerName>, table: &ServerTable, reader: &mut Reader<'_>) {
    let program = table.command.is_there() && !table.url.is_there();
    let remote = table.url.is_there() && !table.command.is_there();
    let keys = [
        ("args", table.args.key(), PROGRAM),
        ("env", table.env.key(), PROGRAM),
        ("cwd", table.cwd.key(), PROGRAM),
        ("install", table.install.key(), PROGRAM),
        ("headers", table.headers.key(), REMOTE),
    ];
    for (key, span, owner) in keys {
        let stray = (owner == PROGRAM && remote) || (owner == REMOTE && program);
        if let Some(span) = span.filter(|_| stray) {
            let message = format!("`{key}` in [servers.{}] belongs to {owner}", name.value);
            let cause =
                if remote { "the server is remote (`url`)" } else { "the server is a program (`command`)" };
            reader.error(span, "has no meaning here", Fault::new(Code::CONFLICT, message).cause(cause));
        }
    }
    let idle = [("idle_stop", table.idle_stop.key()), ("isolation", table.isolation.key())];
    for (key, span) in idle.into_iter().filter(|_| remote) {
        if let Some(span) = span {
            let fault =
                Fault::new(Code::NO_EFFECT, format!("`{key}` in [servers.{}] has no effect", name.value))
                    .cause("a remote server has no process here")
                    .fix("remove it");
            reader.warn(span, "no effect", fault);
        }
    }
}

fn transport(table: &ServerTable, reader: &mut Reader<'_>) {
    let Some(transport) = table.transport.located() else { return };
    let stdio = transport.value == Transport::Stdio;
    let conflict = match (table.command.is_there(), table.url.is_there()) {
        (true, false) if !stdio => Some("a program speaks on its standard input and output (`stdio`)"),
        (false, true) if stdio => Some("a remote server speaks `http` or `sse`"),
        _ => None,
    };
    if let Some(cause) = conflict {
        let message = format!("transport = \"{}\" does not go with the rest", transport.value);
        let fault =
            Fault::new(Code::CONFLICT, message).cause(cause).fix("leave `transport` out: it is found out");
        reader.error(transport.span.clone(), "does not fit", fault);
    }
}

/// As far as it can be seen before variables are filled in.
fn well_formed(url: &Located<Plain>, reader: &mut Reader<'_>) {
    let Some(Part::Text(start)) = url.value.0.parts().first() else { return };
    let scheme = start.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let fault = |message: &str| Fault::new(Code::BAD_FORM, message);
    let fault = match (scheme.as_deref(), start.split_once("://").map(|(_, rest)| rest)) {
        (Some("unix"), _) if start.starts_with("unix:/") => return,
        (Some("unix"), _) => fault("the path of the socket is not absolute").fix("unix:/run/server.sock"),
        (Some("http" | "https"), Some(rest)) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let whole = url.value.0.as_literal().is_some();
            if host.contains('@') {
                fault("the URL has a user or password in it")
                    .fix("headers = { Authorization = \"env:NAME\" }")
            } else if (host.is_empty() && whole)
                || rest.contains(|c: char| c.is_whitespace() || c.is_control())
            {
                fault("the URL has no host, or a space in it")
            } else if rest.contains('#') {
                fault("the URL has a fragment").cause("it never reaches the server")
            } else {
                return;
            }
        }
        _ => fault("the URL has no scheme that Cella speaks").fix("http://, https://, or unix: and a path"),
    };
    reader.error(url.span.clone(), "not a usable URL", fault);
}

/// Two servers whose tools would have the same names.
pub(super) fn namespaces(servers: &BTreeMap<ServerName, Server>, reader: &mut Reader<'_>) {
    let mut seen: BTreeMap<String, &ServerName> = BTreeMap::new();
    for server in servers.values() {
        let namespace = server.namespace();
        let Some(first) = seen.insert(namespace.as_str().to_lowercase(), &server.name) else { continue };
        if server.namespace.is_none() && servers[first.as_str()].namespace.is_none() {
            // Names that differ only in case: said already.
            continue;
        }
        let message = format!("the servers {first} and {} both have the namespace {namespace}", server.name);
        let fault = Fault::new(Code::COLLISION, message)
            .cause("their tools could not be told apart")
            .fix("another `namespace` for one of them");
        reader.error_at_line(server.origin.line, "the same namespace", fault);
    }
}

/// Warns of secrets in plain sight.
fn plain_secrets(table: &ServerTable, reader: &mut Reader<'_>) {
    let env = table.env.get().into_iter().flatten();
    let env = env.filter_map(|e| Some((e.name.value.as_str().to_owned(), e.value.as_ref()?)));
    let headers = table.headers.get().into_iter().flatten();
    let headers = headers.filter_map(|h| Some((h.name.value.as_str().to_owned(), h.value.as_ref()?)));
    for (name, value) in env.chain(headers) {
        match value.value.0.parts() {
            [Part::Text(text), ..] if secret::looks_secret(&name, text) => {
                let variable = variable_for(&name);
                reader.warn(
                    value.span.clone(),
                    "a secret in plain text?",
                    literal(&name, &format!("\"env:{variable}\"")),
                );
            }
            [Part::Variable { name: variable, default: None }] if secret::names_secret(&name) => {
                let message = format!("`{name}` gets a secret from a plain variable");
                let fault = Fault::new(Code::PLAIN_VARIABLE, message)
                    .cause("Cella does not know that it is one, and may show it")
                    .fix(format!("\"env:{variable}\""));
                reader.warn(value.span.clone(), "shown in status and logs", fault);
            }
            _ => {}
        }
    }
    let args = table.args.get().into_iter().flatten().map(|arg| (&arg.value, &arg.span));
    let url = table.url.located().into_iter().map(|url| (&url.value, &url.span));
    for (value, span) in args.chain(url) {
        let texts =
            value.0.parts().iter().filter_map(|p| if let Part::Text(text) = p { Some(text) } else { None });
        let mut named =
            texts.flat_map(|text| text.split(['?', '&'])).map(|t| t.split_once('=').unwrap_or(("", t)));
        if let Some((name, _)) = named.find(|(name, text)| secret::looks_secret(name, text)) {
            let name = name.trim_start_matches('-');
            let fix = format!("${{env:{}}}", variable_for(if name.is_empty() { "token" } else { name }));
            reader.warn(span.clone(), "a secret in plain text?", literal("this text", &fix));
        }
    }
}

fn literal(name: &str, fix: &str) -> Fault {
    Fault::new(Code::LITERAL_SECRET, format!("`{name}` looks like a secret, written out"))
        .cause("whoever reads this file, or a backup of it, has the secret")
        .fix(format!("{fix}, or file:PATH, or cmd:LINE; and replace the secret where it came from"))
}

/// A variable's name for a header's or option's.
fn variable_for(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
