//! What a server says on a channel, and whose it is.

use std::sync::{Arc, MutexGuard};

use cella_mcp::{
    DecodeError, Era, Flaw, Id, Incoming, LogLevel, Message, Notification, Raw, Request, Response, Revision,
    RpcError, legacy, modern, parse_batch, progress_of, raw_json,
};
use tokio::io::AsyncRead;

use super::{
    Channel, Down,
    driver::live,
    flights::{CallFlight, Flight, Flights},
    turns::Whose,
};
use crate::{
    LinkEvent,
    asks::{self, Verdict},
    error,
    events::{Lists, is_about_a_task},
    limits::{ASKS_MAX, NOISE_LINES_MAX},
    sink::NotTaken,
};
use cella_transport::{
    Ask, AskKey, Caller, Failure, Step,
    stdio::{Frame, Lines},
};

/// Reads until the server ends; then every call in flight does.
pub(crate) async fn read_lines(channel: Arc<Channel>, stdout: Box<dyn AsyncRead + Send + Unpin>) {
    let mut lines = Lines::with_max(stdout, channel.options.limits.message.bytes);
    let down = loop {
        match lines.next().await {
            Ok(Some(Frame::Line(line))) => {
                if let Err(down) = channel.take(line) {
                    break down;
                }
            }
            Ok(Some(Frame::Overlong { head, bytes })) => {
                if let Err(down) = channel.take_overlong(head, bytes) {
                    break down;
                }
            }
            Ok(None) => break Down::crashed("it closed its output"),
            Err(error) => break Down::crashed(error.to_string()),
        }
    };
    channel.reading_ended(&down);
}

impl Channel {
    /// Takes one message. An error ends the channel.
    pub(crate) fn take(self: &Arc<Self>, bytes: &[u8]) -> Result<(), Down> {
        let limits = &self.options.limits.message;
        match Message::parse(bytes, limits) {
            Ok(message) => {
                self.tally.heard();
                self.dispatch(message);
                Ok(())
            }
            Err(DecodeError { flaw: Flaw::Batch, .. }) if self.has_batches() => {
                self.tally.heard();
                if let Ok(Incoming::Batch(messages)) = parse_batch(bytes, limits) {
                    messages.into_iter().flatten().for_each(|message| self.dispatch(message));
                }
                Ok(())
            }
            Err(error) => self.noise(&error, bytes),
        }
    }

    fn has_batches(&self) -> bool {
        self.terms().is_some_and(|terms| terms.revision == Revision::V2025_03_26)
    }

    /// A line that is no message: the answer to a call if it names one, else noise. Servers print banners and warnings.
    fn noise(&self, error: &DecodeError, bytes: &[u8]) -> Result<(), Down> {
        let flight = error.id.as_ref().and_then(Id::as_u64).and_then(|id| self.lock().remove(id));
        if let Some(flight) = flight {
            flight.fail(error::garbage(&error.flaw.to_string()));
            return Ok(());
        }
        let line = error::quote(&String::from_utf8_lossy(bytes.get(..256).unwrap_or(bytes)));
        tracing::debug!(server = %self.options.name, flaw = %error.flaw, line, "not a message");
        if self.tally.noise() > NOISE_LINES_MAX {
            return Err(Down::garbage(format!(
                "{NOISE_LINES_MAX} lines that are no messages, the last: {line}"
            )));
        }
        Ok(())
    }

    /// A line past the cap ends the call that it answers. When that cannot be told some call would wait for ever.
    fn take_overlong(&self, head: &[u8], bytes: usize) -> Result<(), Down> {
        let what = format!("a message of {bytes} bytes, more than {}", self.options.limits.message.bytes);
        let mut flights = self.lock();
        let id = find_id(head).or_else(|| flights.only());
        match id.and_then(|id| flights.remove(id)) {
            Some(flight) => {
                drop(flights);
                flight.fail(error::garbage(&what));
                Ok(())
            }
            None => Err(Down::garbage(what)),
        }
    }

    fn dispatch(self: &Arc<Self>, message: Message) {
        match message {
            Message::Response(response) => self.land(response),
            Message::Notification(note) => self.notified(note),
            Message::Request(request) => self.asked(request),
        }
    }

    fn land(&self, response: Response) {
        let ended = {
            let mut flights = self.lock();
            let id = match &response.id {
                Some(id) => id.as_u64(),
                // The server could not read a request, and does not know which.
                None => flights.only(),
            };
            let known = id.filter(|id| flights.get_mut(*id).is_some());
            if known.is_none() {
                self.tally.stray();
            }
            id.map(|id| flights.land(id, response.outcome)).unwrap_or_default()
        };
        self.end(ended);
    }

    /// Hands answers to those who wait for them.
    pub(super) fn end(&self, ended: impl IntoIterator<Item = (Flight, Result<Raw, RpcError>)>) {
        for (flight, outcome) in ended {
            for ask in flight.asks() {
                self.reply(ask, Err(asks::gone()));
            }
            flight.land(outcome, |outcome| self.answer(outcome));
        }
    }

