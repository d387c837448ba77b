//! One attempt at one call: what arrives becomes steps for the asker.

use std::sync::Arc;

use cella_mcp::{
    Era, Id, ListKind, Message, Notification, Raw, Request as RpcRequest, RpcError, Target, TargetKind,
    call_target, legacy, progress_token,
};
use tokio::time::{Instant, timeout_at};

use super::{
    Arrival, Carriage, HttpLink, HttpTerms, Lost, SendError,
    board::Mailbox,
    post,
    refusal::{Meaning, Refusal},
    request,
};
use crate::{
    asks::{self, Verdict},
    carrier::Carrier,
    channel::wants_log,
    clock::Clock,
    error,
    events::Lists,
    limits::ASKS_MAX,
    lists, outgoing,
    progress::Progress,
};
use cella_transport::{Answer, Ask, AskKey, Call, Caller, Failure, Fault, Step};

/// One attempt at one call.
pub(super) struct Leg {
    link: Arc<HttpLink>,
    terms: Arc<HttpTerms>,
    id: u64,
    caller: Arc<Caller>,
    progress: Option<Progress>,
    mailbox: Option<Arc<Mailbox>>,
    clock: Clock,
    carriage: Option<Carriage>,
    /// The server took the request and answers, if at all, on the standing stream.
    accepted: bool,
    asks: Vec<(AskKey, Id)>,
    next_key: u64,
    over: bool,
}

/// The first that comes of an attempt.
pub(super) enum First {
    /// The call is over.
    Answer(Answer),
    /// More follows.
    Steps(Step),
    /// HTTP refused it.
    Refused(Box<Refusal>),
}

/// What was already tried to mend a call. Each remedy is taken once.
#[derive(Debug, Default)]
pub(super) struct Mended {
    negotiated: bool,
    reopened: bool,
    listed: bool,
}

enum Next {
    Step(Step),
    Refused(Box<Refusal>),
}

impl Leg {
    /// Writes the request and hands it to the wire.
    pub(super) fn start(link: &Arc<HttpLink>, terms: &Arc<HttpTerms>, call: &Call) -> Result<Self, Fault> {
        link.board.enter()?;
        let id = link.next_id();
        let mut params = outgoing::adapt(call, &terms.terms, &link.options);
        let progress = claim_token(link, &mut params, &Id::number(id));
        let legacy = terms.terms.era() == Era::Legacy;
        let token = progress.as_ref().map(Progress::sent);
        let mailbox = legacy.then(|| link.board.seat(id, terms.lane, &call.caller, token));
        let request = RpcRequest { id: Id::number(id), method: call.method.clone(), params };
        let mut body = Vec::new();
        request.write(&mut body);
        let mut http = post(&link.target.path, &terms.headers, body);
        if !legacy {
            let tool = tool_of(&request).and_then(|tool| link.header_params(&tool));
            request::mirror(http.headers_mut(), &request, tool.as_deref(), &call.param_headers);
        }
        request::add(http.headers_mut(), &call.own_headers);
        let repeatable = outgoing::is_repeatable(&call.method);
        Ok(Self {
            link: Arc::clone(link),
            terms: Arc::clone(terms),
            id,
            caller: Arc::clone(&call.caller),
            progress,
            mailbox,
            clock: Clock::start(link.options.deadlines),
            carriage: Some(Carriage::send(link, terms, http, repeatable)),
            accepted: false,
            asks: Vec::new(),
            next_key: 0,
            over: false,
        })
    }

    /// Waits for the first that comes. Dropped, the call is given up.
    pub(super) async fn first(&mut self) -> First {
        match self.advance().await {
            Next::Step(Step::Done(answer)) => First::Answer(answer),
            Next::Step(step) => First::Steps(step),
            Next::Refused(refusal) => First::Refused(refusal),
        }
    }

    /// The next step; nothing follows `Done`. Cancel safe.
    pub(super) async fn next(&mut self) -> Step {
        match self.advance().await {
            Next::Step(step) => step,
            Next::Refused(refusal) => {
                Step::Done(Answer { era: self.terms.terms.era(), outcome: Err(refusal.to_failure()) })
            }
        }
    }

    /// When the call is to be given up.
    pub(super) fn due(&self) -> Instant {
        self.clock.due()
    }

    /// Gives the call up because it took too long.
    pub(super) fn expire(&mut self) -> Answer {
        let fault = self.clock.fault();
        self.give_up("no answer in time");
        Answer::own(Err(Failure::Fault(fault)))
    }

    /// Takes the asker's answer to the server.
    pub(super) fn carry(&mut self, key: AskKey, reply: Result<Raw, RpcError>) {
        let Some(at) = self.asks.iter().position(|(k, _)| *k == key) else { return };
        let (_, id) = self.asks.swap_remove(at);
        self.link.reply(&self.terms, id, reply);
        if self.asks.is_empty() {
            self.clock.answered();
        }
    }

