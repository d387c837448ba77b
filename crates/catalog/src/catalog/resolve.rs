//! Which server is meant by a request?

use std::sync::Arc;

use cella_mcp::{ListKind, Raw, RpcError, Target, TargetKind, call_target, codes, run_of, with_target};
use cella_transport::{Call, Failure, Fault, Scope};
use serde_json::value::RawValue;

use super::{Catalog, owners, status};
use crate::{
    faults, names,
    pool::{CurrentPlan, Known, Server},
    uris,
};

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// To a server.
    Server(Route),
    /// Nowhere: Cella answers it itself, with this result (written in the newest era).
    Own(Raw),
}

/// The way of a request to a server.
#[derive(Clone, Debug)]
pub struct Route {
    /// The server's configured name.
    pub server: Arc<str>,
    /// The params with the server's own names in them.
    pub params: Option<Raw>,
    /// What the request is aimed at, as the server names it.
    pub target: Option<RouteTarget>,
    /// The run it belongs to, if the request names one; for servers that are isolated per run.
    pub run: Option<Arc<str>>,
    /// True when task ids in the answer must be made unique among servers.
    pub(super) renamed: bool,
}

/// What a request is aimed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// A tool, prompt, resource, template or task.
    pub kind: TargetKind,
    /// Its name, URI or id at the server.
    pub name: Box<str>,
}

/// How far a name that is in no list may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not at all.
    KnownOnly,
    /// As far as it names a server whose list was not fetched since the node started: a stored list may lack the newest
    /// tools, and a server that does not start shall say so itself.
    NameItself,
}

impl Route {
    /// The way of a request that already has the server's own names.
    #[must_use]
    pub fn unchanged(server: Arc<str>, call: &Call) -> Self {
        Self::as_it_is(server, &call.method, call.params.as_deref())
    }

    /// The tool that is called, by its own name.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.target.as_ref().filter(|t| t.kind == TargetKind::Tool).map(|t| &*t.name)
    }

    fn as_it_is(server: Arc<str>, method: &str, params: Option<&RawValue>) -> Self {
        let target = call_target(method, params).map(|t| RouteTarget { kind: t.kind, name: t.name.into() });
        let run = run_of(params).ok().flatten().map(Arc::from);
        Self { server, params: params.map(ToOwned::to_owned), target, run, renamed: false }
    }
}

