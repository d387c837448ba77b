//! Putting calls on record: the intent before, the outcome after, and what was asked in between.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use cella_contract::{Capture, Effect};
use cella_event::{CallId, Draft, IdempotencyKey, Int, Kind, Label, Map, RunId};
use cella_ledger::{AppendError, Durability, Ledger, Payload};
use cella_mcp::{Raw, RpcError};
use cella_transport::{Answer, AskKey, Failure, FaultKind, Observer, Step};
use tokio::sync::watch;

use crate::{
    capture,
    metrics::{Ended, Metrics},
    trace::{OpenSpan, SpanEnd},
};

/// Writes events and counts.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    ledger: Ledger,
    capture: Arc<ArcSwap<Capture>>,
    metrics: Metrics,
    /// Events that a task of their own is writing.
    late: Arc<watch::Sender<usize>>,
}

/// What is known of a call when it is put on record.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) call: CallId,
    pub(crate) parent: Option<CallId>,
    pub(crate) principal: Label,
    pub(crate) server: Label,
    pub(crate) target: Option<Label>,
    pub(crate) method: Box<str>,
    /// The run that wants it, with its step; `None` for a call of a client.
    pub(crate) errand: Option<Arc<Place>>,
}

/// Where in a run a call belongs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) run: RunId,
    pub(crate) step: String,
    pub(crate) part: &'static str,
    /// The key of an earlier try.
    pub(crate) key: Option<String>,
    pub(crate) phase: Option<String>,
}

/// A call that is permitted, with what is to be put on record of it and its span.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) subject: Subject,
    pub(crate) facts: Map,
    pub(crate) span: OpenSpan,
}

/// A call on record whose outcome is still to come. Proof that the intent was written.
#[derive(Debug)]
pub(crate) struct Intended {
    recorder: Recorder,
    subject: Subject,
    span: OpenSpan,
    began: Instant,
    /// Under which the server may recognise the call.
    key: Option<String>,
    over: bool,
}