    async fn advance(&mut self) -> Next {
        loop {
            let Ok(next) = timeout_at(self.clock.due(), self.arrive()).await else {
                return Next::Step(Step::Done(self.expire()));
            };
            match next {
                Some(Next::Step(step)) => return Next::Step(step),
                Some(refused) => {
                    self.end();
                    return refused;
                }
                None => {}
            }
        }
    }

    /// Waits for one arrival and says what it means for the asker, if anything.
    async fn arrive(&mut self) -> Option<Next> {
        let arrival = match (&mut self.carriage, &self.mailbox) {
            (None, _) => return Some(self.fail(error::crashed("the call is over", true))),
            (Some(carriage), None) => carriage.next().await,
            (Some(_), Some(mailbox)) if self.accepted => Arrival::Message(mailbox.next().await),
            (Some(carriage), Some(mailbox)) => tokio::select! {
                biased;
                arrival = carriage.next() => arrival,
                message = mailbox.next() => Arrival::Message(message),
            },
        };
        self.clock.heard();
        match arrival {
            Arrival::Message(message) => self.take(message).map(Next::Step),
            Arrival::Refused(refusal) => Some(Next::Refused(refusal)),
            Arrival::Accepted if self.mailbox.is_some() => {
                self.accepted = true;
                None
            }
            Arrival::Accepted => Some(self.fail(error::garbage("a request was accepted without an answer"))),
            Arrival::Broken { in_doubt, why } => Some(self.fail(why.to_fault(in_doubt))),
            Arrival::Garbage(what) => Some(self.fail(error::garbage(&what))),
        }
    }

    fn take(&mut self, message: Message) -> Option<Step> {
        match message {
            Message::Response(response) => {
                if response.id.as_ref().is_some_and(|id| id.as_u64() != Some(self.id)) {
                    self.link.tally.stray();
                    return None;
                }
                let outcome = response.outcome.map_err(Failure::Peer);
                self.end();
                Some(Step::Done(Answer { era: self.terms.terms.era(), outcome }))
            }
            Message::Notification(note) => self.take_note(note).map(Step::Notify),
            Message::Request(request) => self.take_question(request),
        }
    }

    fn take_note(&mut self, note: Notification) -> Option<Notification> {
        if let Some(lists) = Lists::of_notification(&note.method) {
            self.link.events.changed(lists);
            return None;
        }
        match &*note.method {
            "notifications/progress" => {
                let note = self.progress.as_mut().and_then(|progress| progress.incoming(note));
                if note.is_none() {
                    self.link.tally.stray();
                }
                note
            }
            "notifications/resources/updated" => {
                if let Ok(uri) = legacy::read_uri(note.params.as_deref()) {
                    let uri = uri.into_owned();
                    self.link.events.updated(&uri, note.params);
                }
                None
            }
            "notifications/cancelled" => {
                if let Some((id, _)) = legacy::read_cancelled(note.params.as_deref()) {
                    self.asks.retain(|(_, ask)| *ask != id);
                    if self.asks.is_empty() {
                        self.clock.answered();
                    }
                }
                None
            }
            "notifications/message" if !wants_log(&self.caller, &note) => None,
            _ => Some(note),
        }
    }

    fn take_question(&mut self, request: RpcRequest) -> Option<Step> {
        if self.terms.terms.era() == Era::Modern {
            // Neither may a modern server ask this way nor may we answer.
            self.link.tally.stray();
            return None;
        }
        if &*request.method == "ping" {
            self.link.reply(&self.terms, request.id, Ok(cella_mcp::Object::empty().to_raw()));
            return None;
        }
        let verdict =
            asks::judge(&request.method, request.params.as_deref(), &self.caller, &self.link.options);
        let outcome = match verdict {
            Verdict::Pass if self.asks.len() < ASKS_MAX => {
                let key = AskKey(self.next_key);
                self.next_key += 1;
                self.asks.push((key, request.id));
                self.clock.asked();
                return Some(Step::Ask(Ask { key, method: request.method, params: request.params }));
            }
            Verdict::Pass => Err(asks::too_many()),
            Verdict::Answer(result) => Ok(result),
            Verdict::Refuse(error) => Err(error),
            Verdict::EndCall(refusal, error) => {
                self.link.reply(&self.terms, request.id, Err(refusal));
                self.give_up("the client cannot answer");
                return Some(Step::Done(Answer::own(Err(Failure::Peer(error)))));
            }
        };
        self.link.reply(&self.terms, request.id, outcome);
        None
    }

    fn fail(&mut self, fault: Fault) -> Next {
        if fault.in_doubt {
            self.give_up("its answer was lost");
        } else {
            self.end();
        }
        Next::Step(Step::Done(Answer::own(Err(Failure::Fault(fault)))))
    }

    /// The call is over at the server too.
    fn end(&mut self) {
        self.over = true;
        if let Some(carriage) = self.carriage.take() {
            carriage.finish();
        }
    }

