//! Who owns a URI? Who lists it; else whose template it fits best; else who linked to it; else the only server that has
//! resources at all. Two owners of equal right are no owner: the client is told how to say which one it means.

use std::sync::Arc;

use cella_mcp::ListKind;
use cella_transport::{Fault, Scope};

use super::links::Links;
use crate::{
    faults,
    pool::{CurrentPlan, Known, Server},
    uris::{self, Template, URI_MAX},
};

/// Server and own name.
pub(super) type Owner = (Arc<str>, Box<str>);

pub(super) fn of_uri(plan: &CurrentPlan, scope: &Scope, links: &Links, uri: &str) -> Result<Owner, Fault> {
    if uri.len() > URI_MAX {
        return Err(faults::unknown_uri("(too long)"));
    }
    let concerned: Vec<&Arc<Server>> = plan.concerned(scope).collect();
    if let Some((name, own)) = uris::split_qualified(uri, concerned.iter().map(|s| s.name())) {
        let named = concerned.iter().find(|s| s.name() == name);
        let server = named.filter(|s| shows(plan, scope, s, own));
        return server.map(|s| owner(s, own)).ok_or_else(|| faults::unknown_uri(uri));
    }
    let allowed: Vec<&Arc<Server>> = concerned.into_iter().filter(|s| shows(plan, scope, s, uri)).collect();
    match best(&allowed, uri).as_slice() {
        [only] => Ok(owner(only, uri)),
        [] => linked(&allowed, links, uri)
            .or_else(|| only_one_with_resources(&allowed))
            .map(|server| owner(server, uri))
            .ok_or_else(|| faults::unknown_uri(uri)),
        several => {
            let names: Vec<Box<str>> = several.iter().map(|s| uris::qualified(s.name(), uri)).collect();
            Err(faults::ambiguous_uri(uri, &names))
        }
    }
}

/// True when the scope shows this item of the server, if the server has it.
pub(super) fn shows(plan: &CurrentPlan, scope: &Scope, server: &Server, own: &str) -> bool {
    match scope {
        Scope::View(name) => plan.views.get(name).is_some_and(|v| v.shows(server.name(), own)),
        Scope::All | Scope::Server(_) => true,
    }
}

fn owner(server: &Server, own: &str) -> Owner {
    (server.plan.name.clone(), own.into())
}

/// Those who list the URI or the template itself; if none, those whose template fits with the most fixed text.
fn best<'a>(servers: &[&'a Arc<Server>], uri: &str) -> Vec<&'a Arc<Server>> {
    let lists = |server: &Server, kind| match server.list(kind).0 {
        Known::Yes(list) => list.item(uri).is_some(),
        Known::No | Known::Absent => false,
    };
    let exact = |s: &&&Arc<Server>| lists(s, ListKind::Resources) || lists(s, ListKind::ResourceTemplates);
    let exact: Vec<&Arc<Server>> = servers.iter().filter(exact).copied().collect();
    if !exact.is_empty() {
        return exact;
    }
    let fits: Vec<(usize, &Arc<Server>)> =
        servers.iter().filter_map(|server| Some((closest_template(server, uri)?, *server))).collect();
    let most = fits.iter().map(|(fixed, _)| *fixed).max();
    fits.into_iter().filter(|(fixed, _)| Some(*fixed) == most).map(|(_, server)| server).collect()
}

/// Fixed text in the server's closest template that fits.
fn closest_template(server: &Server, uri: &str) -> Option<usize> {
    let Known::Yes(list) = server.list(ListKind::ResourceTemplates).0 else { return None };
    let fitting = list.items.iter().map(|item| Template::parse(&item.key)).filter(|t| t.matches(uri));
    fitting.map(|t| t.literal_len()).max()
}

fn linked<'a>(servers: &[&'a Arc<Server>], links: &Links, uri: &str) -> Option<&'a Arc<Server>> {
    let name = links.owner(uri)?;
    servers.iter().find(|server| server.name() == &*name).copied()
}

fn only_one_with_resources<'a>(servers: &[&'a Arc<Server>]) -> Option<&'a Arc<Server>> {
    let mut may = servers.iter().filter(|s| !matches!(s.list(ListKind::Resources).0, Known::Absent));
    let first = may.next();
    first.filter(|_| may.next().is_none()).copied()
}
