//! A view's section: everything it names must be there.

use std::collections::BTreeMap;

use super::{ServerName, refers, values};
use crate::{
    Code, Filter, View,
    config::file::{FilterTable, ViewTable},
    pattern::glob,
    read::{Fault, Located, Named, Reader, Slot},
};

pub(super) fn view(
    name: &Located<ServerName>,
    table: ViewTable,
    known: &[ServerName],
    reader: &mut Reader<'_>,
) -> View {
    for server in table.servers.get().into_iter().flatten() {
        refers(server, known, "servers", reader);
    }
    for filter in [&table.tools, &table.prompts, &table.resources].into_iter().filter_map(Slot::get) {
        reaches_servers(filter, known, reader);
    }
    let mut rename = BTreeMap::new();
    let mut taken: BTreeMap<Box<str>, String> = BTreeMap::new();
    for Named { name: tool, value } in table.rename.take().unwrap_or_default() {
        let server = Located { value: tool.value.0.server.clone(), span: tool.span.clone() };
        refers(&server, known, "servers", reader);
        let Some(new) = value else { continue };
        let written = format!("{}/{}", tool.value.0.server, tool.value.0.item);
        if let Some(first) = taken.insert(new.value.0.clone(), written.clone()) {
            let fault = Fault::new(
                Code::COLLISION,
                format!("{first} and {written} both get the name {}", new.value.0),
            )
            .cause("a call could not be routed")
            .fix("another name for one of them");
            reader.error(new.span, "taken", fault);
        }
        rename.insert(tool.value.0, new.value.0);
    }
    View {
        origin: reader.origin(&name.span),
        servers: table.servers.is_there().then(|| values(table.servers)),
        tools: filter(table.tools),
        prompts: filter(table.prompts),
        resources: filter(table.resources),
        rename,
    }
}

fn filter(slot: Slot<FilterTable>) -> Filter {
    let Some(table) = slot.take() else { return Filter::default() };
    Filter { allow: table.allow.is_there().then(|| values(table.allow)), deny: values(table.deny) }
}

/// A pattern that matches no server lets nothing through, or keeps nothing out: a slip of the pen either way.
fn reaches_servers(table: &FilterTable, known: &[ServerName], reader: &mut Reader<'_>) {
    let patterns = [&table.allow, &table.deny].into_iter().filter_map(Slot::get).flatten();
    for pattern in patterns {
        let servers = pattern.value.servers();
        if known.iter().any(|name| glob(servers, name.as_str())) {
            continue;
        }
        let names: Vec<&str> = known.iter().map(ServerName::as_str).collect();
        let fault = Fault::new(Code::DANGLING, format!("no server is matched by `{servers}`"))
            .cause("a pattern is `SERVER` or `SERVER/NAME`");
        let fault = match crate::suggest::closest(servers, &names) {
            Some(meant) => fault.fix(format!("did you mean {meant:?}?")),
            None => fault.fix(format!("`*/{}` for all servers", pattern.value)),
        };
        reader.error(pattern.span.clone(), "matches nothing", fault);
    }
}
