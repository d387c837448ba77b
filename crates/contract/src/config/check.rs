//! From the keys of `cella.toml` to a configuration: what keys and sections say together.

mod server;
mod view;

use std::collections::BTreeMap;

use super::{
    CONFIG_VERSION, Client, Config, DRAIN, LedgerSettings, NodeLimits, NodeSettings, ServerName,
    file::{ClientTable, ConfigTable, LedgerTable, NodeLimitsTable, NodeTable},
};
use crate::{
    Code,
    contract::check_version,
    read::{Fault, Located, Named, Reader, Slot},
};

/// The configuration, with every complaint made to the reader.
pub(super) fn config(table: ConfigTable, reader: &mut Reader<'_>) -> Config {
    check_version(&table.version, CONFIG_VERSION, reader);
    let servers = table.servers.take().unwrap_or_default();
    let server_names = names(&servers, "servers", reader);
    let views = table.views.take().unwrap_or_default();
    let view_names = names(&views, "views", reader);
    let clients = table.clients.take().unwrap_or_default();
    names(&clients, "clients", reader);
    let mut config = Config::default();
    for (name, table) in whole(servers) {
        let server = server::server(name, table, reader);
        config.servers.extend(server.map(|server| (server.name.clone(), server)));
    }
    server::namespaces(&config.servers, reader);
    for (name, table) in whole(views) {
        let view = view::view(&name, table.value, &server_names, reader);
        config.views.insert(name.value, view);
    }
    for (name, table) in whole(clients) {
        let client = client(&name, table.value, &view_names, reader);
        config.clients.extend(client.map(|client| (name.value, client)));
    }
    config.node = table.node.take().map(node).unwrap_or_default();
    config.ledger = table.ledger.take().map(ledger).unwrap_or_default();
    config.limits = table.limits.take().map(limits).unwrap_or_default();
    config
}

fn whole<V>(entries: Vec<Named<ServerName, V>>) -> impl Iterator<Item = (Located<ServerName>, Located<V>)> {
    entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)))
}

/// Names that differ only in case would be one in URLs, and in the eyes of some clients.
fn names<V>(entries: &[Named<ServerName, V>], section: &str, reader: &mut Reader<'_>) -> Vec<ServerName> {
    let mut seen: BTreeMap<String, &ServerName> = BTreeMap::new();
    for Named { name, .. } in entries {
        if let Some(first) = seen.insert(name.value.as_str().to_lowercase(), &name.value) {
            let message = format!("[{section}.{}] and [{section}.{first}] differ only in case", name.value);
            let fault = Fault::new(Code::COLLISION, message).fix("rename one of them");
            reader.error(name.span.clone(), "the same name", fault);
        }
    }
    entries.iter().map(|e| e.name.value.clone()).collect()
}

fn client(
    name: &Located<ServerName>,
    table: ClientTable,
    views: &[ServerName],
    reader: &mut Reader<'_>,
) -> Option<Client> {
    if let Some(view) = table.view.located() {
        refers(view, views, "views", reader);
    }
    let origin = reader.origin(&name.span);
    Some(Client { origin, token_file: table.token_file.take()?.0, view: table.view.take() })
}

/// Complains about a reference to a section that is not there.
fn refers(name: &Located<ServerName>, known: &[ServerName], section: &str, reader: &mut Reader<'_>) {
    if known.contains(&name.value) {
        return;
    }
    let known: Vec<&str> = known.iter().map(ServerName::as_str).collect();
    let fault = Fault::new(Code::DANGLING, format!("there is no [{section}.{}]", name.value));
    let fault = match crate::suggest::closest(name.value.as_str(), &known) {
        Some(meant) => fault.fix(format!("did you mean {meant:?}?")),
        None if known.is_empty() => fault.fix(format!("write a section [{section}.{}]", name.value)),
        None => fault.fix(format!("one of {}", known.join(", "))),
    };
    reader.error(name.span.clone(), "not in this file", fault);
}

fn node(table: NodeTable) -> NodeSettings {
    NodeSettings {
        listen: table.listen.take().map(|a| a.0),
        token_file: table.token_file.take().map(|p| p.0),
        socket: table.socket.take().map(|p| p.0),
        allowed_hosts: values(table.allowed_hosts).into_iter().map(|h| h.0).collect(),
        allowed_origins: values(table.allowed_origins).into_iter().map(|o| o.0).collect(),
        drain: table.drain.take().unwrap_or(DRAIN),
    }
}

fn ledger(table: LedgerTable) -> LedgerSettings {
    LedgerSettings {
        path: table.path.take().map(|p| p.0),
        capture: table.capture.take().unwrap_or_default(),
        redact: values(table.redact).into_iter().map(|r| r.0).collect(),
        retention: table.retention.take(),
    }
}

fn limits(table: NodeLimitsTable) -> NodeLimits {
    let default = NodeLimits::default();
    NodeLimits {
        servers: table.servers.take().unwrap_or(default.servers),
        connections: table.connections.take().unwrap_or(default.connections),
        calls: table.calls.take().unwrap_or(default.calls),
        message: table.message.take().unwrap_or(default.message),
    }
}

fn values<T>(slot: Slot<Vec<Located<T>>>) -> Vec<T> {
    slot.take().unwrap_or_default().into_iter().map(|l| l.value).collect()
}
