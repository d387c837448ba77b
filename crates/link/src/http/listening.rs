//! Changes over HTTP: the listen request of the modern era, the standing stream of the legacy era.

use std::sync::Arc;

use cella_mcp::{
    AskProfile, Era, Message, Notification, Raw, Request as RpcRequest, ask, legacy, modern, progress_of,
};
use tokio::sync::oneshot;

use super::{Arrival, Carriage, HttpLink, HttpTerms, get};
use crate::{
    LinkEvent,
    asks::{self, Attribution, Verdict},
    backoff::Backoff,
    error,
    events::{Lists, is_about_a_task},
};
use cella_transport::Failure;

impl HttpLink {
    /// Sends a listen request and forwards what comes; ends when the subscription does.
    pub(crate) async fn listen(
        self: &Arc<Self>,
        params: Option<Raw>,
        acknowledged: oneshot::Sender<modern::ListenFilter>,
    ) -> Result<Raw, Failure> {
        let Some(terms) = self.terms() else { return Err(Failure::Fault(error::link_closed(false))) };
        let (id, mut carriage) = self.carry_own(&terms, "subscriptions/listen", params);
        let mut acknowledged = Some(acknowledged);
        loop {
            match carriage.next().await {
                Arrival::Message(Message::Response(response)) => {
                    if response.id.as_ref().is_none_or(|answered| answered.as_u64() == Some(id)) {
                        return response.outcome.map_err(Failure::Peer);
                    }
                }
                Arrival::Message(Message::Notification(note)) if &*note.method == modern::ACKNOWLEDGED => {
                    let granted = modern::read_filter(note.params.as_deref());
                    if let (Some(acknowledged), Ok(granted)) = (acknowledged.take(), granted) {
                        let _keeper_gone = acknowledged.send(granted);
                    }
                }
                Arrival::Message(Message::Notification(note)) => self.unattributed(None, note),
                Arrival::Message(Message::Request(_)) => self.tally.stray(),
                Arrival::Accepted => {
                    return Err(Failure::Fault(error::garbage("a listen request was not answered")));
                }
                Arrival::Refused(refusal) => return Err(refusal.to_failure()),
                Arrival::Broken { why, .. } => return Err(Failure::Fault(why.to_fault(false))),
                Arrival::Garbage(what) => return Err(Failure::Fault(error::garbage(&what))),
            }
        }
    }

    /// A notification that did not come on the stream of a call.
    fn unattributed(self: &Arc<Self>, lane: Option<AskProfile>, note: Notification) {
        if let Some(lists) = Lists::of_notification(&note.method) {
            return self.events.changed(lists);
        }
        let named = match &*note.method {
            "notifications/resources/updated" => {
                if let Ok(uri) = legacy::read_uri(note.params.as_deref()) {
                    let uri = uri.into_owned();
                    self.events.updated(&uri, note.params);
                }
                return;
            }
            "notifications/progress" => {
                progress_of(note.params.as_deref()).and_then(|token| self.board.by_token(token.get()))
            }
            other if is_about_a_task(other) => None,
            _ => match self.board.attribute(lane) {
                Attribution::Call(id) => Some(id),
                Attribution::Nobody | Attribution::Ambiguous => None,
            },
        };
        let log = &*note.method == "notifications/message";
        match named {
            Some(id) => {
                if !self.board.post(id, Message::Notification(note)) {
                    self.tally.dropped();
                }
            }
            None if &*note.method == "notifications/progress" => self.tally.stray(),
            None => self.events.tell(if log { LinkEvent::Log(note) } else { LinkEvent::Other(note) }),
        }
    }

