//! What principals of the configuration may do here: their tokens looked up, their lists, their calls.

use std::path::{Path, PathBuf};

use cella_agency::{NOT_ALLOWED, PRINCIPAL};
use cella_contract::{Config, PrincipalConfig, Refusal};
use cella_doorman::{TOKEN_CHARS_MIN, Tokens, TooOften};
use cella_mcp::{Array, ListKind, Object, Raw, member, raw_json};
use cella_transport::{Call, Exchange, Fault, FaultKind, Step};

use crate::{dispatch::Dispatch, launcher::env::value_of, vault::Secrets};

/// A call that comes too early.
pub(crate) const TOO_OFTEN: &str = "CE1581";

/// Looks the tokens of principals up. One that has none, or a short one, is not let in; that is said in the log.
pub(crate) async fn let_in(tokens: &Tokens, config: &Config, file: &Path, secrets: &Secrets) {
    let base = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut known = Vec::new();
    for (name, principal) in &config.principals {
        match value_of(&format!("the token of {name}"), &principal.token, &base, secrets).await {
            Ok(token) if token.trim().len() >= TOKEN_CHARS_MIN => {
                known.push((token.trim().to_owned(), format!("{PRINCIPAL}{name}")));
            }
            Ok(_) => tracing::error!(
                principal = name,
                "is not let in: its token has less than {TOKEN_CHARS_MIN} characters"
            ),
            Err(error) => {
                tracing::error!(
                    principal = name,
                    why = error.message,
                    "is not let in: its token cannot be had"
                );
            }
        }
    }
    tokens.set(known);
}

impl Dispatch {
    /// What a principal may do; `None`: everything.
    pub(crate) fn rights(&self, principal: &str) -> Option<PrincipalConfig> {
        let name = principal.strip_prefix(PRINCIPAL)?;
        let known = self.loaded.load().config.principals.get(name).cloned();
        // One that the configuration has no more may do nothing.
        Some(
            known.unwrap_or_else(|| PrincipalConfig {
                servers: Some(Vec::new()),
                ..PrincipalConfig::default()
            }),
        )
    }

    /// True for those who may not see what concerns the whole node.
    pub(crate) fn is_confined(&self, principal: &str) -> bool {
        self.rights(principal).is_some_and(|rights| !rights.admin)
    }

    /// That somebody may use a server in this way, and has not done so too often.
    pub(crate) fn allowed(&self, principal: &str, server: &str, tool: Option<&str>) -> Result<(), Refusal> {
        if let Some(rights) = self.rights(principal) {
            let (may, what) = match tool {
                Some(tool) => (rights.may_call(server, tool), format!("call {tool} of {server}")),
                None => (rights.may_use_server(server), format!("use {server}")),
            };
            if !may {
                return Err(Refusal {
                    code: NOT_ALLOWED,
                    rule: format!("{principal} may not {what}"),
                    fix: "ask whoever owns the node: [principals] of its configuration".into(),
                });
            }
        }
        let Some(tool) = tool else { return Ok(()) };
        let taken = self.paces.take(principal, server, tool, std::time::Instant::now());
        taken.map_err(|TooOften { limit, again }| Refusal {
            code: TOO_OFTEN,
            rule: format!("more than {limit}"),
            fix: format!("call again in {} s", again.as_secs() + 1),
        })
    }

    /// A list without what this caller may not use.
    pub(crate) async fn list_for(&self, kind: ListKind, call: Call) -> Exchange {
        let Some(rights) = self.rights(&call.caller.principal) else {
            return self.catalog.list(kind, call).await;
        };
        let scope = call.scope.clone();
        let mut exchange = self.catalog.list(kind, call).await;
        let mut answer = loop {
            match exchange.next().await {
                Step::Done(answer) => break answer,
                // Nobody asks or tells in a list.
                Step::Ask(_) | Step::Notify(_) => {}
            }
        };
        if let Ok(result) = &answer.outcome {
            let mut kept = Vec::new();
            let (list, method, name) = entries(kind);
            for entry in member(result, list).and_then(Array::parse).iter().flat_map(|all| all.raws()) {
                let Some(own) =
                    Object::parse(entry).and_then(|entry| entry.get_str(name).map(|n| n.into_owned()))
                else {
                    continue;
                };
                let mut params = Object::empty();
                params.set_str(name_of(kind), &own);
                let params: Raw = params.to_raw();
                let route = self.catalog.resolve(&scope, method, Some(&*params)).await;
                let Ok(cella_catalog::Resolved::Server(route)) = route else { continue };
                let may = match route.tool() {
                    Some(tool) => rights.may_call(&route.server, tool),
                    None => rights.may_use_server(&route.server),
                };
                if may {
                    kept.push(entry.get().to_owned());
                }
            }
            let mut filtered = Object::parse_or_empty(Some(&**result));
            if let Ok(kept) = raw_json(format!("[{}]", kept.join(","))) {
                filtered.set(list, &kept);
            }
            answer.outcome = Ok(filtered.to_raw());
        }
        Exchange::ready(answer)
    }
}

/// What a principal hears that asks for something of the whole node.
pub(crate) fn owners_only(principal: &str) -> Fault {
    Fault {
        kind: FaultKind::Refused,
        code: NOT_ALLOWED,
        message: format!("{principal} may not see the state of the whole node"),
        fix: Some("ask whoever owns the node: admin = true in [principals] of its configuration".into()),
        in_doubt: false,
    }
}

/// Where the entries of a list stand, by which request one is used, and how it is named in the list.
const fn entries(kind: ListKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        ListKind::Tools => ("tools", "tools/call", "name"),
        ListKind::Prompts => ("prompts", "prompts/get", "name"),
        ListKind::Resources => ("resources", "resources/read", "uri"),
        ListKind::ResourceTemplates => ("resourceTemplates", "resources/read", "uriTemplate"),
    }
}

/// How it is named in that request.
const fn name_of(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools | ListKind::Prompts => "name",
        ListKind::Resources | ListKind::ResourceTemplates => "uri",
    }
}
