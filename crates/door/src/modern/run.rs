//! One modern request in progress: steps in, messages out. Questions park it.

use std::sync::Arc;

use bytes::Bytes;
use cella_mcp::{
    CacheHints, Era, Id, LogLevel, Message, Notification, Raw, Request, RpcError, ServerFacts, codes,
    has_capability, modern, progress_of, progress_token, required_capability, with_progress_of,
};
use tokio::time::Instant;

use super::{
    super::{
        Shared, calling::Calling, codes as ce, faults, feed::Feed, limits::ASKS_PER_CALL_MAX,
        reply::code_data,
    },
    Reply,
    parked::{self, Held, Open},
    rejected,
};
use cella_transport::{Answer, Ask, Call, Caller, Failure, Scope, Service, Step};

/// Where a request came from.
pub(super) struct Origin {
    pub(super) scope: Scope,
    /// The whole message. Kept because it costs nothing, and a call that is parked must be recognised by it.
    pub(super) body: Bytes,
    pub(super) caller: Arc<Caller>,
    pub(super) facts: Arc<ServerFacts>,
    pub(super) param_headers: Vec<(Box<str>, Box<str>)>,
}

/// One request in progress. Dropping it cancels the call.
pub(super) struct Run<S> {
    shared: Arc<Shared<S>>,
    id: Id,
    method: Box<str>,
    scope: Scope,
    body: Bytes,
    caller: Arc<Caller>,
    facts: Arc<ServerFacts>,
    call: Calling,
    token: Token,
    /// Questions that have come, until no more follow.
    asks: Vec<Ask>,
    gather_until: Option<Instant>,
}

/// Under which token the client hears of progress.
enum Token {
    /// As the server's side gives it: this request started the call.
    AsGiven,
    /// The call was started by an earlier request; this one has its own token, or none.
    Now(Option<Raw>),
}

/// What a request in progress says.
pub(super) enum Said {
    Note(Notification),
    Final(Reply),
}

// === impl Run ===

impl<S: Service> Run<S> {
    /// A new call.
    pub(super) fn start(shared: &Arc<Shared<S>>, request: Request, origin: Origin) -> Self {
        let Request { id, method, params } = request;
        let Origin { scope, body, caller, facts, param_headers } = origin;
        let call = Call {
            scope: scope.clone(),
            method: method.clone(),
            id: Some(id.clone()),
            params,
            caller: caller.clone(),
            param_headers,
            own_headers: Vec::new(),
        };
        Self {
            shared: shared.clone(),
            id,
            method,
            scope,
            body,
            caller,
            facts,
            call: Calling::of(shared, call),
            token: Token::AsGiven,
            asks: Vec::new(),
            gather_until: None,
        }
    }

    /// The parked call that this request retries, with the answers it brings.
    pub(super) fn resume(shared: &Arc<Shared<S>>, request: Request, origin: Origin) -> Result<Self, Reply> {
        let params = request.params.as_deref();
        let state = modern::request_state(params).unwrap_or_default();
        let purpose = parked::purpose(&origin.caller.principal, &origin.scope, &request.method, params);
        let held = parked::read(&shared.seal, &purpose, &state).and_then(|id| shared.parked.take(id));
        let Some(held) = held else {
            let text = "requestState is not valid for this request: it was altered, has expired, belongs to another \
                        request or principal, or was used already; send the request again without it";
            let error = RpcError {
                code: codes::INVALID_PARAMS,
                message: text.into(),
                data: code_data(ce::REQUEST_STATE),
            };
            return Err(Reply::to(request.id, Err(error)));
        };
        let Held { mut exchange, open, .. } = held;
        let mut given = modern::input_responses(params);
        let mut missing = Vec::new();
        for Open { name, ask } in open {
            // a response is a result object; anything else is as good as no answer
            let answer = given.iter().position(|(key, value)| *key == name && value.get().starts_with('{'));
            match answer.map(|at| given.swap_remove(at).1) {
                Some(answer) => exchange.answer(ask.key, Ok(answer)),
                None => missing.push(ask),
            }
        }
        let token = Token::Now(progress_token(params).map(ToOwned::to_owned));
        let mut run = Self {
            shared: shared.clone(),
            id: request.id,
            method: request.method,
            scope: origin.scope,
            body: origin.body,
            caller: origin.caller,
            facts: origin.facts,
            call: Calling::Begun(exchange),
            token,
            asks: missing,
            gather_until: None,
        };
        if run.asks.is_empty() { Ok(run) } else { Err(run.park()) }
    }