    /// The call may still run at the server: closing the stream tells a modern one, a notification a legacy one
    /// (2025-11-25, basic/transports: a disconnection is no cancellation).
    fn give_up(&mut self, reason: &str) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.carriage = None;
        if self.terms.terms.era() == Era::Legacy {
            for (_, ask) in self.asks.drain(..) {
                self.link.reply(&self.terms, ask, Err(asks::gone()));
            }
            let note = legacy::cancelled(&Id::number(self.id), Some(reason));
            self.link.one_way_later(&self.terms, Message::Notification(note));
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.give_up("the caller went away");
        self.link.board.leave(self.id, self.progress.as_ref().map(Progress::sent));
    }
}

impl HttpLink {
    /// Tries to remove the reason of a refusal. `None`: the call can be made again; else its end.
    pub(super) async fn mend(
        self: &Arc<Self>,
        terms: &Arc<HttpTerms>,
        refusal: &Refusal,
        call: &Call,
        mended: &mut Mended,
    ) -> Option<Answer> {
        let era = terms.terms.era();
        let answer = |outcome| Some(Answer { era, outcome: Err(outcome) });
        match refusal.meaning(era, terms.session) {
            Meaning::Answer(error) => answer(Failure::Peer(error)),
            Meaning::StaleHeaders if !mended.listed && &*call.method == "tools/call" => {
                mended.listed = true;
                match Box::pin(self.list_tools_again()).await {
                    Ok(()) => None,
                    Err(_) => answer(refusal.to_failure()),
                }
            }
            meaning @ (Meaning::Negotiate | Meaning::Doubt) if terms.lane.is_some() && !mended.reopened => {
                mended.reopened = true;
                if matches!(meaning, Meaning::Doubt) && self.holds(terms).await {
                    return answer(refusal.to_failure());
                }
                // The next attempt opens another, or finds that the server has become another.
                self.lanes.forget(terms);
                None
            }
            meaning @ (Meaning::Negotiate | Meaning::Doubt) if terms.lane.is_none() && !mended.negotiated => {
                mended.negotiated = true;
                let sure = matches!(meaning, Meaning::Negotiate);
                match self.negotiate_again(terms, sure).await {
                    // The server is as it was: then the refusal is its answer.
                    Ok(None) => answer(refusal.to_failure()),
                    Ok(Some(now)) if now.terms.era() == Era::Modern && era == Era::Modern => {
                        answer(refusal.to_failure())
                    }
                    Ok(Some(_)) => None,
                    Err(error) => answer(Failure::Fault(error.into_fault())),
                }
            }
            Meaning::Auth => {
                self.events.tell(crate::LinkEvent::AuthRequired(refusal.challenge().clone()));
                answer(Failure::Fault(error::auth_required(refusal.challenge())))
            }
            Meaning::StaleHeaders | Meaning::Negotiate | Meaning::Doubt | Meaning::Final => {
                answer(refusal.to_failure())
            }
        }
    }
}

impl HttpLink {
    /// Reads the tool list for its header annotations alone.
    async fn list_tools_again(self: &Arc<Self>) -> Result<(), Failure> {
        let carrier = Carrier::Http(Arc::clone(self));
        lists::collect(&carrier, ListKind::Tools, &self.interests).await.map(drop)
    }
}

impl Lost {
    /// The fault of a call that lost its connection.
    pub(crate) fn to_fault(&self, in_doubt: bool) -> Fault {
        match self {
            Self::Send(SendError::Connect(error)) => Fault {
                kind: cella_transport::FaultKind::Unavailable,
                code: error::UNREACHABLE,
                message: error.to_string(),
                fix: Some("check that the server runs at this address and may be reached".into()),
                in_doubt: false,
            },
            Self::Send(SendError::InDoubt(error)) if error.is_parse() => error::garbage(&error.to_string()),
            Self::Send(error) => error::crashed(&error.to_string(), in_doubt),
            Self::Ended(why) => error::crashed(why, in_doubt),
        }
    }
}

/// Leaves a progress token alone unless another call of this link has the same.
fn claim_token(link: &HttpLink, params: &mut Option<Raw>, id: &Id) -> Option<Progress> {
    let given = progress_token(params.as_deref())?;
    let progress = if link.board.claim(given.get()) {
        Progress::kept(params.as_deref())
    } else {
        // A string with our own name cannot meet a token of a caller that counts.
        Progress::renamed(params, &Id::string(&format!("cella-{id}")))
    };
    if let Some(renamed) = progress.as_ref().filter(|p| p.is_renamed()) {
        link.board.claim(renamed.sent());
    }
    progress
}

fn tool_of(request: &RpcRequest) -> Option<Box<str>> {
    if &*request.method != "tools/call" {
        return None;
    }
    let target: Target<'_> = call_target(&request.method, request.params.as_deref())?;
    (target.kind == TargetKind::Tool).then(|| target.name.into())
}