/// Counts as one event that is being written, until it is dropped.
struct Late(Arc<watch::Sender<usize>>);

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(ledger: Ledger, capture: Capture, metrics: Metrics) -> Self {
        Self { ledger, capture: Arc::new(ArcSwap::from_pointee(capture)), metrics, late: Arc::default() }
    }

    /// Changes what is kept of payloads from now on.
    pub(crate) fn capture(&self, capture: Capture) {
        self.capture.store(Arc::new(capture));
    }

    /// Completes when no event is being written by a task of its own.
    pub(crate) async fn settled(&self) {
        // An error means that the sender is gone, which lives as long as this value.
        let _settled = self.late.subscribe().wait_for(|late| *late == 0).await.is_ok();
    }

    fn payload<'a>(&self, name: &'static str, text: &'a str) -> Option<Payload<'a>> {
        capture::payload(&self.capture.load(), name, text)
    }

    /// A run cannot be taken up again without its payloads: they are kept whatever the policy is.
    fn payload_of<'a>(&self, subject: &Subject, name: &'static str, text: &'a str) -> Option<Payload<'a>> {
        if subject.errand.is_some() {
            return capture::payload(&Capture::Full, name, text);
        }
        self.payload(name, text)
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Writes that a call is about to be made. What must survive a crash is on disk when this returns (DESIGN:
    /// durability follows the effect class).
    pub(crate) async fn intend(
        &self,
        begun: Begun,
        effect: Effect,
        params: Option<&Raw>,
    ) -> Result<Intended, AppendError> {
        let Begun { subject, facts, mut span } = begun;
        let payload = params.and_then(|p| self.payload_of(&subject, "params", p.get()));
        let mut body = facts.with("effect", effect.as_str()).with("method", subject.method.to_string());
        let key = payload.as_ref().and_then(|payload| subject.key(effect, payload));
        if let Some(key) = &key {
            body = body.with("idempotency_key", key.clone());
        }
        let draft = subject.draft(Kind::CallIntended).body(subject.placed(body));
        let payloads = payload.as_slice();
        let began = Instant::now();
        let written = if effect.may_be_repeated() {
            self.write(&draft, payloads).await
        } else {
            let flushed = self.ledger.append(&draft, payloads, Durability::Flushed).await;
            flushed.map(drop).inspect_err(|error| self.not_made(&subject, error))
        };
        if let Err(error) = written {
            span.end(SpanEnd::Fault(error.code()));
            return Err(error);
        }
        Ok(Intended { recorder: self.clone(), subject, span, began, key, over: false })
    }

    /// An intent that was not confirmed keeps its place and is written when the disk works again. Without this it would
    /// show as in doubt for ever, although the call was not made.
    fn not_made(&self, subject: &Subject, error: &AppendError) {
        if matches!(error, AppendError::Unconfirmed { .. }) {
            let body = Map::new()
                .with("code", crate::dispatch::UNRECORDED)
                .with("why", "the intent was not confirmed, so the call was not made")
                .with("in_doubt", false);
            self.write_soon(subject.draft(Kind::CallFailed).body(body), None);
        }
    }

    /// Writes that a call was refused; nothing was done.
    pub(crate) async fn refuse(
        &self,
        subject: &Subject,
        why: Map,
        params: Option<&Raw>,
    ) -> Result<(), AppendError> {
        self.metrics.call(subject.server.as_str(), &subject.method, Ended::Refused, Duration::ZERO);
        let payload = params.and_then(|p| self.payload_of(subject, "params", p.get()));
        let why = subject.placed(why);
        self.write(&subject.draft(Kind::CallRefused).body(why), payload.as_slice()).await
    }

    /// Writes a fact of the node itself, without waiting for the disk.
    pub(crate) async fn note(&self, draft: Draft) {
        if let Err(error) = self.write(&draft, &[]).await {
            tracing::error!(%error, kind = %draft.kind, "an event could not be written");
        }
    }

    /// The same from a place that cannot wait.
    pub(crate) fn note_soon(&self, draft: Draft) {
        self.write_soon(draft, None);
    }

    async fn write(&self, draft: &Draft, payloads: &[Payload<'_>]) -> Result<(), AppendError> {
        match self.ledger.try_append(draft, payloads) {
            Ok(_) => Ok(()),
            Err(AppendError::Full | AppendError::Large { .. }) => {
                self.ledger.append(draft, payloads, Durability::Buffered).await.map(|_| ())
            }
            Err(e) => Err(e),
        }
    }

    /// From a place that cannot wait: at once where there is room, else by a task.
    fn write_soon(&self, draft: Draft, payload: Option<Payload<'static>>) {
        let (recorder, payloads) = (self.clone(), Vec::from_iter(payload));
        match self.ledger.try_append(&draft, &payloads) {
            Ok(_) => {}
            Err(AppendError::Full | AppendError::Large { .. }) => {
                let writing = Late::new(&self.late);
                tokio::spawn(async move {
                    let _writing = writing;
                    if let Err(error) = recorder.ledger.append(&draft, &payloads, Durability::Buffered).await
                    {
                        tracing::error!(%error, "an outcome could not be written");
                    }
                });
            }
            Err(error) => tracing::error!(%error, "an outcome could not be written"),
        }
    }
}

// === impl Late ===

impl Late {
    fn new(late: &Arc<watch::Sender<usize>>) -> Self {
        late.send_modify(|late| *late += 1);
        Self(Arc::clone(late))
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.0.send_modify(|late| *late -= 1);
    }
}

// === impl Subject ===

impl Subject {
    fn draft(&self, kind: Kind) -> Draft {
        let mut draft = Draft::new(kind).call(self.call.clone()).principal(self.principal.clone());
        draft.server = Some(self.server.clone());
        draft.tool = self.target.clone();
        draft.parent = self.parent.clone();
        draft.run = self.errand.as_ref().map(|place| place.run.clone());
        draft
    }

    /// What else its first event says where a run wants it.
    fn placed(&self, body: Map) -> Map {
        let Some(place) = &self.errand else { return body };
        let body = body.with("part", place.part).with("step", place.step.clone());
        match &place.phase {
            Some(phase) => body.with("phase", phase.clone()),
            None => body,
        }
    }

    /// The key under which the server may recognise the call: that of the first try, where there was one.
    fn key(&self, effect: Effect, payload: &Payload<'_>) -> Option<String> {
        let place = self.errand.as_ref();
        if let Some(key) = place.and_then(|place| place.key.clone()) {
            return Some(key);
        }
        if effect.may_be_repeated() {
            return None;
        }
        let (run, step) = (place.map(|place| &place.run), place.map_or(self.call.as_str(), |p| &p.step));
        Some(IdempotencyKey::derive(run, step, payload.digest()).to_string())
    }
}

// === impl Intended ===

impl Intended {
    /// Under which the server may recognise the call.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Writes the outcome.
    pub(crate) fn conclude(mut self, answer: &Answer) {
        self.over(answer);
    }

    fn over(&mut self, answer: &Answer) {
        if self.subject.errand.is_some() {
            // The call was made, and nobody knows yet.
            cella_pursuit::crash_point();
        }
        self.over = true;
        let took = self.began.elapsed();
        self.span.end(span_end(answer));
        let (kind, ended, body) = outcome(answer);
        let body = body.with("took_us", Int::saturating(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)));
        let recorder = &self.recorder;
        recorder.metrics.call(self.subject.server.as_str(), &self.subject.method, ended, took);
        let payload = match &answer.outcome {
            Ok(result) => recorder.payload_of(&self.subject, "result", result.get()).map(owned),
            Err(Failure::Peer(error)) => {
                recorder.payload_of(&self.subject, "error", error.to_raw().get()).map(owned)
            }
            Err(Failure::Fault(_)) => None,
        };
        recorder.write_soon(self.subject.draft(kind).body(body), payload);
    }
}

impl Observer for Intended {
    fn saw(&mut self, step: &Step) {
        match step {
            Step::Done(answer) => self.over(answer),
            Step::Ask(ask) => {
                let body =
                    Map::new().with("ask", Int::saturating(ask.key.0)).with("method", ask.method.to_string());
                let params = ask.params.as_ref().and_then(|p| self.recorder.payload("params", p.get()));
                self.recorder.write_soon(self.subject.draft(Kind::CallAsked).body(body), params.map(owned));
            }
            Step::Notify(_) => {}
        }
    }

    fn replied(&mut self, key: AskKey, reply: &Result<Raw, RpcError>) {
        let body = Map::new().with("ask", Int::saturating(key.0)).with("ok", reply.is_ok());
        let text = match reply {
            Ok(result) => self.recorder.payload("result", result.get()).map(owned),
            Err(_) => None,
        };
        self.recorder.write_soon(self.subject.draft(Kind::CallAnswered).body(body), text);
    }
}

impl Drop for Intended {
    fn drop(&mut self) {
        if !self.over {
            self.span.end(SpanEnd::Cancelled);
            let took = self.began.elapsed();
            self.recorder.metrics.call(
                self.subject.server.as_str(),
                &self.subject.method,
                Ended::Cancelled,
                took,
            );
            let body = Map::new().with("in_doubt", true);
            self.recorder.write_soon(self.subject.draft(Kind::CallCancelled).body(body), None);
        }
    }
}

fn span_end(answer: &Answer) -> SpanEnd<'_> {
    match &answer.outcome {
        Ok(result) if cella_mcp::is_error(result) => SpanEnd::ToolError,
        Ok(_) => SpanEnd::Ok,
        Err(Failure::Peer(error)) => SpanEnd::Rpc(error.code),
        Err(Failure::Fault(fault)) if fault.kind == FaultKind::Cancelled => SpanEnd::Cancelled,
        Err(Failure::Fault(fault)) => SpanEnd::Fault(fault.code),
    }
}

fn outcome(answer: &Answer) -> (Kind, Ended, Map) {
    match &answer.outcome {
        Ok(result) if cella_mcp::is_error(result) => {
            (Kind::CallCompleted, Ended::ToolError, Map::new().with("is_error", true))
        }
        Ok(_) => (Kind::CallCompleted, Ended::Ok, Map::new()),
        Err(Failure::Peer(error)) => {
            let code = i64::clamp(error.code, -2_147_483_648, 2_147_483_647);
            let body = Map::new().with("rpc_code", i32::try_from(code).unwrap_or_default());
            (Kind::CallFailed, Ended::PeerError, body)
        }
        Err(Failure::Fault(fault)) => {
            let body = Map::new()
                .with("code", fault.code)
                .with("why", fault.message.clone())
                .with("in_doubt", fault.in_doubt);
            let kind =
                if fault.kind == FaultKind::Cancelled { Kind::CallCancelled } else { Kind::CallFailed };
            (kind, Ended::Fault, body)
        }
    }
}

/// A payload that outlives the message it was made from.
fn owned(payload: Payload<'_>) -> Payload<'static> {
    payload.into_owned()
}
