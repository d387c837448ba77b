use super::*;
use crate::Effect;

const WHOLE: &str = r#"
version = 1
description = "Pays invoices."
instructions = "Be careful."
agents = ["reader"]
board = true
phases = ["read", "pay"]
account = "acme/sales"

[model]
use = "anthropic/claude-x"
fallbacks = [{ use = "openai/gpt-x", on = ["overloaded"] }, { use = "local/a/b" }]
canary = { use = "openai/new", percent = 5 }
retries = 1
max_output = 4096
first_token = "30s"
extra = { temperature = 0.5, stop = ["x"], nested = { a = true } }

[tools]
servers = ["files", "bank"]
deny = ["*__delete"]
approve = ["bank__*"]

[output]
name = "sums"
schema = { type = "object", properties = { n = { type = "integer" } } }

[limits]
turns = 7
time = "1h"
"#;

fn codes(text: &str) -> Vec<&'static str> {
    let faults = AgentConfig::parse("a", "agents/a.toml", text).expect_err("faults");
    faults.0.iter().map(|fault| fault.code).collect()
}

#[test]
fn a_whole_file_is_read() {
    let agent = AgentConfig::parse("payer", "agents/payer.toml", WHOLE).expect("an agent");
    assert_eq!(agent.model.first, ModelName { provider: "anthropic".into(), model: "claude-x".into() });
    assert_eq!(agent.model.fallbacks[0].1, [FailureClass::Overloaded]);
    assert_eq!(agent.model.fallbacks[1].0.model, "a/b");
    assert_eq!(agent.model.extra.as_deref(), Some(r#"{"nested":{"a":true},"stop":["x"],"temperature":0.5}"#));
    let (name, schema) = agent.output.as_ref().expect("an output");
    let schema_text = r#"{"properties":{"n":{"type":"integer"}},"type":"object"}"#;
    assert_eq!((name.as_str(), schema), ("sums", &Source::Text(schema_text.into())));
    assert!(agent.tools.offers("files", "files__read") && !agent.tools.offers("mail", "mail__send"));
    assert!(!agent.tools.offers("files", "files__delete"));
    assert!(agent.tools.approve.wants("bank__pay", Effect::Read));
    assert_eq!((agent.limits.turns, agent.limits.time), (Some(7), Some(Duration::from_secs(3600))));
}

#[test]
fn wrong_files_are_refused_with_their_codes() {
    let model = "[model]\nuse = \"p/m\"\n";
    let cases: [(String, &str); 13] = [
        (String::new(), "CE1034"),
        ("[model]\n".into(), "CE1034"),
        ("[model]\nuse = \"gpt\"\n".into(), "CE1035"),
        (format!("version = 2\n{model}"), "CE1032"),
        (format!("instruction = \"x\"\n{model}"), "CE1003"),
        (format!("instructions = \"x\"\ninstructions_file = \"y\"\n{model}"), "CE1006"),
        (format!("phases = [\"a\", \"a\"]\n{model}"), "CE1006"),
        (format!("{model}fallbacks = [{{ use = \"p/m\" }}]\n"), "CE1006"),
        (format!("{model}fallbacks = [{{ use = \"q/m\", on = [\"bored\"] }}]\n"), "CE1004"),
        (format!("{model}canary = {{ use = \"q/m\", percent = 101 }}\n"), "CE1004"),
        (format!("{model}[output]\nname = \"x\"\n"), "CE1036"),
        (format!("{model}[limits]\nturns = 0\n"), "CE1004"),
        (format!("{model}[tools]\napprove = \"sometimes\"\n"), "CE1004"),
    ];
    for (text, code) in cases {
        assert!(codes(&text).contains(&code), "{text}: {:?}", codes(&text));
    }
    let faults = AgentConfig::parse("a b", "agents/a b.toml", model).expect_err("a name");
    assert_eq!(faults.0[0].code, "CE1033");
}

#[test]
fn without_a_word_only_what_cannot_be_taken_back_is_approved() {
    let agent = AgentConfig::parse("a", "f", "[model]\nuse = \"p/m\"\n").expect("an agent");
    assert!(agent.tools.approve.wants("x", Effect::Irreversible));
    assert!(!agent.tools.approve.wants("x", Effect::Reversible));
    assert!(Approve::Writes.wants("x", Effect::Idempotent) && !Approve::Writes.wants("x", Effect::Read));
}
