//! The way of a call through the node: resolve, decide, put on record, perform, conclude.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use cella_agency::{CAPABILITY, Capabilities, Granted, NOT_ALLOWED};
use cella_catalog::{Catalog, Resolved, Route};
use cella_contract::{Hints, Permit, Refusal, Wanted, decide};
use cella_doorman::Paces;
use cella_event::{CallId, Label, Map};
use cella_ledger::AppendError;
use cella_luggage::Trunks;
use cella_mcp::{ListKind, META, Object, member};
use cella_transport::{Answer, Call, Exchange, Fault, FaultKind};

use crate::{
    fresh,
    load::{Loaded, Served},
    metrics::Metrics,
    principals::{TOO_OFTEN, owners_only},
    record::{Begun, Recorder, Subject},
    trace::{Place, SpanEnd, Tracing},
};

/// What cannot be put on record is not done.
pub(crate) const UNRECORDED: &str = "CE4104";
/// The server was taken out of the configuration a moment ago.
pub(crate) const GONE: &str = "CE4120";

/// Performs calls.
#[derive(Clone)]
pub(crate) struct Dispatch {
    pub(crate) catalog: Catalog,
    pub(crate) loaded: Arc<ArcSwap<Loaded>>,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) tracing: Tracing,
    pub(crate) capabilities: Capabilities,
    pub(crate) paces: Paces,
    /// What runs have with them.
    pub(crate) trunks: Trunks,
}

impl Dispatch {
    /// Performs one request of a client.
    pub(crate) async fn call(&self, call: Call) -> Exchange {
        if let Some(kind) = ListKind::of_method(&call.method) {
            self.metrics.list();
            return self.list_for(kind, call).await;
        }
        match self.catalog.resolve(&call.scope, &call.method, call.params.as_deref()).await {
            Ok(Resolved::Server(route)) => self.perform(route, call).await,
            // What the node says of itself speaks of every server.
            Ok(Resolved::Own(_)) if self.is_confined(&call.caller.principal) => {
                Exchange::fault(owners_only(&call.caller.principal))
            }
            Ok(Resolved::Own(result)) => Exchange::ready(Answer::own(Ok(result))),
            Err(failure) => Exchange::ready(Answer::own(Err(failure))),
        }
    }

    async fn perform(&self, mut route: Route, call: Call) -> Exchange {
        let served = self.loaded.load().servers.get(&route.server).cloned();
        let Some(served) = served else { return Exchange::fault(gone(&route.server)) };
        let place = self.tracing.place(&mut route);
        let subject = match subject(&route, &call) {
            Ok(subject) => subject,
            Err(fault) => return Exchange::fault(fault),
        };
        let mut span = self.tracing.open(&place, &subject, &call);
        let permitted = self.capability(&mut route).and_then(|granted| {
            self.allowed(&call.caller.principal, &route.server, route.tool())?;
            let phase = granted.as_ref().map(|granted| granted.phase.as_str());
            Ok((self.decide(&served, &route, phase)?, granted))
        });
        let (permit, granted) = match permitted {
            Ok(permitted) => permitted,
            Err(refusal) => {
                span.end(SpanEnd::Fault(refusal.code));
                return self.refuse(&subject, &served, refusal, &route).await;
            }
        };
        let mut facts = facts(&served, &call, place);
        if let Some(Granted { run, step, phase }) = granted {
            facts = facts.with("for_run", run).with("for_step", step).with("phase", phase);
        }
        self.permitted(permit, Begun { subject, facts, span }, route, call).await
    }

    /// The token of a call that a run's call led to, taken out: it is nobody else's.
    fn capability(&self, route: &mut Route) -> Result<Option<Granted>, Refusal> {
        let meta = route.params.as_ref().and_then(|params| member(params, META));
        let token = meta.and_then(|meta| member(meta, CAPABILITY));
        let Some(token) = token.map(|token| serde_json::from_str::<String>(token.get()).unwrap_or_default())
        else {
            return Ok(None);
        };
        let mut params = Object::parse_or_empty(route.params.as_deref());
        params.edit_object(META, |meta| {
            meta.remove(CAPABILITY);
        });
        route.params = Some(params.to_raw());
        self.capabilities.check(&token, SystemTime::now()).map(Some)
    }

