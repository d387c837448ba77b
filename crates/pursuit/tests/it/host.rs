//! A host with a model that follows a script and tools that count.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use cella_contract::Effect as Class;
use cella_dialogue::{
    Answer, Assistant, Failure, FailureClass, Json, Request, Stop, ToolCall, ToolSpec, Usage,
};
use cella_event::{CallId, Draft, Key, Kind, Label, Map, Micros, RunId};
use cella_kernel::{Agent, Limits, ModelPolicy, Part, Target, Tool};
use cella_ledger::{Durability, Ledger, Payload};
use cella_pursuit::{AskOrder, Asked, Broken, CallOrder, Cost, Cut, Host, Notice, Prepared};
use futures_util::future::BoxFuture;

/// What a scripted model does.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Calls(Vec<(&'static str, &'static str)>),
    Text(&'static str),
    Fails(FailureClass),
    /// Until it is cut.
    Never,
}

pub(crate) struct Scripted {
    ledger: Ledger,
    script: Mutex<VecDeque<Says>>,
    pub(crate) done: Mutex<Vec<String>>,
    pub(crate) told: Mutex<Vec<Notice>>,
    /// Calls of this tool never come back.
    hangs: Option<&'static str>,
    calls: Mutex<u32>,
}

impl Scripted {
    pub(crate) fn new(ledger: &Ledger, hangs: Option<&'static str>, script: &[Says]) -> Arc<Self> {
        Arc::new(Self {
            ledger: ledger.clone(),
            script: Mutex::new(script.iter().cloned().collect()),
            done: Mutex::default(),
            told: Mutex::default(),
            hangs,
            calls: Mutex::new(0),
        })
    }

    async fn make(&self, order: CallOrder) -> Result<(), Broken> {
        let call = order.call;
        let number = {
            let mut calls = self.calls.lock().expect("no panic before");
            *calls += 1;
            *calls
        };
        let name = format!("{}-{}-{}-{number}", order.run, call.step, call.part.as_str());
        let id = CallId::new(name).expect("an id");
        let key = call.key.clone().unwrap_or_else(|| format!("key-{}-{}", order.run, call.step));
        let draft = |kind| {
            let mut draft = Draft::new(kind).run(order.run.clone()).call(id.clone());
            draft.server = Some(Label::clipped(&call.server));
            draft.tool = Some(Label::clipped(&call.tool));
            draft
        };
        let body = Map::new()
            .with("effect", call.effect.as_str())
            .with("idempotency_key", key.clone())
            .with("part", call.part.as_str())
            .with("step", call.step.to_string());
        let params = format!(r#"{{"name":"{}","arguments":{}}}"#, call.tool, call.arguments.text());
        let payload = Payload::full(Key::literal("params"), params.into_bytes())?;
        self.ledger.append(&draft(Kind::CallIntended).body(body), &[payload], Durability::Flushed).await?;
        let result = if call.part == Part::Probe {
            let happened = self.done.lock().expect("no panic before").contains(&key);
            format!(r#"{{"structuredContent":{{"happened":{happened},"result":"probed"}}}}"#)
        } else {
            self.done.lock().expect("no panic before").push(key);
            format!(r#"{{"content":[{{"type":"text","text":"{} done"}}]}}"#, call.tool)
        };
        if self.hangs == Some(&*call.tool) {
            std::future::pending::<()>().await;
        }
        let payload = Payload::full(Key::literal("result"), result.into_bytes())?;
        self.ledger.append(&draft(Kind::CallCompleted), &[payload], Durability::Buffered).await?;
        Ok(())
    }
}

impl Host for Scripted {
    fn call(&self, order: CallOrder) -> BoxFuture<'_, Result<bool, Broken>> {
        Box::pin(async move { self.make(order).await.map(|()| true) })
    }

    fn cost(&self, _target: &Target, _usage: Usage) -> Option<Cost> {
        None
    }

    fn prepare(&self, _run: &RunId, target: &Target, request: &Request) -> Result<Prepared, Failure> {
        let bytes = serde_json::to_vec(request).expect("JSON");
        Ok(Prepared {
            target: target.clone(),
            bytes: bytes.into(),
            relay: None,
            input_tokens: 1,
            output_tokens: 1,
        })
    }

    fn send(&self, mut order: AskOrder) -> BoxFuture<'_, Asked> {
        Box::pin(async move {
            let says = self.script.lock().expect("no panic before").pop_front();
            let result = match says.expect("the script has an answer") {
                Says::Text(text) => Ok(answer(text, &[])),
                Says::Calls(calls) => Ok(answer("", &calls)),
                Says::Fails(class) => Err(failure(class)),
                Says::Never => {
                    let cut = order.meter.cut.wait_for(Option::is_some).await.map(|cut| *cut);
                    assert_eq!(cut.ok().flatten(), Some(Cut::Cancelled));
                    Err(failure(FailureClass::Cancelled))
                }
            };
            let usage = result.as_ref().map(|answer: &Answer| answer.usage).unwrap_or_default();
            Asked { result, raw: b"raw".to_vec(), usage, misfit: None, facts: Map::new() }
        })
    }

    fn colleague(&self, name: &str) -> BoxFuture<'_, Result<Agent, String>> {
        let found = if name == "helper" { Ok(agent(&[])) } else { Err(format!("no agent {name}")) };
        Box::pin(async move { found })
    }

    fn now(&self) -> Micros {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Micros(i64::try_from(now.as_micros()).expect("before 294,000"))
    }

    fn tell(&self, notice: Notice) {
        self.told.lock().expect("no panic before").push(notice);
    }
}

fn failure(class: FailureClass) -> Failure {
    Failure { class, status: None, retry_after_ms: Some(1), message: "scripted".into() }
}

fn answer(text: &str, calls: &[(&str, &str)]) -> Answer {
    let call = |(at, (name, arguments)): (usize, &(&str, &str))| ToolCall {
        id: format!("c{at}"),
        name: (*name).into(),
        arguments: (*arguments).into(),
    };
    let calls: Vec<ToolCall> = calls.iter().enumerate().map(call).collect();
    let stop = if calls.is_empty() { Stop::End } else { Stop::Tools };
    let turn = Assistant { text: text.into(), calls, verbatim: None };
    Answer { turn, stop, usage: Usage { input: 10, output: 5, ..Usage::default() }, model: "m".into() }
}

pub(crate) fn tool(name: &str, effect: Class) -> Tool {
    let schema = Json::parse(r#"{"type":"object"}"#).expect("JSON");
    Tool {
        spec: ToolSpec { name: name.into(), description: String::new(), schema },
        server: "world".into(),
        tool: name.into(),
        effect,
        undo: None,
        probe: None,
        approval: false,
    }
}

pub(crate) fn agent(tools: &[Tool]) -> Agent {
    Agent {
        name: "tester".into(),
        instructions: String::new(),
        model: ModelPolicy::only(Target { provider: "p".into(), model: "m".into() }),
        tools: tools.to_vec(),
        agents: Vec::new(),
        phases: Vec::new(),
        board: false,
        output: None,
        extra: None,
        limits: Limits::default(),
        budget: std::collections::BTreeMap::new(),
        relay: None,
        rehearses: None,
    }
}

/// Waits until something holds; a test that waits so long has failed.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
