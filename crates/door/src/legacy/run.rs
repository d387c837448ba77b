//! One legacy request in progress: steps in, messages out. Questions go to the client as requests.
//!
//! A server of the modern era asks by a result; its questions become requests too, and the call is made again with the
//! answers, as that era wants.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use cella_mcp::{
    Era, Id, LogLevel, Message, Notification, Raw, Request, Response as Rpc, RpcError, codes, has_capability,
    legacy, member,
    modern::{self, InputRequired},
    raw_json,
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    super::{
        Shared,
        calling::Calling,
        codes as ce, faults,
        feed::Feed,
        limits::{ASKS_PER_CALL_MAX, INPUT_ROUNDS_MAX},
        reply::code_data,
    },
    session::{InProgress, Reply, Session},
};
use cella_transport::{Answer, AskKey, Call, Caller, Failure, Service, Step};

/// One request in progress. Dropping it cancels the call.
pub(super) struct Run<S> {
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    caller: Arc<Caller>,
    id: Id,
    method: Box<str>,
    /// The whole message; read again when the call has to be made again.
    body: Bytes,
    progress: InProgress,
    call: Calling,
    replies: (mpsc::UnboundedSender<Reply>, mpsc::UnboundedReceiver<Reply>),
    /// Questions the client has not answered.
    open: Vec<Question>,
    round: Option<Round>,
    rounds: usize,
    /// Messages that are ready to be said.
    ready: VecDeque<Message>,
    /// What is said after them, and then nothing more.
    last: Option<Said>,
    /// The last progress that was told. Every round of a call begins anew, and to the client it is one request.
    progressed: Option<f64>,
}

/// A question to the client.
struct Question {
    number: u64,
    by: Asker,
    deadline: Instant,
}

/// Who waits for the answer.
enum Asker {
    /// The server, in the middle of the call.
    Call(AskKey),
    /// The next round of the call.
    Round(usize),
}

/// What a server of the modern era wants before the call is made again.
struct Round {
    wanted: InputRequired,
    answers: Vec<Option<Raw>>,
}

/// What a request in progress says.
pub(super) enum Said {
    /// A notification, or a question to the client.
    More(Message),
    Final(Message),
    /// The client cancelled: nothing is said.
    Nothing,
}

// === impl Run ===

impl<S: Service> Run<S> {
    pub(super) fn start(
        shared: &Arc<Shared<S>>,
        session: &Arc<Session>,
        caller: Arc<Caller>,
        request: Request,
        body: Bytes,
        progress: InProgress,
    ) -> Self {
        let Request { id, method, params } = request;
        let mut run = Self {
            shared: shared.clone(),
            session: session.clone(),
            caller,
            id,
            method,
            body,
            progress,
            call: Calling::Over,
            replies: mpsc::unbounded_channel(),
            open: Vec::new(),
            round: None,
            rounds: 0,
            ready: VecDeque::new(),
            last: None,
            progressed: None,
        };
        run.make(params);
        run
    }

    fn make(&mut self, params: Option<Raw>) {
        let call = Call {
            scope: self.session.scope.clone(),
            method: self.method.clone(),
            id: Some(self.id.clone()),
            params,
            caller: self.caller.clone(),
            param_headers: Vec::new(),
            own_headers: Vec::new(),
        };
        self.call = Calling::of(&self.shared, call);
    }

