//! What a run asks a person, as elicitations (MCP 2026-07-28, client/elicitation), and what the answers mean. Pure.

use cella_kernel::{StepId, Verdict, Waiting};
use cella_mcp::{Object, Raw, raw_json};
use cella_pursuit::Decision;
use serde_json::{Value, json};

/// Longest text of arguments in a question, in bytes. Stops one call from filling the user's screen; past it the text is cut, and says so.
const ARGUMENTS_BYTES_MAX: usize = 2_000;

/// A question that is open at the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) step: StepId,
    pub(crate) in_doubt: bool,
}

/// What a person answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Decided(Decision),
    /// Nothing: the question stays open for others.
    Silent,
}

/// The parameters of `elicitation/create`.
pub(crate) fn question(run: &str, waiting: &Waiting) -> Option<Raw> {
    let Waiting { step, tool, arguments, in_doubt } = waiting;
    let shown = shortened(arguments);
    let (message, schema) = if *in_doubt {
        let message = format!(
            "Nobody knows whether this call was done before the node ended: {tool} {shown}\nWas it? (run {run}, {step})"
        );
        let verdict = json!({
            "type": "string", "title": "What became of it", "enum": ["happened", "not_happened", "given_up"],
            "enumNames": ["It was done", "It was not done: do it now", "Leave it; nobody knows"],
        });
        let result = json!({ "type": "string", "title": "What came of it, for the agent" });
        (
            message,
            json!({ "type": "object", "properties": { "verdict": verdict, "result": result }, "required": ["verdict"] }),
        )
    } else {
        let message = format!("May the agent call {tool} with {shown}? (run {run}, {step})");
        let approve = json!({ "type": "boolean", "title": "Make this call", "default": false });
        let why = json!({ "type": "string", "title": "Why not, for the agent" });
        (
            message,
            json!({ "type": "object", "properties": { "approve": approve, "why": why }, "required": ["approve"] }),
        )
    };
    let mut object = Object::empty();
    object.set_str("message", &message);
    object.set("requestedSchema", &raw_json(schema.to_string()).ok()?);
    Some(object.to_raw())
}

/// What an answer means for what was asked.
pub(crate) fn word(question: Question, result: &str) -> Word {
    let result: Value = serde_json::from_str(result).unwrap_or_default();
    let (content, text) =
        (&result["content"], |name: &str| result["content"][name].as_str().unwrap_or_default().to_owned());
    match (result["action"].as_str(), question.in_doubt) {
        (Some("accept"), false) if content["approve"] == true => Word::Decided(Decision::Approve),
        (Some("accept"), false) => Word::Decided(Decision::Deny { why: text("why") }),
        // To decline is to say no; of a call in doubt it says nothing.
        (Some("decline"), false) => Word::Decided(Decision::Deny { why: "declined".into() }),
        (Some("accept"), true) => match content["verdict"].as_str() {
            Some("happened") => {
                Word::Decided(Decision::Resolve(Verdict::Happened { result: text("result") }))
            }
            Some("not_happened") => Word::Decided(Decision::Resolve(Verdict::NotHappened)),
            Some("given_up") => Word::Decided(Decision::Resolve(Verdict::GivenUp)),
            _ => Word::Silent,
        },
        _ => Word::Silent,
    }
}

fn shortened(arguments: &str) -> String {
    if arguments.len() <= ARGUMENTS_BYTES_MAX {
        return arguments.to_owned();
    }
    let end = arguments.floor_char_boundary(ARGUMENTS_BYTES_MAX);
    format!("{}… ({} bytes in all: see cella show)", &arguments[..end], arguments.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPROVAL: Question = Question { step: StepId(2), in_doubt: false };
    const DOUBT: Question = Question { step: StepId(2), in_doubt: true };

    fn deny(why: &str) -> Word {
        Word::Decided(Decision::Deny { why: why.into() })
    }

    #[test]
    fn only_a_plain_yes_approves() {
        let approve = Word::Decided(Decision::Approve);
        assert_eq!(word(APPROVAL, r#"{"action":"accept","content":{"approve":true}}"#), approve);
        assert_eq!(word(APPROVAL, r#"{"action":"accept","content":{"approve":"true"}}"#), deny(""));
        assert_eq!(
            word(APPROVAL, r#"{"action":"accept","content":{"approve":false,"why":"dear"}}"#),
            deny("dear")
        );
        assert_eq!(word(APPROVAL, r#"{"action":"accept"}"#), deny(""));
        assert_eq!(word(APPROVAL, r#"{"action":"decline"}"#), deny("declined"));
        for silent in [r#"{"action":"cancel"}"#, "{}", "", "[]"] {
            assert_eq!(word(APPROVAL, silent), Word::Silent, "{silent}");
            assert_eq!(word(DOUBT, silent), Word::Silent, "{silent}");
        }
    }

    #[test]
    fn the_word_on_a_doubt_is_one_of_three_or_none() {
        let resolved = |verdict| Word::Decided(Decision::Resolve(verdict));
        let happened = r#"{"action":"accept","content":{"verdict":"happened","result":"receipt 7"}}"#;
        assert_eq!(word(DOUBT, happened), resolved(Verdict::Happened { result: "receipt 7".into() }));
        let not = r#"{"action":"accept","content":{"verdict":"not_happened"}}"#;
        assert_eq!(word(DOUBT, not), resolved(Verdict::NotHappened));
        assert_eq!(word(DOUBT, r#"{"action":"accept","content":{"approve":true}}"#), Word::Silent);
        assert_eq!(word(DOUBT, r#"{"action":"decline"}"#), Word::Silent);
    }

    #[test]
    fn a_question_shows_what_is_to_be_done_and_no_more_than_fits() {
        let waiting = |arguments: String| Waiting {
            step: StepId(2),
            tool: "bank__pay".into(),
            arguments,
            in_doubt: false,
        };
        let raw = question("r-1", &waiting("{\"to\":\"ann\"}".into())).expect("a question");
        let asked: Value = serde_json::from_str(raw.get()).expect("JSON");
        let message = asked["message"].as_str().expect("text");
        assert!(
            message.contains("bank__pay") && message.contains("ann") && message.contains("r-1"),
            "{message}"
        );
        assert_eq!(asked["requestedSchema"]["required"][0], "approve");
        let long = question("r-1", &waiting("ä".repeat(10_000))).expect("a question");
        assert!(long.get().len() < 5_000 && long.get().contains("20000 bytes"), "{}", long.get().len());
    }
}