    /// A request of the server on the standing stream.
    fn asked(self: &Arc<Self>, terms: &Arc<HttpTerms>, request: RpcRequest) {
        if &*request.method == "ping" {
            return self.reply(terms, request.id, Ok(cella_mcp::Object::empty().to_raw()));
        }
        let declared = &*request.method == ask::ROOTS && !self.options.roots.is_empty();
        let verdict = match self.board.attribute(terms.lane) {
            Attribution::Call(call) => {
                let id = request.id.clone();
                if !self.board.post(call, Message::Request(request)) {
                    self.reply(terms, id, Err(asks::too_many()));
                }
                return;
            }
            Attribution::Ambiguous if !declared => {
                self.events.tell(LinkEvent::Ambiguous { method: request.method.clone() });
                Verdict::Refuse(asks::ambiguous(&request.method))
            }
            Attribution::Ambiguous | Attribution::Nobody => {
                asks::judge_unattributed(&request.method, &self.options)
            }
        };
        match verdict {
            Verdict::Answer(result) => self.reply(terms, request.id, Ok(result)),
            Verdict::Refuse(error) | Verdict::EndCall(error, _) => self.reply(terms, request.id, Err(error)),
            Verdict::Pass => self.reply(terms, request.id, Err(asks::unknown(&request.method))),
        }
    }

    /// A message of the standing stream.
    fn take_standing(self: &Arc<Self>, terms: &Arc<HttpTerms>, message: Message) {
        match message {
            Message::Notification(note) => self.unattributed(terms.lane, note),
            Message::Request(request) => self.asked(terms, request),
            Message::Response(response) => {
                let call = response.id.as_ref().and_then(cella_mcp::Id::as_u64);
                if !call.is_some_and(|call| self.board.post(call, Message::Response(response))) {
                    self.tally.stray();
                }
            }
        }
    }
}

/// Keeps the standing stream of the session for all open for as long as the server offers one. Returns when it does not.
pub(crate) async fn keep_stream(link: &Arc<HttpLink>, ready: &mut Option<oneshot::Sender<()>>) {
    let mut backoff = Backoff::default();
    let mut gap = false;
    while let Some(terms) = link.terms().filter(|terms| terms.terms.era() == Era::Legacy && !link.is_closed())
    {
        match stand(link, &terms, ready, &mut gap, &mut backoff).await {
            Stood::Lost if matches!(link.negotiate_again(&terms, true).await, Ok(Some(_))) => continue,
            Stood::Unoffered => return,
            Stood::Lost | Stood::Broken => {}
        }
        gap = true;
        backoff.wait().await;
    }
}

/// How a standing stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stood {
    /// The server has forgotten the session.
    Lost,
    /// The server has no such stream.
    Unoffered,
    /// It broke off, or the server cannot give it now: an overload is no reason never to ask again.
    Broken,
}

impl Stood {
    fn of(end: &Arrival, session: bool) -> Self {
        let Arrival::Refused(refusal) = end else { return Self::Broken };
        match refusal.status.as_u16() {
            404 if session => Self::Lost,
            404 | 405 | 501 => Self::Unoffered,
            _ => Self::Broken,
        }
    }
}

/// Opens a standing stream and takes what comes until it ends. `gap`: changes may have been missed before it stood.
pub(super) async fn stand(
    link: &Arc<HttpLink>,
    terms: &Arc<HttpTerms>,
    ready: &mut Option<oneshot::Sender<()>>,
    gap: &mut bool,
    backoff: &mut Backoff,
) -> Stood {
    let request = get(&link.target.path, &terms.headers, None);
    let mut carriage = Carriage::send(link, terms, request, true);
    let opened = carriage.head().await;
    if let Some(ready) = ready.take() {
        let _nobody_waits = ready.send(());
    }
    if let Err(arrival) = opened {
        return Stood::of(&arrival, terms.session);
    }
    if carriage.is_stream() && std::mem::take(gap) {
        link.events.changed(Lists::ALL);
    }
    loop {
        match carriage.next().await {
            Arrival::Message(message) => {
                backoff.reset();
                link.take_standing(terms, message);
            }
            end => return Stood::of(&end, terms.session),
        }
    }
}