    /// What is said next. After `Final` nothing follows. Cancel safe.
    pub(super) async fn next(&mut self) -> Said {
        loop {
            let step = match self.gather_until {
                None => self.call.next().await,
                Some(until) => match tokio::time::timeout_at(until, self.call.next()).await {
                    Ok(step) => step,
                    Err(_elapsed) => return Said::Final(self.park()),
                },
            };
            match step {
                Step::Notify(note) => {
                    if let Some(note) = self.concerning(note) {
                        return Said::Note(note);
                    }
                }
                Step::Ask(ask) => {
                    if let Some(reply) = self.asked(ask) {
                        return Said::Final(reply);
                    }
                }
                Step::Done(answer) => return Said::Final(self.finish(answer)),
            }
        }
    }

    /// The final word, whatever is said before it.
    pub(super) async fn last_word(&mut self) -> Reply {
        loop {
            if let Said::Final(reply) = self.next().await {
                return reply;
            }
        }
    }

    /// Says everything to a stream.
    pub(super) async fn into_feed(mut self, first: Option<Said>, feed: &Feed) {
        let mut said = match first {
            Some(said) => said,
            None => self.next().await,
        };
        loop {
            let message = match said {
                Said::Note(note) => Message::Notification(note),
                Said::Final(reply) => {
                    let _closed = feed.send(&reply.message).await.is_err();
                    return;
                }
            };
            if feed.send(&message).await.is_err() {
                return;
            }
            said = self.next().await;
        }
    }

    /// A notification as this client may see it: log messages only when asked for, progress under its own token.
    fn concerning(&self, mut note: Notification) -> Option<Notification> {
        match &*note.method {
            "notifications/message" => {
                let wanted: LogLevel = self.caller.log_level.as_deref()?.parse().ok()?;
                (LogLevel::of_message(note.params.as_deref())? >= wanted).then_some(note)
            }
            "notifications/progress" => {
                if let Token::Now(token) = &self.token {
                    let token = token.as_ref()?;
                    progress_of(note.params.as_deref())?;
                    note.params = Some(with_progress_of(note.params.as_deref(), token));
                }
                Some(note)
            }
            _ => Some(note),
        }
    }

    /// A question of the server. The first starts the gathering; one that this client cannot answer ends the request.
    fn asked(&mut self, ask: Ask) -> Option<Reply> {
        let needed = required_capability(&ask.method, ask.params.as_deref());
        let Some(needed) = needed.filter(|_| modern::may_require_input(&self.method)) else {
            let message = format!("{} cannot be asked while {} is answered", ask.method, self.method);
            self.tell(&ask, RpcError { code: codes::METHOD_NOT_FOUND, message, data: None });
            return None;
        };
        if !has_capability(&self.caller.capabilities, &ask.method, ask.params.as_deref()) {
            let rejection = modern::missing_capability(&needed);
            self.tell(&ask, rejection.error.clone());
            self.call = Calling::Over;
            return Some(rejected(Some(self.id.clone()), rejection));
        }
        if self.asks.len() >= ASKS_PER_CALL_MAX {
            let message = format!("a call may have {ASKS_PER_CALL_MAX} open questions");
            self.tell(
                &ask,
                RpcError { code: codes::INVALID_REQUEST, message, data: code_data(ce::TOO_MANY_QUESTIONS) },
            );
            return None;
        }
        self.asks.push(ask);
        self.gather_until.get_or_insert_with(|| Instant::now() + self.shared.limits.gather);
        None
    }

    fn tell(&mut self, ask: &Ask, error: RpcError) {
        self.call.answer(ask.key, Err(error));
    }

