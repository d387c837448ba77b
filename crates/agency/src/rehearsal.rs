//! What a run called and heard, for whoever wants it once more without calling anybody.

use cella_dialogue::Json;
use cella_event::{RunId, Seq};
use cella_kernel::{Fact, Intended, Part, What};
use cella_ledger::Reader;
use cella_pursuit::{LoadError, load};
use serde_json::{Value, json};

/// A call that was made and answered.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The event that put its beginning on record.
    pub seq: Seq,
    /// What was called.
    pub call: Intended,
    /// What the server answered: an MCP `CallToolResult`.
    pub result: Json,
}

/// The calls of a run that were answered, in order. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn answered(reader: &Reader, run: &RunId) -> Result<Vec<Heard>, LoadError> {
    Ok(of_facts(&load(reader, run)?))
}

/// What a run heard when it made this call; where it made it several times, as often as `asking` has made it itself, what it heard
/// then. `None`: it never made it so often. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn recalled(
    reader: &Reader,
    run: &RunId,
    asking: &RunId,
    server: &str,
    tool: &str,
    arguments: &str,
) -> Result<Option<Json>, LoadError> {
    let wanted = value(arguments);
    let is = |heard: &Heard| {
        let with = heard.call.arguments.as_ref().map(|arguments| value(arguments.text()));
        heard.call.server == server && heard.call.tool == tool && with.as_ref() == Some(&wanted)
    };
    let before = answered(reader, asking)?.iter().filter(|heard| is(heard)).count();
    Ok(answered(reader, run)?.into_iter().filter(is).nth(before).map(|heard| heard.result))
}

/// What the models of a run said, as a recording that a provider of the wire `cassette` plays: one line for each answer, which fits the question
/// that it was given to and no other. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn tape(reader: &Reader, run: &RunId) -> Result<String, LoadError> {
    let (mut lines, mut digest) = (String::new(), None);
    for fact in load(reader, run)? {
        match fact.what {
            What::Asked { digest: of, .. } => digest = Some(of),
            What::Answered { answer, .. } => {
                let digest = digest.take().map(|digest| digest.to_string());
                lines.push_str(&json!({ "digest": digest, "answer": *answer }).to_string());
                lines.push('\n');
            }
            _ => {}
        }
    }
    Ok(lines)
}

fn of_facts(facts: &[Fact]) -> Vec<Heard> {
    let done = |call: &Intended| {
        facts.iter().find_map(|fact| match &fact.what {
            What::Done { call: of, result, .. } if *of == call.call => Some(result.clone()),
            _ => None,
        })
    };
    let made = facts.iter().filter_map(|fact| match &fact.what {
        What::Intended(intended) if intended.part == Part::Do => Some((fact.seq, &**intended)),
        _ => None,
    });
    made.filter_map(|(seq, call)| Some(Heard { seq, call: call.clone(), result: done(call)? })).collect()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
