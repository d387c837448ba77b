//! From an event of the ledger to a fact.

use std::{borrow::Cow, collections::HashMap};

use cella_contract::Effect as Class;
use cella_dialogue::{Failure, FailureClass, Json};
use cella_event::{CallId, Event, Hash, Kind, Map, Micros, RunId, Seq};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{AskId, EndStatus, Ending, Fact, Forked, Intended, Part, Started, StepId, Target, Verdict, What};

/// An event of a run that cannot be read, so that the run cannot be taken further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// A field of the body is missing or has another type.
    #[error("event {seq} ({kind}): expected the field {field}")]
    Field {
        /// Its place.
        seq: Seq,
        /// Its kind.
        kind: String,
        /// What is missing.
        field: &'static str,
    },
    /// A payload was not kept, or was deleted.
    #[error("event {seq} ({kind}): its payload {name} is not in the ledger any more")]
    Payload {
        /// Its place.
        seq: Seq,
        /// Its kind.
        kind: String,
        /// Which.
        name: &'static str,
    },
    /// A payload is not what it should be.
    #[error("event {seq} ({kind}): its payload {name} cannot be read: {why}")]
    Form {
        /// Its place.
        seq: Seq,
        /// Its kind.
        kind: String,
        /// Which.
        name: &'static str,
        /// Why.
        why: String,
    },
}

/// Reads the events of one run, in order.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    calls: HashMap<CallId, (StepId, Part)>,
}

/// An event that is being read.
struct Reading<'e, P> {
    event: &'e Event,
    payload: P,
}

impl Decoder {
    /// Reads an event; `None` where it is no fact of its run (a question of a server within a call, for example). `payload` looks a payload
    /// of this event up.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn decode(
        &mut self,
        event: &Event,
        payload: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Option<Fact>, Unreadable> {
        let reading = Reading { event, payload };
        let what = match &event.kind {
            Kind::CallIntended
            | Kind::CallCompleted
            | Kind::CallFailed
            | Kind::CallCancelled
            | Kind::CallRefused => self.call(&reading)?,
            Kind::RunStarted
            | Kind::RunResumed
            | Kind::RunForked
            | Kind::RunTools
            | Kind::RunWoken
            | Kind::RunCancelAsked
            | Kind::RunPaused
            | Kind::RunEnded => reading.life()?,
            Kind::ModelIntended | Kind::ModelCompleted | Kind::ModelFailed | Kind::BudgetRefused => {
                reading.model()?
            }
            _ => reading.step()?,
        };
        Ok(what.map(|what| Fact { seq: event.seq, time: event.time, what }))
    }

    fn call(
        &mut self,
        reading: &Reading<'_, impl Fn(&str) -> Option<Vec<u8>>>,
    ) -> Result<Option<What>, Unreadable> {
        let event = reading.event;
        let Some(call) = &event.call else { return Ok(None) };
        if let Some(of) = reading.place() {
            self.calls.insert(call.clone(), of);
        }
        let Some((step, part)) = self.calls.get(call).copied() else { return Ok(None) };
        let call = call.clone();
        let why = |or: &str| event.body.text("why").unwrap_or(or).to_owned();
        Ok(Some(match &event.kind {
            Kind::CallIntended => reading.intended(step, part, &call)?,
            Kind::CallCompleted => What::Done { step, call, part, result: reading.json("result")? },
            Kind::CallRefused => {
                let rule = event.body.text("rule").unwrap_or("its contract").to_owned();
                What::Refused { step, call, part, why: format!("refused: {rule}") }
            }
            Kind::CallFailed if event.body.int("rpc_code").is_some() => {
                let error = reading.optional("error").unwrap_or_default();
                What::Failed {
                    step,
                    call,
                    part,
                    why: format!("the server answered with an error: {error}"),
                    in_doubt: false,
                }
            }
            _ => {
                let in_doubt = event.body.bool("in_doubt").unwrap_or(event.kind == Kind::CallCancelled);
                What::Failed { step, call, part, why: why("the call was given up"), in_doubt }
            }
        }))
    }
}

