//! What an endpoint says of itself.

use std::sync::Arc;

use cella_mcp::{Object, Raw, Revision, ServerFacts, carried_by_both, merge_server_capabilities, raw_json};
use cella_transport::Scope;

use super::Catalog;

/// Said of a server that never ran: a superset, so that no client is kept from what the server may turn out to have.
const UNKNOWN: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}"#;
/// Said of the endpoint of many servers, whatever they are: lists of other servers may come at any time, and
/// `cella://status` is a resource.
const ALWAYS: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true}}"#;
/// Most bytes of instructions that one server adds to those of the endpoint of many. Stops one server from filling every
/// client's context.
const INSTRUCTIONS_MAX: usize = 4 * 1024;
/// Most bytes of instructions of the endpoint of many.
const ALL_INSTRUCTIONS_MAX: usize = 16 * 1024;

impl Catalog {
    /// What an endpoint says of itself, from memory; `None` when there is no such endpoint.
    #[must_use]
    pub fn facts(&self, scope: &Scope) -> Option<Arc<ServerFacts>> {
        if !self.has(scope) {
            return None;
        }
        let plan = self.pool.plan();
        if let Scope::Server(name) = scope {
            let own = plan.servers.get(&**name)?.facts();
            return Some(Arc::new(match own {
                Some(own) => {
                    let carried = carried_by_both(&own.capabilities);
                    facts(carried, own.info.clone(), own.instructions.clone())
                }
                None => facts(constant(UNKNOWN), None, None),
            }));
        }
        let known: Vec<(Arc<str>, Option<Arc<ServerFacts>>)> =
            plan.concerned(scope).map(|server| (server.plan.name.clone(), server.facts())).collect();
        let unsure = known.iter().any(|(_, facts)| facts.is_none());
        let base = constant(if unsure { UNKNOWN } else { ALWAYS });
        let all = known.iter().filter_map(|(_, facts)| facts.as_ref()).map(|f| &*f.capabilities);
        let capabilities = merge_server_capabilities(std::iter::once(&*base).chain(all));
        Some(Arc::new(facts(capabilities, None, instructions(&known))))
    }
}

/// Facts in every revision that Cella speaks, under Cella's own name unless there is another.
fn facts(capabilities: Raw, info: Option<Raw>, instructions: Option<String>) -> ServerFacts {
    let info = info.or_else(|| Some(cella()));
    ServerFacts { revisions: Revision::ALL.to_vec(), capabilities, info, instructions }
}

fn cella() -> Raw {
    let mut info = Object::empty();
    info.set_str("name", "cella");
    info.set_str("version", env!("CARGO_PKG_VERSION"));
    info.to_raw()
}

fn constant(json: &'static str) -> Raw {
    raw_json(json).unwrap_or_else(|_| Object::empty().to_raw())
}

/// The servers' instructions one after the other, each under its name, as far as there is room.
fn instructions(known: &[(Arc<str>, Option<Arc<ServerFacts>>)]) -> Option<String> {
    let mut all = String::new();
    for (name, facts) in known {
        let said = facts.as_ref().and_then(|f| f.instructions.as_deref()).filter(|t| !t.trim().is_empty());
        let Some(text) = said else { continue };
        let part = format!("## {name}\n{}\n\n", &text[..text.floor_char_boundary(INSTRUCTIONS_MAX)]);
        if all.len() + part.len() > ALL_INSTRUCTIONS_MAX {
            break;
        }
        all.push_str(&part);
    }
    (!all.is_empty()).then(|| all.trim_end().to_owned())
}
