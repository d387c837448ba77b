//! The tools of this node, as its agents see them, and the way to its models' keys.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use cella_agency::{Agents, Api, Crew, Keys, Models, Offer, Offers, Rights, Tools};
use cella_contract::Config;
use cella_dialogue::{Json, ToolSpec};
use cella_kernel::{Part, ToCall};
use cella_ledger::Ledger;
use cella_luggage::Luggage;
use cella_mcp::{Array, ListKind, Object, Raw, member, with_cursor};
use cella_pursuit::{Broken, CallOrder};
use cella_transport::{Answer, Call, Caller, Failure, Scope, Step};
use futures_util::future::BoxFuture;

use crate::{
    Places, dispatch::Dispatch, errand::Errand, launcher::env::value_of, record::Place, vault::Secrets,
};

/// Where a list says what is missing in it.
const MISSING: &str = "dev.cella/missing";

/// The argument of an undo or a probe that takes the key, where its schema has it.
const KEY_ARGUMENT: &str = "idempotency_key";

/// Agents' files stand here where the configuration does not say.
const AGENTS_DIR: &str = "agents";

/// The tools of this node.
struct NodeTools(Dispatch);

/// Who pursues the runs of this node. Blocking: recordings are read.
fn crew(dispatch: &Dispatch, config: &Config, places: &Places) -> Arc<Crew> {
    let base = places.config.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let models = models(config, base.clone(), Secrets::new(places.vault()));
    let tools = Arc::new(NodeTools(dispatch.clone()));
    Arc::new(Crew::new(tools, agents(config, &base), models, Rights::new(config)))
}

/// The runs of this node, with the budgets of its configuration.
pub(crate) fn runs(
    dispatch: &Dispatch,
    ledger: &Ledger,
    luggage: Luggage,
    config: &Config,
    places: &Places,
) -> Api {
    let runs = Api::new(crew(dispatch, config, places), ledger.clone(), luggage);
    runs.set_budgets(config);
    runs
}

/// The agents of a configuration.
pub(crate) fn agents(config: &Config, base: &Path) -> Agents {
    let dir = config.node.agents.as_deref().unwrap_or_else(|| Path::new(AGENTS_DIR));
    Agents::new(base.join(dir), config.providers.keys().cloned())
}

/// The models of a configuration. Blocking.
pub(crate) fn models(config: &Config, base: PathBuf, secrets: Secrets) -> Models {
    let from = base.clone();
    let keys: Keys = Arc::new(move |name, value| {
        let (base, secrets) = (base.clone(), secrets.clone());
        Box::pin(async move {
            let looked_up = value_of(&name, &value, &base, &secrets).await;
            looked_up.map_err(|error| match error.fix {
                Some(fix) => format!("{} [{}]: {fix}", error.message, error.code),
                None => format!("{} [{}]", error.message, error.code),
            })
        })
    });
    Models::new(config, &from, keys)
}

impl Tools for NodeTools {
    fn offered(&self) -> BoxFuture<'_, Offers> {
        Box::pin(self.list())
    }

    fn call(&self, order: CallOrder) -> BoxFuture<'_, Result<bool, Broken>> {
        Box::pin(async move {
            let CallOrder { run, principal, call, rehearses, facts } = order;
            let ToCall { step, part, server, tool, arguments, key, phase, .. } = call;
            if let Some(of) = rehearses {
                let (place, arguments) = (
                    Place { run, step: step.to_string(), part: part.as_str(), key, phase },
                    arguments.text().to_owned(),
                );
                let errand = Errand { place, server, tool, arguments, principal, facts };
                return Ok(self.0.rehearse(errand, of).await?);
            }
            let arguments = match part {
                Part::Do => arguments.text().to_owned(),
                Part::Undo | Part::Probe => self.fitted(&server, &tool, &arguments, key.as_deref()),
            };
            let place = Place { run, step: step.to_string(), part: part.as_str(), key, phase };
            Ok(self.0.errand(Errand { place, server, tool, arguments, principal, facts }).await?)
        })
    }
}