    pub(crate) fn decide(
        &self,
        served: &Served,
        route: &Route,
        phase: Option<&str>,
    ) -> Result<Permit, Refusal> {
        let tool = route.tool();
        let hints = tool.map(|tool| self.hints(&route.server, tool)).unwrap_or_default();
        decide(&served.contract, Wanted { tool, hints, phase })
    }

    /// What can only be done with a permit.
    async fn permitted(&self, permit: Permit, begun: Begun, route: Route, call: Call) -> Exchange {
        let intended = self.recorder.intend(begun, permit.effect(), route.params.as_ref()).await;
        let intended = match intended {
            Ok(intended) => intended,
            Err(error) => return Exchange::fault(unrecorded(&error)),
        };
        let mut exchange = self.catalog.call(route, call).await;
        match exchange.take_ready() {
            Some(answer) => {
                intended.conclude(&answer);
                Exchange::ready(answer)
            }
            None => exchange.observed(Box::new(intended)),
        }
    }

    pub(crate) async fn refuse(
        &self,
        subject: &Subject,
        served: &Served,
        refusal: Refusal,
        route: &Route,
    ) -> Exchange {
        let why = Map::new()
            .with("method", subject.method.to_string())
            .with("code", refusal.code)
            .with("rule", refusal.rule.clone())
            .with("contract", served.contract_digest.clone());
        if let Err(error) = self.recorder.refuse(subject, why, route.params.as_ref()).await {
            tracing::error!(%error, "a refusal could not be written");
        }
        Exchange::fault(Fault {
            kind: FaultKind::Refused,
            code: refusal.code,
            message: match refusal.code {
                NOT_ALLOWED | TOO_OFTEN => format!("refused: {}", refusal.rule),
                _ => format!("refused by the contract of `{}`: {}", route.server, refusal.rule),
            },
            fix: Some(refusal.fix),
            in_doubt: false,
        })
    }

    /// What the server says of its tool.
    pub(crate) fn hints(&self, server: &str, tool: &str) -> Hints {
        let Some(definition) = self.catalog.tool(server, tool) else { return Hints::default() };
        let Some(annotations) = member(&definition.raw, "annotations").and_then(Object::parse) else {
            return Hints::default();
        };
        Hints {
            destructive: annotations.get_bool("destructiveHint") == Some(true),
            writes: annotations.get_bool("readOnlyHint") == Some(false),
        }
    }
}

pub(crate) fn subject(route: &Route, call: &Call) -> Result<Subject, Fault> {
    Ok(Subject {
        call: new_call_id()?,
        parent: None,
        principal: Label::clipped(&call.caller.principal),
        server: Label::clipped(&route.server),
        target: route.target.as_ref().map(|t| Label::clipped(&t.name)),
        method: call.method.clone(),
        errand: None,
    })
}

pub(crate) fn facts(served: &Served, call: &Call, place: Place) -> Map {
    let mut facts = Map::new()
        .with("contract", served.contract_digest.clone())
        .with("revision", call.caller.revision.as_str());
    if let Some(trace) = place.trace {
        facts = facts.with("trace", trace);
    }
    if let Some(span) = place.parent {
        facts = facts.with("parent_span", span);
    }
    facts
}

/// 128 random bits: unique in every ledger, and not to be guessed.
pub(crate) fn new_call_id() -> Result<CallId, Fault> {
    let made = fresh::hex::<16>().ok().and_then(|text| CallId::new(text).ok());
    made.ok_or_else(|| Fault {
        kind: FaultKind::Internal,
        code: "CE5099",
        message: "the operating system gives no random numbers".into(),
        fix: None,
        in_doubt: false,
    })
}

pub(crate) fn gone(server: &str) -> Fault {
    Fault {
        kind: FaultKind::NotFound,
        code: GONE,
        message: format!("the server `{server}` was just removed"),
        fix: None,
        in_doubt: false,
    }
}

/// Nothing is done that cannot be put on record.
fn unrecorded(error: &AppendError) -> Fault {
    Fault {
        kind: FaultKind::Unavailable,
        code: UNRECORDED,
        message: format!("the call was not made because it cannot be put on record: {error}"),
        fix: Some(match error {
            AppendError::Ended { .. } => "start the node again, and report this".into(),
            _ => "make room on the ledger's disk; calls work again by themselves".into(),
        }),
        in_doubt: false,
    }
}

/// How long a drain waits when the configuration says nothing.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
