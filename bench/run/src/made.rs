//! A run of as many facts as wanted: a model that looks at two things at once, again and again, with answers of a few hundred
//! bytes.

use cella_contract::Effect as Class;
use cella_dialogue::{Answer, Assistant, Json, Stop, ToolCall, ToolSpec, Usage};
use cella_event::{CallId, Micros, RunId, Seq};
use cella_kernel::{Agent, Effect, Fact, Intended, Limits, ModelPolicy, Started, State, Target, Tool, What};

const RESULT: &str = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore \
    magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat.";

/// The run's name.
pub(crate) fn run() -> RunId {
    RunId::new("r-bench").expect("an id")
}

/// The facts of one run.
pub(crate) fn facts(count: usize) -> Vec<Fact> {
    let mut facts = vec![fact(1, started())];
    let mut state = State::begin(&facts[0]).expect("a start");
    let mut add = |state: &mut State, what: What| {
        let fact = fact(facts.len() + 1, what);
        state.apply(&fact).expect("it follows");
        facts.push(fact);
        facts.len()
    };
    let mut have = 1;
    while have < count {
        for (_, effect) in state.due() {
            have = match effect {
                Effect::Ask { ask, target, digest } => {
                    add(&mut state, What::Asked { ask, target, digest });
                    add(&mut state, What::Answered { ask, answer: Box::new(answer()), misfit: None })
                }
                Effect::Call(call) => {
                    let name = CallId::new(format!("c-{have}")).expect("an id");
                    let intended = Intended {
                        step: call.step,
                        part: call.part,
                        call: name.clone(),
                        server: call.server,
                        tool: call.tool,
                        arguments: Some(call.arguments),
                        effect: call.effect,
                        key: None,
                    };
                    add(&mut state, What::Intended(Box::new(intended)));
                    let result = serde_json::json!({"content": [{"type": "text", "text": RESULT}]});
                    let result = Json::of(&result).expect("JSON");
                    add(&mut state, What::Done { step: call.step, call: name, part: call.part, result })
                }
                _ => have,
            };
        }
    }
    facts
}

fn fact(seq: usize, what: What) -> Fact {
    Fact { seq: Seq(seq as u64), time: Micros(1_700_000_000_000_000 + seq as i64), what }
}

fn started() -> What {
    let schema = r#"{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}"#;
    let tool = Tool {
        spec: ToolSpec {
            name: "files__read".into(),
            description: "Reads a file.".into(),
            schema: Json::parse(schema).expect("JSON"),
        },
        server: "files".into(),
        tool: "read".into(),
        effect: Class::Read,
        undo: None,
        probe: None,
        approval: false,
    };
    let agent = Agent {
        name: "bench".into(),
        instructions: RESULT.into(),
        model: ModelPolicy::only(Target { provider: "p".into(), model: "m".into() }),
        tools: vec![tool],
        agents: Vec::new(),
        phases: Vec::new(),
        board: false,
        output: None,
        extra: None,
        limits: Limits { turns: u32::MAX, calls: u32::MAX, ..Limits::default() },
        budget: std::collections::BTreeMap::new(),
        relay: None,
        rehearses: None,
    };
    let task = "look".to_owned();
    What::Started(Box::new(Started {
        run: run(),
        agent,
        task,
        earlier: Vec::new(),
        parent: None,
        account: None,
    }))
}

fn answer() -> Answer {
    let call = |n: u32| ToolCall {
        id: format!("call_{n}"),
        name: "files__read".into(),
        arguments: format!(r#"{{"path":"/data/{n}.txt"}}"#),
    };
    let turn = Assistant { text: "Looking.".into(), calls: vec![call(1), call(2)], verbatim: None };
    Answer {
        turn,
        stop: Stop::Tools,
        usage: Usage { input: 900, output: 40, ..Usage::default() },
        model: "m".into(),
    }
}