impl NodeTools {
    async fn list(&self) -> Offers {
        let mut offers = Offers::default();
        let mut cursor: Option<String> = None;
        loop {
            let answer = self.page(cursor.as_deref()).await;
            let result = match answer.outcome {
                Ok(result) => result,
                Err(failure) => {
                    offers.missing.push(("the catalogue".into(), said(&failure)));
                    return offers;
                }
            };
            for tool in member(&result, "tools").and_then(Array::parse).iter().flat_map(|tools| tools.raws())
            {
                if let Some(offer) = self.offer(tool).await {
                    offers.tools.push(offer);
                }
            }
            let meta = member(&result, "_meta").and_then(|meta| member(meta, MISSING));
            if cursor.is_none() {
                offers.missing.extend(meta.map(missing).unwrap_or_default());
            }
            let next =
                Object::parse(&result).and_then(|page| page.get_str("nextCursor").map(|c| c.into_owned()));
            match next {
                Some(next) => cursor = Some(next),
                None => return offers,
            }
        }
    }

    async fn page(&self, cursor: Option<&str>) -> Answer {
        let call = Call {
            scope: Scope::All,
            method: "tools/list".into(),
            id: None,
            params: cursor.map(|cursor| with_cursor(None, Some(cursor))),
            caller: Arc::new(Caller::cella()),
            param_headers: Vec::new(),
            own_headers: Vec::new(),
        };
        let mut exchange = self.0.catalog.list(ListKind::Tools, call).await;
        loop {
            if let Step::Done(answer) = exchange.next().await {
                return answer;
            }
        }
    }

    /// A tool with what its contract says; `None` for one that the contract does not allow, and for Cella's own.
    async fn offer(&self, tool: &serde_json::value::RawValue) -> Option<Offer> {
        let view = Object::parse(tool)?;
        let name = view.get_str("name")?.into_owned();
        let mut params = Object::parse_or_empty(None);
        params.set_str("name", &name);
        let params: Raw = params.to_raw();
        let resolved = self.0.catalog.resolve(&Scope::All, "tools/call", Some(&*params)).await;
        let Ok(cella_catalog::Resolved::Server(route)) = resolved else { return None };
        let served = self.0.loaded.load().servers.get(&route.server).cloned()?;
        let own = route.tool()?.to_owned();
        let terms = served.contract.terms(&own);
        // Whether it is allowed in some phase is decided when it is called.
        let phase = terms.phases.as_ref().and_then(|phases| phases.first()).cloned();
        let permit = self.0.decide(&served, &route, phase.as_deref()).ok()?;
        let schema = member(tool, "inputSchema").map_or("{\"type\":\"object\"}", |schema| schema.get());
        let description = view.get_str("description").map(|d| d.into_owned()).unwrap_or_default();
        Some(Offer {
            spec: ToolSpec { name, description, schema: Json::parse(schema).ok()? },
            server: route.server.to_string(),
            tool: own,
            effect: permit.effect(),
            undo: terms.undo,
            probe: terms.probe,
        })
    }

    /// The arguments of the call itself, as far as the schema of its undo or probe has them, and the key where it has that.
    fn fitted(&self, server: &str, tool: &str, arguments: &Json, key: Option<&str>) -> String {
        let whole = arguments.text().to_owned();
        let Some(definition) = self.0.catalog.tool(server, tool) else { return whole };
        let properties =
            member(&definition.raw, "inputSchema").and_then(|schema| member(schema, "properties"));
        let Some(properties) = properties.and_then(Object::parse) else { return whole };
        let Ok(raw) = cella_mcp::raw_json(whole.clone()) else { return whole };
        let Some(mut object) = Object::parse(&raw) else { return whole };
        let unknown: Vec<String> = object
            .iter()
            .map(|(name, _)| name.to_owned())
            .filter(|name| !properties.contains(name))
            .collect();
        for name in &unknown {
            object.remove(name);
        }
        if let Some(key) = key.filter(|_| properties.contains(KEY_ARGUMENT)) {
            object.set_str(KEY_ARGUMENT, key);
        }
        object.to_raw().get().to_owned()
    }
}

/// Servers that gave no list, and why.
fn missing(list: &serde_json::value::RawValue) -> Vec<(String, String)> {
    let value: serde_json::Value = serde_json::from_str(list.get()).unwrap_or_default();
    let text = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let entries = value.as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| (text(entry, "server"), text(entry, "error"))).collect()
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Peer(error) => error.message.clone(),
        Failure::Fault(fault) => fault.message.clone(),
    }
}
