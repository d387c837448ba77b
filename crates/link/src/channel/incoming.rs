//! What a server says on a channel, and whose it is.

use std::sync::Arc;

use cella_mcp::{
    DecodeError, Era, Flaw, Id, Incoming, LogLevel, Message, Notification, Raw, Request, Response, Revision,
    legacy, modern, parse_batch, progress_of, raw_json,
};
use tokio::io::AsyncRead;

use super::{
    Channel, Down,
    driver::live,
    flights::{CallFlight, Flight, Flights},
};
use crate::{
    LinkEvent,
    asks::{self, Attribution, Verdict},
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
        let flight = {
            let mut flights = self.lock();
            let id = match &response.id {
                Some(id) => id.as_u64(),
                // The server could not read a request, and does not know which.
                None => flights.only(),
            };
            id.and_then(|id| flights.remove(id))
        };
        match flight {
            Some(flight) => flight.land(response.outcome, |outcome| self.answer(outcome)),
            None => self.tally.stray(),
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
        match call.progress.as_mut().and_then(|progress| progress.incoming(note)) {
            Some(note) => self.hand_over(flights, id, note),
            None => self.tally.stray(),
        }
    }

    /// A notification that names no call: a log message, or one that we do not know.
    fn unnamed(self: &Arc<Self>, note: Notification) {
        let mut flights = self.lock();
        let log = &*note.method == "notifications/message";
        let modern = self.terms().is_some_and(|terms| terms.era() == Era::Modern);
        let meant = if log && modern { flights.attribute_log() } else { flights.attribute() };
        if let Attribution::Call(id) = meant
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
    fn hand_over(
        self: &Arc<Self>,
        mut flights: std::sync::MutexGuard<'_, Flights>,
        id: u64,
        note: Notification,
    ) {
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

    fn asked(self: &Arc<Self>, request: Request) {
        if &*request.method == "ping" {
            return self.reply(request.id, Ok(empty()));
        }
        let params = request.params.as_deref();
        let mut flights = self.lock();
        let attribution = flights.attribute();
        let modern = self.terms().is_some_and(|terms| terms.era() == Era::Modern);
        let (call, verdict) = match attribution {
            _ if modern => (None, Verdict::Refuse(asks::unknown(&request.method))),
            Attribution::Call(id) => {
                let caller = flights.call_mut(id).map(|call| Arc::clone(&call.caller));
                let verdict = caller.map(|c| asks::judge(&request.method, params, &c, &self.options));
                (
                    Some(id),
                    verdict.unwrap_or_else(|| asks::judge_unattributed(&request.method, &self.options)),
                )
            }
            Attribution::Ambiguous
                if &*request.method != cella_mcp::ask::ROOTS || self.options.roots.is_empty() =>
            {
                self.events.tell(LinkEvent::Ambiguous { method: request.method.clone() });
                (None, Verdict::Refuse(asks::ambiguous(&request.method)))
            }
            // The declared directories are the same whoever is meant.
            Attribution::Ambiguous | Attribution::Nobody => {
                (None, asks::judge_unattributed(&request.method, &self.options))
            }
        };
        let outcome = match (verdict, call) {
            (Verdict::Pass, Some(id)) => {
                let put = flights.call_mut(id).map(|call| self.put_question(id, call, &request));
                match put.unwrap_or(Err(asks::gone())) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            (Verdict::Answer(result), _) => Ok(result),
            (Verdict::EndCall(refusal, error), Some(id)) => {
                let flight = flights.remove(id);
                drop(flights);
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
    ) -> Result<(), cella_mcp::RpcError> {
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
        Ok(())
    }
}

impl Flight {
    /// Ends with an error of our own making, in the caller's era.
    fn land_own(self, error: cella_mcp::RpcError) {
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
