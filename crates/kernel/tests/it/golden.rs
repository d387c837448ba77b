//! The frozen form of a run's facts: `spec/run-v1/facts.json`. `CELLA_WRITE_VECTORS=1` writes it anew, which only a new version of
//! the form may do.

use std::{fs, path::PathBuf};

use cella_dialogue::{Dialect, Failure, FailureClass, Json, OutputSchema, Relay, Turn};
use cella_event::{Event, Hash, Kept, Key, Map, Micros, PayloadRef, RunId, Seq};
use cella_kernel::{
    AskId, Canary, Decoder, EndStatus, Ending, Fact, Fallback, Forked, State, StepId, Target, Verdict, What,
    encode, request_digest,
};
use serde_json::{Value, json};

use crate::world::{agent, run, says, started, target, tool};

fn file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/run-v1/facts.json"))
}

fn facts() -> Vec<What> {
    let mut whole = agent();
    whole.model.fallbacks = vec![Fallback {
        target: Target { provider: "b".into(), model: "m".into() },
        on: vec![FailureClass::Auth],
    }];
    whole.model.canary = Some(Canary { target: target(), percent: 5 });
    whole.output = Some(OutputSchema { name: "o".into(), schema: Json::parse("{}").expect("JSON") });
    let failure = Failure {
        class: FailureClass::RateLimited,
        status: Some(429),
        retry_after_ms: Some(7),
        message: "429: slow".into(),
    };
    let forked = Forked {
        run: run(),
        from: RunId::new("r-0").expect("an id"),
        at: Seq(9),
        agent: Some(agent()),
        say: Some("again".into()),
        note: Map::new(),
    };
    let ending = Ending {
        status: EndStatus::Failed,
        code: Some("CE1505".into()),
        why: Some("a limit".into()),
        output: "half".into(),
    };
    let (step, by) = (StepId(3), "ann".to_owned());
    vec![
        started(whole),
        What::Resumed,
        What::ToolsFound(vec![tool("late", cella_contract::Effect::Read)]),
        What::Asked { ask: AskId(1), target: target(), digest: Hash::ZERO },
        What::Answered {
            ask: AskId(1),
            answer: says("ä", &[("look", "{\"n\": 1}")]),
            misfit: Some("no".into()),
        },
        What::Unanswered { ask: AskId(1), failure },
        What::Woken { until: Micros(12) },
        What::OverBudget { why: "a: 1 of 1".into() },
        What::ApprovalAsked { step },
        What::ApprovalGranted { step, by: by.clone() },
        What::ApprovalDenied { step, by: by.clone(), why: "dear".into() },
        What::DoubtAsked { step },
        What::Resolved { step, verdict: Verdict::Happened { result: "r".into() }, by: by.clone() },
        What::Resolved { step, verdict: Verdict::NotHappened, by: by.clone() },
        What::Resolved { step, verdict: Verdict::GivenUp, by: by.clone() },
        What::BoardSet { step, key: "k".into(), value: "v".into() },
        What::PhaseEntered { step, phase: "act".into() },
        What::ChildStarted { step, run: RunId::new("r-1.s3").expect("an id") },
        What::ChildEnded { step, output: "o".into(), failed: true },
        What::CancelAsked { by },
        What::Paused { code: "CE1510".into(), why: "w".into() },
        What::Ended(ending),
        What::Forked(Box::new(forked)),
        relayed(),
    ]
}

/// The start of a run that passes a client's request on, and goes on with a talk.
fn relayed() -> What {
    let relay = Relay { dialect: Dialect::Messages, headers: vec![("anthropic-beta".into(), "b".into())] };
    let mut what = started(cella_kernel::Agent { relay: Some(relay), ..agent() });
    if let What::Started(started) = &mut what {
        started.earlier = vec![Turn::User { text: "earlier".into() }];
    }
    what
}

fn written(seq: u64, what: &What) -> Value {
    let recorded = encode(&run(), what).expect("an event of its own");
    let reference = |(name, text): &(&'static str, String)| PayloadRef {
        name: Key::literal(name),
        digest: Hash::ZERO,
        bytes: text.len() as u64,
        kept: Kept::Full,
    };
    let references: Vec<PayloadRef> = recorded.payloads.iter().map(reference).collect();
    let encoded = recorded.draft.encode(&references).expect("it fits");
    let sealed = encoded.seal(Seq(seq), Micros(1_000), &Hash::ZERO);
    let payloads: serde_json::Map<String, Value> =
        recorded.payloads.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    json!({ "event": String::from_utf8(sealed).expect("text"), "payloads": payloads })
}

#[test]
fn facts_are_written_as_their_vectors_and_read_from_them() {
    let facts = facts();
    let vectors: Vec<Value> = (1..).zip(&facts).map(|(seq, what)| written(seq, what)).collect();
    let first = Fact { seq: Seq(1), time: Micros(1_000), what: facts[0].clone() };
    let state = State::begin(&first).expect("a start");
    let all =
        json!({ "version": 1, "digest_of_first_question": state.digest().to_string(), "facts": vectors });
    if std::env::var_os("CELLA_WRITE_VECTORS").is_some() {
        fs::write(file(), format!("{}\n", serde_json::to_string_pretty(&all).expect("JSON")))
            .expect("written");
    }
    let frozen: Value = serde_json::from_slice(&fs::read(file()).expect("the vectors")).expect("JSON");
    assert_eq!(frozen, all, "the form of a run's facts is frozen");
    assert_eq!(request_digest(&state.request()), state.digest());
    for (what, vector) in facts.iter().zip(frozen["facts"].as_array().expect("a list")) {
        let event = Event::decode(vector["event"].as_str().expect("text").as_bytes()).expect("canonical");
        let payload = |name: &str| Some(vector["payloads"][name].as_str()?.as_bytes().to_vec());
        let read = Decoder::default().decode(&event, payload).expect("readable").expect("a fact");
        assert_eq!(read.what, *what);
    }
}