    fn notified(self: &Arc<Self>, note: Notification) {
        let params = note.params.as_deref();
        if let Some(lists) = Lists::of_notification(&note.method) {
            return self.events.changed(lists);
        }
        match &*note.method {
            "notifications/progress" => self.progressed(note),
            "notifications/resources/updated" => {
                if let Ok(uri) = legacy::read_uri(params) {
                    let uri = uri.into_owned();
                    self.events.updated(&uri, note.params);
                }
            }
            "notifications/cancelled" => self.retracted(params),
            modern::ACKNOWLEDGED => self.acknowledged(params),
            other if is_about_a_task(other) => self.events.tell(LinkEvent::Other(note)),
            _ => self.unnamed(note),
        }
    }

    fn progressed(self: &Arc<Self>, note: Notification) {
        let id = progress_of(note.params.as_deref()).and_then(|token| token.get().parse().ok());
        let mut flights = self.lock();
        let Some(call) = id.and_then(|id| flights.call_mut(id).map(|call| (id, call))) else {
            return self.tally.stray();
        };
        let (id, call) = call;
        call.clock.heard();
        if call.is_asking() {
            call.may_ask_more();
        }
        let note = call.progress.as_mut().and_then(|progress| progress.incoming(note));
        flights.moved();
        match note {
            Some(note) => self.hand_over(flights, id, note),
            None => self.tally.stray(),
        }
    }

    /// A notification that names no call: a log message, or one that we do not know.
    fn unnamed(self: &Arc<Self>, note: Notification) {
        let mut flights = self.lock();
        let log = &*note.method == "notifications/message";
        let modern = self.terms().is_some_and(|terms| terms.era() == Era::Modern);
        let meant = if log && modern { flights.whose_log() } else { flights.whose() };
        if let Whose::Call(id) = meant
            && let Some(call) = flights.call_mut(id)
        {
            if !log || wants_log(&call.caller, &note) {
                self.hand_over(flights, id, note);
            }
            return;
        }
        drop(flights);
        self.events.tell(if log { LinkEvent::Log(note) } else { LinkEvent::Other(note) });
    }

    /// Gives a notification to a call; when there is no room it is dropped, since a later one or the answer says more.
    fn hand_over(self: &Arc<Self>, mut flights: MutexGuard<'_, Flights>, id: u64, note: Notification) {
        let Some(call) = flights.call_mut(id) else { return };
        let Some(live) = live(self, id, call) else { return };
        if live.sink.offer(Step::Notify(note)) == Err(NotTaken::Full) {
            self.tally.dropped();
        }
    }

    /// The server takes back a question, or ends a subscription.
    fn retracted(&self, params: Option<&serde_json::value::RawValue>) {
        let Some((id, _reason)) = legacy::read_cancelled(params) else { return };
        let mut flights = self.lock();
        flights.retract(&id);
        let listen = id.as_u64().filter(|id| matches!(flights.get_mut(*id), Some(Flight::Own(_))));
        let listen = listen.and_then(|id| flights.remove(id));
        drop(flights);
        if let Some(flight) = listen {
            flight.fail(error::crashed("it ended the subscription", false));
        }
    }

    fn acknowledged(&self, params: Option<&serde_json::value::RawValue>) {
        let id = modern::subscription_id(params).and_then(|id| id.as_u64());
        let mut flights = self.lock();
        if let Some(Flight::Own(own)) = id.and_then(|id| flights.get_mut(id))
            && let Some(acknowledged) = own.acknowledged.take()
            && let Ok(granted) = modern::read_filter(params)
        {
            let _keeper_gone = acknowledged.send(granted);
        }
    }

    /// The server asks for something. Also called for a question that was held until it is clear whose it is.
    pub(super) fn asked(self: &Arc<Self>, request: Request) {
        if &*request.method == "ping" {
            return self.reply(request.id, Ok(empty()));
        }
        if self.terms().is_some_and(|terms| terms.era() == Era::Modern) {
            return self.reply(request.id, Err(asks::unknown(&request.method)));
        }
        let mut flights = self.lock();
        let whose = flights.whose();
        self.learn(&mut flights, &request.method, whose);
        let (call, verdict) = match whose {
            Whose::Call(id) => {
                let caller = flights.call_mut(id).map(|call| Arc::clone(&call.caller));
                let params = request.params.as_deref();
                let verdict = caller.map(|c| asks::judge(&request.method, params, &c, &self.options));
                let judged = verdict.unwrap_or_else(|| self.judge_unattributed(&request));
                (Some(id), judged)
            }
            Whose::Nobody => (None, self.judge_unattributed(&request)),
            Whose::Unclear | Whose::Lost => match self.judge_all(&flights, &request) {
                Some(verdict) => (None, verdict),
                None if whose == Whose::Lost => (None, Verdict::Refuse(asks::unclear(&request.method))),
                None => {
                    let held = flights.hold(request);
                    self.usher(&mut flights);
                    drop(flights);
                    if let Err(request) = held {
                        self.reply(request.id, Err(asks::too_many()));
                    }
                    return;
                }
            },
        };
        self.act_on(flights, request, call, verdict);
    }

