//! A world with tools of each class, a model that says what it is told to, and a ledger that is a list.

use std::collections::{BTreeMap, BTreeSet};

use cella_contract::Effect as Class;
use cella_dialogue::{Answer, Assistant, Json, Stop, ToolCall, ToolSpec, Turn, Usage};
use cella_event::{CallId, Micros, RunId, Seq};
use cella_kernel::{
    Agent, Fact, Intended, Limits, ModelPolicy, Part, Started, State, Target, ToCall, Tool, What,
};

/// What the outside has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    /// Payments made, by key: more than one entry for a key is money lost.
    pub(crate) paid: Vec<String>,
    /// Documents that stand, by key.
    pub(crate) standing: BTreeMap<String, u32>,
    /// What is set, by name.
    pub(crate) set: BTreeSet<String>,
}

pub(crate) fn target() -> Target {
    Target { provider: "scripted".into(), model: "m".into() }
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

pub(crate) fn agent() -> Agent {
    let undo = Tool { undo: Some("remove".into()), ..tool("create", Class::Reversible) };
    let probe = Tool { probe: Some("was_paid".into()), ..tool("pay", Class::Irreversible) };
    Agent {
        name: "tester".into(),
        instructions: "Do it.".into(),
        model: ModelPolicy::only(target()),
        tools: vec![
            tool("look", Class::Read),
            tool("set", Class::Idempotent),
            undo,
            probe,
            tool("send", Class::Irreversible),
            Tool { approval: true, ..tool("sign", Class::Read) },
        ],
        agents: Vec::new(),
        phases: Vec::new(),
        board: true,
        output: None,
        extra: None,
        limits: Limits { tries: 1_000, ..Limits::default() },
        budget: BTreeMap::new(),
        relay: None,
        rehearses: None,
    }
}

pub(crate) fn run() -> RunId {
    RunId::new("r-1").expect("an id")
}

pub(crate) fn started(agent: Agent) -> What {
    let task = "the task".to_owned();
    What::Started(Box::new(Started {
        run: run(),
        agent,
        task,
        earlier: Vec::new(),
        parent: None,
        account: None,
    }))
}

pub(crate) fn fact(seq: u64, what: What) -> Fact {
    Fact { seq: Seq(seq), time: Micros(i64::try_from(seq).expect("small") * 1_000), what }
}

pub(crate) fn says(text: &str, calls: &[(&str, &str)]) -> Box<Answer> {
    let call = |(at, (name, arguments)): (usize, &(&str, &str))| ToolCall {
        id: format!("c{at}"),
        name: (*name).into(),
        arguments: (*arguments).into(),
    };
    let calls: Vec<ToolCall> = calls.iter().enumerate().map(call).collect();
    let stop = if calls.is_empty() { Stop::End } else { Stop::Tools };
    let turn = Assistant { text: text.into(), calls, verbatim: None };
    Box::new(Answer { turn, stop, usage: Usage::default(), model: "m".into() })
}

pub(crate) fn intended(call: &ToCall, seq: u64) -> What {
    let key = call.key.clone().unwrap_or_else(|| format!("k{seq}"));
    What::Intended(Box::new(Intended {
        step: call.step,
        part: call.part,
        call: CallId::new(format!("call-{seq}")).expect("an id"),
        server: call.server.clone(),
        tool: call.tool.clone(),
        arguments: Some(call.arguments.clone()),
        effect: call.effect,
        key: (call.part == Part::Do).then_some(key),
    }))
}

pub(crate) fn text(text: &str) -> Json {
    Json::of(&serde_json::json!({"content": [{"type": "text", "text": text}]})).expect("JSON")
}

/// What the model says next: a function of the dialogue and nothing else, so that an undisturbed run and a disturbed one
/// hear the same.
pub(crate) fn model(state: &State, seed: u64) -> Box<Answer> {
    let turns = state.turns().iter().filter(|turn| matches!(turn, Turn::Assistant(_))).count() as u64;
    let mut dice = Dice::new(seed.wrapping_mul(31).wrapping_add(turns));
    if turns >= 2 + seed % 3 {
        return says(&format!("done after {turns}"), &[]);
    }
    let names = ["look", "set", "create", "pay", "send", "sign", "board_set", "no_such_tool"];
    let wanted: Vec<(&str, String)> = (0..=dice.below(3))
        .map(|n| {
            let name = names[dice.below(names.len() as u64) as usize];
            let arguments = match name {
                "board_set" => format!(r#"{{"key":"k{n}","value":"{turns}"}}"#),
                _ => format!(r#"{{"n":"{turns}-{n}"}}"#),
            };
            (name, arguments)
        })
        .collect();
    let wanted: Vec<(&str, &str)> = wanted.iter().map(|(name, text)| (*name, text.as_str())).collect();
    says("", &wanted)
}

impl Outside {
    /// Does a call. The key is what the kernel sends along.
    pub(crate) fn perform(&mut self, call: &ToCall, key: &str) -> Json {
        let of = call.arguments.text();
        match call.tool.as_str() {
            "set" => {
                self.set.insert(of.to_owned());
                text(&format!("set {of}"))
            }
            "create" => {
                *self.standing.entry(key.to_owned()).or_default() += 1;
                text(&format!("created {of}"))
            }
            "remove" => {
                self.standing.remove(key);
                text("removed")
            }
            "pay" | "send" => {
                self.paid.push(key.to_owned());
                text(&format!("paid {of}"))
            }
            "was_paid" => {
                let happened = self.paid.iter().any(|paid| paid == key);
                let result = if happened { format!("paid {of}") } else { String::new() };
                Json::of(&serde_json::json!({"structuredContent": {"happened": happened, "result": result}}))
                    .expect("JSON")
            }
            other => text(&format!("{other} saw {of}")),
        }
    }
}

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