    /// What is said next. After `Final` or `Nothing` nothing follows. Cancel safe.
    pub(super) async fn next(&mut self) -> Said {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Said::More(message);
            }
            if let Some(last) = self.last.take() {
                return last;
            }
            if let Some(params) = self.next_round() {
                self.make(params);
            }
            let deadline = self.open.iter().map(|q| q.deadline).min();
            let last = tokio::select! {
                biased;
                _ = &mut self.progress.cancelled => Some(Said::Nothing),
                reply = self.replies.1.recv() => reply
                    .and_then(|(number, outcome)| self.answered(number, outcome))
                    .map(Said::Final),
                step = self.call.next() => match self.stepped(step) {
                    Some(Said::More(message)) => return Said::More(message),
                    last => last,
                },
                () = until(deadline) => self.time_out().map(Said::Final),
            };
            if let Some(last) = last {
                self.end(last);
            }
        }
    }

    /// Nothing follows but this. Questions that are still open have lost their sense, and the client may take them from
    /// its user's screen.
    fn end(&mut self, last: Said) {
        for question in std::mem::take(&mut self.open) {
            self.session.forget(question.number);
            self.retract(question.number, "the request it belongs to has ended");
        }
        self.last = Some(last);
    }

    fn retract(&mut self, number: u64, reason: &str) {
        let note = legacy::cancelled(&Id::number(number), Some(reason));
        self.ready.push_back(Message::Notification(note));
    }

    fn stepped(&mut self, step: Step) -> Option<Said> {
        match step {
            Step::Notify(note) => self.concerning(note).map(|n| Said::More(Message::Notification(n))),
            Step::Ask(ask) => {
                let (key, method) = (ask.key, ask.method);
                if let Err(error) = self.may_ask(&method, ask.params.as_ref()) {
                    self.pass_on(key, Err(error));
                    return None;
                }
                Some(Said::More(self.question(method, ask.params, Asker::Call(key))))
            }
            Step::Done(answer) => self.finish(answer).map(Said::Final),
        }
    }

    /// What this client is told: log messages from its session's level on, and progress that increases (2025-11-25,
    /// basic/utilities/progress).
    fn concerning(&mut self, note: Notification) -> Option<Notification> {
        let params = note.params.as_deref();
        let told = match &*note.method {
            "notifications/message" => {
                let wanted: LogLevel = self.session.caller()?.log_level.as_deref()?.parse().ok()?;
                LogLevel::of_message(params).is_none_or(|level| level >= wanted)
            }
            "notifications/progress" => {
                let now: Option<f64> = params.and_then(|p| member(p, "progress")?.get().parse().ok());
                let increases = self.progressed.is_none_or(|last| now.is_none_or(|now| now > last));
                self.progressed = now.filter(|_| increases).or(self.progressed);
                increases
            }
            _ => true,
        };
        told.then_some(note)
    }

    fn may_ask(&self, method: &str, params: Option<&Raw>) -> Result<(), RpcError> {
        let refuse = |message: String, code| RpcError { code, message, data: code_data(ce::CANNOT_ASK) };
        if !legacy::knows_from_server(self.caller.revision, method)
            || !has_capability(&self.caller.capabilities, method, params.map(|p| &**p))
        {
            return Err(refuse(format!("the client does not support {method}"), codes::METHOD_NOT_FOUND));
        }
        if self.open.len() >= ASKS_PER_CALL_MAX {
            let message = format!("a call may have {ASKS_PER_CALL_MAX} open questions");
            return Err(refuse(message, codes::INVALID_REQUEST));
        }
        Ok(())
    }

    fn question(&mut self, method: Box<str>, params: Option<Raw>, by: Asker) -> Message {
        let number = self.session.ask(&self.replies.0);
        let params = legacy::ask_to_legacy(&method, params, &format!("ask-{number}"));
        self.open.push(Question { number, by, deadline: Instant::now() + self.shared.limits.ask });
        Message::Request(Request { id: Id::number(number), method, params })
    }

    /// The client answered. A failure that ends the request is returned.
    fn answered(&mut self, number: u64, outcome: Result<Raw, RpcError>) -> Option<Message> {
        let at = self.open.iter().position(|q| q.number == number)?;
        match self.open.swap_remove(at).by {
            Asker::Call(key) => self.pass_on(key, outcome),
            Asker::Round(at) => {
                let round = self.round.as_mut()?;
                let method = &round.wanted.requests.get(at)?.method;
                match outcome.or_else(|error| refusal_as_result(method).ok_or(error)) {
                    Ok(answer) => *round.answers.get_mut(at)? = Some(answer),
                    Err(error) => return Some(self.done(Err(error))),
                }
            }
        }
        None
    }

    fn pass_on(&mut self, key: AskKey, outcome: Result<Raw, RpcError>) {
        self.call.answer(key, outcome);
    }

    /// Answers for a client that does not.
    fn time_out(&mut self) -> Option<Message> {
        let now = Instant::now();
        let late: Vec<_> = self.open.iter().filter(|q| q.deadline <= now).map(|q| q.number).collect();
        late.into_iter().find_map(|number| {
            self.session.forget(number);
            self.retract(number, "it was not answered in time");
            let message = "the client did not answer in time".into();
            self.answered(
                number,
                Err(RpcError { code: codes::INTERNAL_ERROR, message, data: code_data(ce::NO_ANSWER) }),
            )
        })
    }

    /// The end of the call, unless it has to be made again.
    fn finish(&mut self, answer: Answer) -> Option<Message> {
        self.call = Calling::Over;
        let outcome = match (answer.outcome, answer.era) {
            (Ok(result), Era::Legacy) => Ok(result),
            (Ok(result), Era::Modern) => match modern::read_input_required(&result) {
                Some(wanted) => return self.begin_round(wanted).err().map(|error| self.done(Err(error))),
                None => Ok(legacy::result_to_legacy(result)),
            },
            (Err(Failure::Fault(fault)), _) => faults::outcome(&fault, &self.method, Era::Legacy),
            (Err(Failure::Peer(error)), Era::Legacy) => Err(error),
            (Err(Failure::Peer(error)), Era::Modern) => Err(legacy::error_to_legacy(&self.method, error)),
        };
        Some(self.done(outcome))
    }

    fn done(&self, outcome: Result<Raw, RpcError>) -> Message {
        Message::Response(Rpc { id: Some(self.id.clone()), outcome })
    }

    fn begin_round(&mut self, wanted: InputRequired) -> Result<(), RpcError> {
        self.rounds += 1;
        if self.rounds > INPUT_ROUNDS_MAX {
            let message = format!("the server asked for input more than {INPUT_ROUNDS_MAX} times");
            return Err(RpcError {
                code: codes::INTERNAL_ERROR,
                message,
                data: code_data(ce::TOO_MANY_QUESTIONS),
            });
        }
        for request in &wanted.requests {
            self.may_ask(&request.method, request.params.as_ref())?;
        }
        for (at, request) in wanted.requests.iter().enumerate() {
            let question = self.question(request.method.clone(), request.params.clone(), Asker::Round(at));
            self.ready.push_back(question);
        }
        let answers = vec![None; wanted.requests.len()];
        self.round = Some(Round { wanted, answers });
        Ok(())
    }

    /// The params of the next round, once every question of this one is answered.
    fn next_round(&mut self) -> Option<Option<Raw>> {
        if self.round.as_ref()?.answers.iter().any(Option::is_none) {
            return None;
        }
        let Round { wanted, answers } = self.round.take()?;
        let params = match Message::parse(&self.body, &cella_mcp::Limits::CLIENT) {
            Ok(Message::Request(request)) => request.params,
            _ => None,
        };
        let keys = wanted.requests.iter().map(|r| &*r.key);
        let answers: Vec<_> = keys.zip(answers.iter().flatten().map(|a| &**a)).collect();
        Some(Some(modern::with_input_responses(params.as_deref(), &answers, wanted.request_state.as_deref())))
    }

    /// Says everything to a stream.
    pub(super) async fn into_feed(mut self, first: Option<Said>, feed: &Feed) {
        let mut said = match first {
            Some(said) => said,
            None => self.next().await,
        };
        loop {
            match said {
                Said::More(message) => {
                    if feed.send(&message).await.is_err() {
                        return;
                    }
                }
                Said::Final(message) => {
                    let _closed = feed.send(&message).await.is_err();
                    return;
                }
                Said::Nothing => return,
            }
            said = self.next().await;
        }
    }

    /// Waits for the end without a client to talk to; its questions are answered with errors.
    pub(super) async fn last_word(&mut self, first: Option<Said>) -> Said {
        let mut said = match first {
            Some(said) => said,
            None => self.next().await,
        };
        loop {
            match said {
                Said::More(Message::Request(question)) => {
                    if let Some(failed) = self.unasked(&question.id) {
                        return Said::Final(failed);
                    }
                }
                Said::More(_) => {}
                last => return last,
            }
            said = self.next().await;
        }
    }

    /// A question that cannot be put to the client.
    fn unasked(&mut self, id: &Id) -> Option<Message> {
        let number = id.as_u64()?;
        self.session.forget(number);
        let error = RpcError {
            code: codes::INTERNAL_ERROR,
            message: "this request has no event stream, so the client cannot be asked".into(),
            data: code_data(ce::CANNOT_ASK),
        };
        self.answered(number, Err(error))
    }

    /// Lets the call come to its end although nobody listens: a lost connection is no cancellation here.
    pub(super) fn detach(mut self, within: Duration) {
        let shared = self.shared.clone();
        let Some(counted) = shared.streams.enter(shared.limits.streams) else { return };
        shared.spawn(counted, async move {
            let _nobody_listens = tokio::time::timeout(within, self.last_word(None)).await.is_ok();
        });
    }
}

impl<S> Drop for Run<S> {
    fn drop(&mut self) {
        for question in &self.open {
            self.session.forget(question.number);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The modern era has no errors as answers. Where a result can say the same, it does.
fn refusal_as_result(method: &str) -> Option<Raw> {
    match method {
        cella_mcp::ask::ELICIT => raw_json("{\"action\":\"cancel\"}").ok(),
        cella_mcp::ask::ROOTS => raw_json("{\"roots\":[]}").ok(),
        _ => None,
    }
}