impl<P: Fn(&str) -> Option<Vec<u8>>> Reading<'_, P> {
    fn life(&self) -> Result<Option<What>, Unreadable> {
        let body = &self.event.body;
        Ok(Some(match &self.event.kind {
            Kind::RunStarted => What::Started(Box::new(Started {
                run: self.run()?,
                agent: self.parsed("agent")?,
                task: self.text("task")?,
                earlier: if self.event.payload("earlier").is_some() {
                    self.parsed("earlier")?
                } else {
                    Vec::new()
                },
                parent: self.id("parent")?,
                account: body.text("account").map(str::to_owned),
            })),
            Kind::RunResumed => What::Resumed,
            Kind::RunForked => What::Forked(Box::new(Forked {
                run: self.run()?,
                from: self.id("from")?.ok_or_else(|| self.lacks("from"))?,
                at: Seq(self.number("at")?),
                agent: if self.event.payload("agent").is_some() { Some(self.parsed("agent")?) } else { None },
                say: if self.event.payload("say").is_some() { Some(self.text("say")?) } else { None },
                note: without(body, &["at", "from"]),
            })),
            Kind::RunTools => What::ToolsFound(self.parsed("tools")?),
            Kind::RunWoken => {
                let until = i64::try_from(self.number("until")?).unwrap_or(i64::MAX);
                What::Woken { until: Micros(until) }
            }
            Kind::RunCancelAsked => What::CancelAsked { by: self.principal() },
            Kind::RunPaused => What::Paused { code: self.field("code")?, why: self.field("why")? },
            _ => What::Ended(Ending {
                status: body.text("status").and_then(EndStatus::parse).ok_or_else(|| self.lacks("status"))?,
                code: body.text("code").map(str::to_owned),
                why: body.text("why").map(str::to_owned),
                output: self.text("output")?,
            }),
        }))
    }

    fn model(&self) -> Result<Option<What>, Unreadable> {
        let body = &self.event.body;
        if self.event.kind == Kind::BudgetRefused {
            return Ok(Some(What::OverBudget { why: self.field("why")? }));
        }
        let Some(ask) = body.int("ask").and_then(|n| u32::try_from(n).ok()).map(AskId) else {
            return Ok(None);
        };
        Ok(Some(match &self.event.kind {
            Kind::ModelIntended => What::Asked {
                ask,
                target: Target { provider: self.field("provider")?, model: self.field("model")? },
                digest: body
                    .text("digest")
                    .and_then(|d| d.parse::<Hash>().ok())
                    .ok_or_else(|| self.lacks("digest"))?,
            },
            Kind::ModelCompleted => What::Answered {
                ask,
                answer: Box::new(self.parsed("answer")?),
                misfit: body.text("misfit").map(str::to_owned),
            },
            _ => What::Unanswered {
                ask,
                failure: Failure {
                    class: body
                        .text("class")
                        .and_then(FailureClass::parse)
                        .ok_or_else(|| self.lacks("class"))?,
                    status: body.int("status").and_then(|n| u16::try_from(n).ok()),
                    retry_after_ms: body.int("retry_after_ms").and_then(|n| u64::try_from(n).ok()),
                    message: self.field("why")?,
                },
            },
        }))
    }

    fn step(&self) -> Result<Option<What>, Unreadable> {
        let body = &self.event.body;
        // The same kinds are used outside runs too.
        let Some(step) = body.text("step").and_then(|s| s.parse::<StepId>().ok()) else { return Ok(None) };
        Ok(Some(match &self.event.kind {
            Kind::ApprovalAsked => What::ApprovalAsked { step },
            Kind::ApprovalGranted => What::ApprovalGranted { step, by: self.principal() },
            Kind::ApprovalDenied => {
                let why = body.text("why").unwrap_or_default().to_owned();
                What::ApprovalDenied { step, by: self.principal(), why }
            }
            Kind::DoubtAsked => What::DoubtAsked { step },
            Kind::DoubtResolved => {
                let verdict = match body.text("verdict") {
                    Some("happened") => Verdict::Happened { result: self.text("result")? },
                    Some("not_happened") => Verdict::NotHappened,
                    Some("given_up") => Verdict::GivenUp,
                    _ => return Err(self.lacks("verdict")),
                };
                What::Resolved { step, verdict, by: self.principal() }
            }
            Kind::BoardSet => What::BoardSet { step, key: self.field("key")?, value: self.text("value")? },
            Kind::PhaseEntered => What::PhaseEntered { step, phase: self.field("phase")? },
            Kind::ChildStarted => {
                What::ChildStarted { step, run: self.id("child")?.ok_or_else(|| self.lacks("child"))? }
            }
            Kind::ChildEnded => What::ChildEnded {
                step,
                output: self.text("output")?,
                failed: body.bool("failed").ok_or_else(|| self.lacks("failed"))?,
            },
            _ => return Ok(None),
        }))
    }

    fn intended(&self, step: StepId, part: Part, call: &CallId) -> Result<What, Unreadable> {
        let (event, body) = (self.event, &self.event.body);
        let label = |label: &Option<cella_event::Label>| {
            label.as_ref().map(|l| l.as_str().to_owned()).unwrap_or_default()
        };
        Ok(What::Intended(Box::new(Intended {
            step,
            part,
            call: call.clone(),
            server: label(&event.server),
            tool: label(&event.tool),
            arguments: self.arguments(),
            effect: body.text("effect").and_then(Class::parse).ok_or_else(|| self.lacks("effect"))?,
            key: body.text("idempotency_key").map(str::to_owned),
        })))
    }

    /// The step and the part that a call is for, where its event says so.
    fn place(&self) -> Option<(StepId, Part)> {
        let step = self.event.body.text("step")?.parse().ok()?;
        Some((step, Part::parse(self.event.body.text("part")?)?))
    }

    fn arguments(&self) -> Option<Json> {
        #[derive(Deserialize)]
        struct Params<'p> {
            #[serde(borrow)]
            arguments: Option<&'p RawValue>,
        }
        let bytes = (self.payload)("params")?;
        let params: Params<'_> = serde_json::from_slice(&bytes).ok()?;
        Json::parse(params.arguments.map_or("{}", RawValue::get)).ok()
    }

    fn run(&self) -> Result<RunId, Unreadable> {
        self.event.run.clone().ok_or_else(|| self.lacks("run"))
    }

    fn principal(&self) -> String {
        self.event.principal.as_ref().map_or_else(|| "somebody".to_owned(), |p| p.as_str().to_owned())
    }

    fn id(&self, field: &'static str) -> Result<Option<RunId>, Unreadable> {
        let text = self.event.body.text(field);
        text.map(|text| RunId::new(text).map_err(|_| self.lacks(field))).transpose()
    }

    fn field(&self, field: &'static str) -> Result<String, Unreadable> {
        self.event.body.text(field).map(str::to_owned).ok_or_else(|| self.lacks(field))
    }

    fn number(&self, field: &'static str) -> Result<u64, Unreadable> {
        let number = self.event.body.int(field).and_then(|n| u64::try_from(n).ok());
        number.ok_or_else(|| self.lacks(field))
    }

    fn optional(&self, name: &str) -> Option<String> {
        let bytes = (self.payload)(name)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Unreadable> {
        let gone = || Unreadable::Payload { seq: self.event.seq, kind: self.event.kind.to_string(), name };
        (self.payload)(name).ok_or_else(gone)
    }

    fn text(&self, name: &'static str) -> Result<String, Unreadable> {
        String::from_utf8(self.bytes(name)?).map_err(|fault| self.form(name, &fault))
    }

    fn json(&self, name: &'static str) -> Result<Json, Unreadable> {
        Json::parse(self.text(name)?).map_err(|fault| self.form(name, &fault))
    }

    fn parsed<T: for<'de> Deserialize<'de>>(&self, name: &'static str) -> Result<T, Unreadable> {
        let bytes: Cow<'_, [u8]> = self.bytes(name)?.into();
        serde_json::from_slice(&bytes).map_err(|fault| self.form(name, &fault))
    }

    fn lacks(&self, field: &'static str) -> Unreadable {
        Unreadable::Field { seq: self.event.seq, kind: self.event.kind.to_string(), field }
    }

    fn form(&self, name: &'static str, why: &dyn std::fmt::Display) -> Unreadable {
        Unreadable::Form {
            seq: self.event.seq,
            kind: self.event.kind.to_string(),
            name,
            why: why.to_string(),
        }
    }
}

fn without(map: &Map, fields: &[&str]) -> Map {
    let mut rest = Map::new();
    for (key, value) in map.iter().filter(|(key, _)| !fields.contains(&key.as_str())) {
        rest.insert(key.clone(), value.clone());
    }
    rest
}
