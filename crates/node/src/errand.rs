//! A call that a run wants: the same way as a client's (resolve, decide, put on record, perform), with the run's name, step and phase
//! in it, and with nobody behind it who could answer a server's questions.

use std::{sync::Arc, time::SystemTime};

use cella_agency::{CAPABILITY, recalled};
use cella_catalog::{Resolved, Route};
use cella_contract::{Effect, ToolTerms};
use cella_event::{Label, Map, RunId};
use cella_ledger::AppendError;
use cella_mcp::{META, Object, Raw, RpcError};
use cella_pursuit::crash_point;
use cella_transport::{Answer, Call, Caller, Exchange, Failure, Fault, Scope, Step};

use crate::{
    dispatch::{Dispatch, facts, gone, new_call_id, subject},
    record::{Begun, Place, Subject},
    trace::OpenSpan,
};

/// What a server is told under which it may recognise a call.
const KEY: &str = "io.cella/idempotency-key";
const RUN: &str = "io.cella/run";

/// No such method, in JSON-RPC: what a server hears that asks a run something.
const METHOD_NOT_FOUND: i64 = -32601;

/// A call that a run wants.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) place: Place,
    pub(crate) server: String,
    pub(crate) tool: String,
    /// A JSON object.
    pub(crate) arguments: String,
    /// Who is behind the run.
    pub(crate) principal: Arc<str>,
    /// More for the intent.
    pub(crate) facts: Map,
}

impl Dispatch {
    /// Makes the call. When this returns, a refusal (false), or intent and outcome (true), are in the ledger.
    pub(crate) async fn errand(&self, errand: Errand) -> Result<bool, AppendError> {
        let Errand { place, server, tool, arguments, principal, facts: more } = errand;
        let place = Arc::new(place);
        let caller = Arc::new(Caller { principal, ..Caller::cella() });
        let Some(params) = params(&tool, &arguments, place.run.as_str()) else {
            return self.not_begun(&place, &server, &tool, &caller, "the arguments are no JSON").await;
        };
        let mut call = Call {
            scope: Scope::Server(server.as_str().into()),
            method: "tools/call".into(),
            id: None,
            params: Some(params),
            caller: caller.clone(),
            param_headers: Vec::new(),
            own_headers: Vec::new(),
        };
        let resolved = self.catalog.resolve(&call.scope, &call.method, call.params.as_deref()).await;
        let mut route = match resolved {
            Ok(Resolved::Server(route)) => route,
            Ok(Resolved::Own(_)) => {
                return self.not_begun(&place, &server, &tool, &caller, "this is no tool of a server").await;
            }
            Err(failure) => return self.not_begun(&place, &server, &tool, &caller, &said(&failure)).await,
        };
        let Some(served) = self.loaded.load().servers.get(&route.server).cloned() else {
            let fault = gone(&route.server);
            return self.not_begun(&place, &server, &tool, &caller, &fault.message).await;
        };
        let traced = self.tracing.place(&mut route);
        let mut subject = match subject(&route, &call) {
            Ok(subject) => subject,
            Err(fault) => return self.not_begun(&place, &server, &tool, &caller, &fault.message).await,
        };
        subject.errand = Some(place.clone());
        let span = self.tracing.open(&traced, &subject, &call);
        let allowed = self.allowed(&caller.principal, &route.server, route.tool());
        let permit = match allowed.and_then(|()| self.decide(&served, &route, place.phase.as_deref())) {
            Ok(permit) => permit,
            Err(refusal) => {
                let _told_by_its_event = self.refuse(&subject, &served, refusal, &route).await;
                return Ok(false);
            }
        };
        let facts = with(facts(&served, &call, traced), &more);
        let recorded = without_meta(route.params.as_ref());
        let trunk = served
            .has_luggage()
            .then(|| self.trunks.of(&route.server, place.run.as_str(), &caller.principal));
        // Until the outcome is on record nothing is kept of the files, and while they are kept nothing is called.
        let under_way = match &trunk {
            Some(trunk) => Some(trunk.call().await),
            None => None,
        };
        let (of_call, server) = (subject.call.clone(), subject.server.clone());
        let begun = Begun { subject, facts, span };
        crash_point();
        let intended = self.recorder.intend(begun, permit.effect(), recorded.as_ref()).await?;
        self.equip(&place, &served.contract.terms(&tool), intended.key(), &mut route, &mut call);
        crash_point();
        let exchange = self.catalog.call(route, call).await.observed(Box::new(intended));
        finish(exchange).await;
        crash_point();
        self.recorder.settled().await;
        drop(under_way);
        if let Some(trunk) = trunk {
            crash_point();
            trunk.keep(self.recorder.ledger().clone(), place.run.clone(), server, of_call).await;
        }
        Ok(true)
    }

    /// Gives a call what its server may know it by, and call others with.
    fn equip(&self, place: &Place, terms: &ToolTerms, key: Option<&str>, route: &mut Route, call: &mut Call) {
        if let Some(key) = key {
            route.params =
                route.params.as_ref().map(|params| with_key(params, key, terms.key_argument.as_deref()));
            let header = terms.key_header.as_ref();
            call.own_headers.extend(header.map(|header| (header.as_str().into(), key.into())));
        }
        if let (Some(phase), Some(true)) = (&place.phase, terms.delegate) {
            let token = self.capabilities.mint(place.run.as_str(), &place.step, phase, SystemTime::now());
            route.params = route.params.as_ref().map(|params| with_meta(params, CAPABILITY, &token));
        }
    }