impl Catalog {
    /// Finds the server for a request that is not a list request.
    ///
    /// Answers from memory, except when a name is unknown and a server whose list is not known may have it: then that
    /// server is started first.
    ///
    /// # Errors
    /// A [`Failure`] to be given to the client: no such name (with "did you mean"), ambiguous, or a method that cannot be
    /// asked of many servers.
    pub async fn resolve(
        &self,
        scope: &Scope,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Resolved, Failure> {
        let plan = self.pool.plan();
        run_of(params).map_err(|_| Failure::Fault(faults::bad_run()))?;
        match scope {
            Scope::Server(name) => match plan.servers.get(&**name) {
                Some(server) => {
                    Ok(Resolved::Server(Route::as_it_is(server.plan.name.clone(), method, params)))
                }
                None => Err(Failure::Fault(self.no_server(name))),
            },
            Scope::View(name) if !plan.views.contains_key(name) => {
                Err(Failure::Fault(faults::unknown_view(name, plan.views.keys().map(|n| &**n))))
            }
            Scope::All | Scope::View(_) => self.resolve_among(&plan, scope, method, params).await,
        }
    }

    async fn resolve_among(
        &self,
        plan: &CurrentPlan,
        scope: &Scope,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Resolved, Failure> {
        let Some(target) = call_target(method, params) else { return Err(untargeted(method)) };
        if target.kind == TargetKind::Resource && target.name == status::STATUS_URI {
            return Ok(Resolved::Own(status::read(&self.status())));
        }
        let mut found = self.find(plan, scope, &target, Trust::KnownOnly);
        if found.is_err() {
            self.learn(plan, scope, &target).await;
            found = self.find(plan, scope, &target, Trust::NameItself);
        }
        let (server, own) = found.map_err(Failure::Fault)?;
        let run = run_of(params).ok().flatten().map(Arc::from);
        let params = if *own == *target.name {
            params.map(ToOwned::to_owned)
        } else {
            Some(with_target(method, params, &own))
        };
        let target = Some(RouteTarget { kind: target.kind, name: own });
        Ok(Resolved::Server(Route { server, params, target, run, renamed: true }))
    }

    /// Makes known what may decide about an unknown name: the list of the server that it begins with, or all of them.
    pub(super) async fn learn(&self, plan: &CurrentPlan, scope: &Scope, target: &Target<'_>) {
        let kinds = lists_for(target.kind);
        let by_name = matches!(target.kind, TargetKind::Tool | TargetKind::Prompt);
        let named = names::split_plain(&target.name).map(|(server, _)| server).filter(|_| by_name);
        let lacking: Vec<&Arc<Server>> = plan
            .concerned(scope)
            .filter(|server| named.is_none_or(|name| server.name() == name))
            .filter(|server| kinds.iter().any(|kind| matches!(server.list(*kind).0, Known::No)))
            .collect();
        for kind in kinds {
            self.settle(&lacking, *kind, self.pool.options.first_list_wait).await;
        }
    }

    fn find(
        &self,
        plan: &CurrentPlan,
        scope: &Scope,
        target: &Target<'_>,
        trust: Trust,
    ) -> Result<owners::Owner, Fault> {
        match target.kind {
            TargetKind::Tool => self.owner(scope, ListKind::Tools, &target.name, trust),
            TargetKind::Prompt => self.owner(scope, ListKind::Prompts, &target.name, trust),
            TargetKind::Resource | TargetKind::ResourceTemplate => {
                owners::of_uri(plan, scope, &self.links, &target.name)
            }
            TargetKind::Task => task_owner(plan, scope, &target.name),
        }
    }

    /// Who owns an exposed tool or prompt name.
    pub(super) fn owner(
        &self,
        scope: &Scope,
        kind: ListKind,
        name: &str,
        trust: Trust,
    ) -> Result<owners::Owner, Fault> {
        let merged = self.merged(scope, kind);
        if let Some((server, own)) = merged.table.owner(name) {
            return Ok((server.into(), own.into()));
        }
        if let Some(collision) = merged.collisions.iter().find(|c| &*c.exposed == name) {
            return Err(faults::refused_collision(name, &collision.sides));
        }
        let plan = self.pool.plan();
        let unsure =
            names::split_plain(name).filter(|_| trust == Trust::NameItself).and_then(|(server, own)| {
                let server = plan.concerned(scope).find(|s| s.name() == server)?;
                let (known, live) = server.list(kind);
                let may =
                    !live && !matches!(known, Known::Absent) && owners::shows(&plan, scope, server, own);
                may.then(|| (server.plan.name.clone(), own.into()))
            });
        let what = if kind == ListKind::Prompts { "prompt" } else { "tool" };
        unsure.ok_or_else(|| faults::unknown_name(what, name, merged.table.exposed()))
    }
}

// === free functions ===

fn untargeted(method: &str) -> Failure {
    let needs = match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Some("taskId"),
        "completion/complete" => Some("ref"),
        _ => None,
    };
    match needs {
        Some(param) => Failure::Fault(faults::missing_param(method, param)),
        None if method.starts_with("tasks/") => Failure::Fault(faults::not_of_all(method)),
        None => Failure::Peer(RpcError {
            code: codes::METHOD_NOT_FOUND,
            message: format!("Method not found: {method}"),
            data: None,
        }),
    }
}

const fn lists_for(kind: TargetKind) -> &'static [ListKind] {
    match kind {
        TargetKind::Tool => &[ListKind::Tools],
        TargetKind::Prompt => &[ListKind::Prompts],
        TargetKind::Resource | TargetKind::ResourceTemplate => {
            &[ListKind::Resources, ListKind::ResourceTemplates]
        }
        TargetKind::Task => &[],
    }
}

fn task_owner(plan: &CurrentPlan, scope: &Scope, id: &str) -> Result<owners::Owner, Fault> {
    let servers = plan.concerned(scope).map(|s| s.name());
    let (server, own) = uris::split_qualified(id, servers).ok_or_else(|| faults::unknown_task(id))?;
    Ok((server.into(), own.into()))
}