    /// Puts the call aside until the client brings the answers.
    fn park(&mut self) -> Reply {
        let Some(exchange) = self.call.take() else { return self.finish(lost()) };
        let open: Vec<_> = std::mem::take(&mut self.asks).into_iter().map(Open::new).collect();
        let asks: Vec<_> =
            open.iter().map(|o| (o.name.clone(), o.ask.method.clone(), o.ask.params.clone())).collect();
        let held = Held { principal: self.caller.principal.clone(), exchange, open };
        let Some(id) = self.shared.parked.park(&self.shared.limits, held) else {
            let message = "too many calls wait for answers of their clients".into();
            let error =
                RpcError { code: codes::INTERNAL_ERROR, message, data: code_data(ce::TOO_MANY_PARKED) };
            return Reply::to(self.id.clone(), Err(error));
        };
        let params =
            Message::parse(&self.body, &cella_mcp::Limits::CLIENT).ok().and_then(|message| match message {
                Message::Request(request) => request.params,
                _ => None,
            });
        let purpose = parked::purpose(&self.caller.principal, &self.scope, &self.method, params.as_deref());
        let state = parked::state(&self.shared.seal, &purpose, &self.shared.limits, id);
        let asks: Vec<_> = asks.iter().map(|(n, m, p)| (&**n, &**m, p.as_deref())).collect();
        Reply::to(self.id.clone(), Ok(modern::input_required(&asks, Some(&state))))
    }

    fn finish(&mut self, answer: Answer) -> Reply {
        self.call = Calling::Over;
        let id = self.id.clone();
        let outcome = match (answer.outcome, answer.era) {
            (Ok(result), Era::Modern) => match self.undeclared(&result) {
                Some(rejection) => return rejected(Some(id), rejection),
                None => Ok(result),
            },
            (Ok(result), Era::Legacy) => Ok(self.to_modern(result)),
            (Err(Failure::Fault(fault)), _) => faults::outcome(&fault, &self.method, Era::Modern),
            (Err(Failure::Peer(error)), Era::Modern) => Err(modern::error_of_next_hop(error)),
            (Err(Failure::Peer(error)), Era::Legacy) => match self.url_elicitations(&error) {
                Some(Ok(result)) => Ok(result),
                Some(Err(rejection)) => return rejected(Some(id), rejection),
                None => Err(modern::error_to_modern(error)),
            },
        };
        Reply::to(id, outcome)
    }

    /// A server may ask only for what the client declared (2026-07-28, basic/patterns/mrtr); one that asks for more would
    /// leave the client with a question that it cannot answer.
    fn undeclared(&self, result: &Raw) -> Option<modern::Rejection> {
        let declared = &self.caller.capabilities;
        modern::read_input_required(result)?.requests.iter().find_map(|ask| {
            let required = required_capability(&ask.method, ask.params.as_deref())?;
            let met = has_capability(declared, &ask.method, ask.params.as_deref());
            (!met).then(|| modern::missing_capability(&required))
        })
    }

    fn to_modern(&self, result: Raw) -> Raw {
        let hints = modern::is_cacheable(&self.method).then_some(CacheHints::NONE);
        modern::result_to_modern(result, hints, self.facts.info.as_deref())
    }

    /// A server of 2025-11-25 that wants pages visited first says so by an error; here that is a question.
    fn url_elicitations(&self, error: &RpcError) -> Option<Result<Raw, modern::Rejection>> {
        let wanted = modern::url_elicitations(error);
        if wanted.is_empty() || !modern::may_require_input(&self.method) {
            return None;
        }
        let (method, params) = (cella_mcp::ask::ELICIT, wanted.first());
        if !has_capability(&self.caller.capabilities, method, params.map(|p| &**p)) {
            return required_capability(method, params.map(|p| &**p))
                .map(|r| Err(modern::missing_capability(&r)));
        }
        let names: Vec<_> = (1..=wanted.len()).map(|n| format!("visit-{n}")).collect();
        let asks: Vec<_> =
            names.iter().zip(&wanted).map(|(name, p)| (name.as_str(), method, Some(&**p))).collect();
        Some(Ok(modern::input_required(&asks, None)))
    }
}

fn lost() -> Answer {
    let fault = cella_transport::Fault {
        kind: cella_transport::FaultKind::Internal,
        code: ce::AFTER_THE_END,
        message: "the request was asked for more after its end".into(),
        fix: None,
        in_doubt: false,
    };
    Answer { era: Era::Modern, outcome: Err(Failure::Fault(fault)) }
}