    /// Answers with what another run heard when it made this call; nobody is called. On record as every call is, with whose answer
    /// it was.
    pub(crate) async fn rehearse(&self, errand: Errand, of: RunId) -> Result<bool, AppendError> {
        let Errand { place, server, tool, arguments, principal, facts } = errand;
        let place = Arc::new(place);
        let caller = Arc::new(Caller { principal, ..Caller::cella() });
        let (reader, asking) = (self.recorder.ledger().reader(), place.run.clone());
        let (with, from, to) = (of.clone(), (server.clone(), tool.clone()), arguments.clone());
        // What the run itself heard a moment ago is to be seen.
        let _durable_or_failing = self.recorder.ledger().flush().await;
        let recalled =
            tokio::task::spawn_blocking(move || recalled(&reader, &with, &asking, &from.0, &from.1, &to))
                .await;
        let answer = match recalled {
            Ok(Ok(Some(result))) => {
                cella_mcp::raw_json(result.text().to_owned()).map_err(|fault| fault.to_string())
            }
            Ok(Ok(None)) => {
                Err(format!("{of} made no such call: from here on nobody knows what it would have heard"))
            }
            Ok(Err(fault)) => Err(format!("{of} cannot be read: {fault}")),
            Err(fault) => Err(fault.to_string()),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return self.not_begun(&place, &server, &tool, &caller, &why).await,
        };
        let subject = self.made_up(&place, &server, &tool, &caller)?;
        let span = OpenSpan::none();
        let facts = facts.with("rehearses", of.as_str().to_owned());
        let recorded = params(&tool, &arguments, place.run.as_str());
        let recorded = without_meta(recorded.as_ref());
        let begun = Begun { subject, facts, span };
        let intended = self.recorder.intend(begun, Effect::Pure, recorded.as_ref()).await?;
        intended.conclude(&Answer::own(Ok(answer)));
        self.recorder.settled().await;
        Ok(true)
    }

    fn made_up(
        &self,
        place: &Arc<Place>,
        server: &str,
        tool: &str,
        caller: &Caller,
    ) -> Result<Subject, AppendError> {
        Ok(Subject {
            call: new_call_id().map_err(|_| AppendError::Closed)?,
            parent: None,
            principal: Label::clipped(&caller.principal),
            server: Label::clipped(server),
            target: Some(Label::clipped(tool)),
            method: "tools/call".into(),
            errand: Some(place.clone()),
        })
    }

    /// The call was not begun: no server heard of it.
    async fn not_begun(
        &self,
        place: &Arc<Place>,
        server: &str,
        tool: &str,
        caller: &Caller,
        why: &str,
    ) -> Result<bool, AppendError> {
        let subject = self.made_up(place, server, tool, caller)?;
        let why = Map::new().with("rule", why.to_owned());
        self.recorder.refuse(&subject, why, None).await.map(|()| false)
    }
}

/// Waits for the end. A run has nobody who could answer, so a server that asks hears that there is no such method.
async fn finish(mut exchange: Exchange) {
    loop {
        match exchange.next().await {
            Step::Done(_) => return,
            Step::Notify(_) => {}
            Step::Ask(ask) => {
                let message = format!("{} is not answered in a run", ask.method);
                exchange.answer(ask.key, Err(RpcError { code: METHOD_NOT_FOUND, message, data: None }));
            }
        }
    }
}

fn params(tool: &str, arguments: &str, run: &str) -> Option<Raw> {
    let mut object = Object::parse_or_empty(None);
    object.set_str("name", tool);
    object.set_json("arguments", arguments).ok()?;
    object.edit_object(META, |meta| meta.set_str(RUN, run));
    Some(object.to_raw())
}

/// What is put on record: the call as the run wants it, without what Cella tells the server beside.
fn without_meta(params: Option<&Raw>) -> Option<Raw> {
    let mut object = Object::parse(params?)?;
    object.remove(META);
    Some(object.to_raw())
}

fn with_meta(params: &Raw, name: &str, value: &str) -> Raw {
    let Some(mut object) = Object::parse(params) else { return params.clone() };
    object.edit_object(META, |meta| meta.set_str(name, value));
    object.to_raw()
}

/// The key in `_meta`, and in an argument where the contract names one.
fn with_key(params: &Raw, key: &str, argument: Option<&str>) -> Raw {
    let Some(mut object) = Object::parse(params) else { return params.clone() };
    object.edit_object(META, |meta| meta.set_str(KEY, key));
    if let Some(argument) = argument {
        object.edit_object("arguments", |arguments| arguments.set_str(argument, key));
    }
    object.to_raw()
}

fn with(mut facts: Map, more: &Map) -> Map {
    for (key, value) in more.iter() {
        facts.insert(key.clone(), value.clone());
    }
    facts
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Peer(error) => error.message.to_string(),
        Failure::Fault(Fault { message, .. }) => message.clone(),
    }
}