    fn judge_unattributed(&self, request: &Request) -> Verdict {
        asks::judge_unattributed(&request.method, &self.options)
    }

    /// What is the same whoever is meant; `None` when that matters.
    fn judge_all(&self, flights: &Flights, request: &Request) -> Option<Verdict> {
        if &*request.method == cella_mcp::ask::ROOTS && !self.options.roots.is_empty() {
            return Some(self.judge_unattributed(request));
        }
        let params = request.params.as_deref();
        let mut refusal = None;
        for (_, call) in flights.calls().filter(|(_, call)| call.can_ask()) {
            match asks::judge(&request.method, params, &call.caller, &self.options) {
                Verdict::Refuse(error) => refusal = Some(Verdict::Refuse(error)),
                _ => return None,
            }
        }
        refusal
    }

    /// Learns that the server asks within calls. Directories that are declared are the same whoever is meant; and the
    /// first question for them is of no call: servers ask it at their start.
    fn learn(&self, flights: &mut Flights, method: &str, whose: Whose) {
        let within = whose != Whose::Nobody;
        let asks = match method {
            cella_mcp::ask::ROOTS => {
                let again = std::mem::replace(&mut flights.waiting.roots_asked, true);
                within && again && self.options.roots.is_empty()
            }
            cella_mcp::ask::ELICIT | cella_mcp::ask::SAMPLE => within,
            _ => false,
        };
        if asks && !std::mem::replace(&mut flights.waiting.takes_turns, true) {
            self.events.tell(LinkEvent::TakesTurns { method: method.into() });
        }
    }

    fn act_on(
        self: &Arc<Self>,
        mut flights: MutexGuard<'_, Flights>,
        request: Request,
        call: Option<u64>,
        verdict: Verdict,
    ) {
        let outcome = match (verdict, call) {
            (Verdict::Pass, Some(id)) => {
                let put = flights.call_mut(id).map(|call| self.put_question(id, call, &request));
                flights.moved();
                match put.unwrap_or(Err(asks::gone())) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            (Verdict::Answer(result), _) => Ok(result),
            (Verdict::EndCall(refusal, error), Some(id)) => {
                drop(flights);
                let flight = self.give_up(id);
                self.reply(request.id, Err(refusal));
                self.send_note(&legacy::cancelled(&Id::number(id), Some("the client cannot answer")));
                if let Some(flight) = flight {
                    flight.land_own(error);
                }
                return;
            }
            (Verdict::Refuse(error) | Verdict::EndCall(error, _), _) => Err(error),
            (Verdict::Pass, None) => Err(asks::unknown(&request.method)),
        };
        drop(flights);
        self.reply(request.id, outcome);
    }

    fn put_question(
        self: &Arc<Self>,
        id: u64,
        call: &mut CallFlight,
        request: &Request,
    ) -> Result<(), RpcError> {
        let live = live(self, id, call).ok_or_else(asks::gone)?;
        if live.asks.len() >= ASKS_MAX {
            return Err(asks::too_many());
        }
        let key = AskKey(live.next_key);
        live.next_key += 1;
        let ask = Ask { key, method: request.method.clone(), params: request.params.clone() };
        live.sink.offer(Step::Ask(ask)).map_err(|_| asks::too_many())?;
        live.asks.insert(key, request.id.clone());
        call.clock.asked();
        call.may_ask_more();
        Ok(())
    }
}

impl Flight {
    /// Ends with an error of our own making, in the caller's era.
    fn land_own(self, error: RpcError) {
        self.land(Err(error), |outcome| cella_transport::Answer::own(outcome.map_err(Failure::Peer)));
    }
}

/// Whether a caller wants this log message: a modern one only what it asked for, a legacy one everything until it said.
pub(crate) fn wants_log(caller: &Caller, note: &Notification) -> bool {
    let wanted: Option<LogLevel> = caller.log_level.as_deref().and_then(|level| level.parse().ok());
    match wanted {
        Some(least) => LogLevel::of_message(note.params.as_deref()).is_none_or(|level| level >= least),
        None => caller.era() == Era::Legacy,
    }
}

/// The id in the first bytes of a message that is too long to read: most servers write it before the result.
fn find_id(head: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(head);
    let after = text.split_once("\"id\":")?.1.trim_start();
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    after[..digits].parse().ok()
}

fn empty() -> Raw {
    raw_json("{}").unwrap_or_else(|_| cella_mcp::Object::empty().to_raw())
}
