//! `cella log`, with a running node and without one.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::home::Home;

fn call(home: &Home) {
    let run = home.cella(&["call", "time", "get_current_time", "{\"timezone\":\"UTC\"}"]);
    assert_eq!(run.status, 0, "{run:?}");
}

fn digests(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tables = answer["tables"].as_array().unwrap();
    tables.iter().map(|table| (text(&table["answers"]), text(&table["digest"]))).collect()
}

#[test]
fn projections_that_are_dropped_and_rebuilt_are_identical() {
    let home = Home::with_config();
    let node = home.up();
    call(&home);
    let first = home.cella(&["log", "rebuild", "--json"]).json();
    let again = home.cella(&["log", "rebuild", "--json"]).json();
    assert_eq!((&first["identical"], &again["identical"]), (&Value::Null, &Value::Bool(true)));
    let names: Vec<_> = digests(&first).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["audit", "replay", "cost", "analytics"]);
    assert_eq!(digests(&first), digests(&again));
    node.stop();

    // Without a node, over the events that its end added; then once more, from nothing at all.
    let alone = home.cella(&["log", "rebuild", "--json"]).json();
    assert!(alone["events"].as_u64() > first["events"].as_u64());
    let file =
        home.files().into_iter().map(|(path, _)| path).find(|p| p.ends_with("projections.db")).unwrap();
    std::fs::remove_file(file).unwrap();
    let anew = home.cella(&["log", "rebuild", "--json"]).json();
    assert_eq!(digests(&alone), digests(&anew));
    assert_eq!(digests(&alone)[1..], digests(&first)[1..], "only the audit has a row for the node's end");
}

#[test]
fn every_question_is_answered_by_a_node_and_without_one() {
    let home = Home::with_config();
    let node = home.up();
    call(&home);
    let questions: [&[&str]; 6] = [
        &["log", "tail"],
        &["log", "show", "1"],
        &["log", "query", "--kind", "call.completed"],
        &["log", "verify"],
        &["log", "export", "--payloads"],
        &["log", "rebuild"],
    ];
    let by_node: Vec<_> = questions.iter().map(|q| home.cella(q)).collect();
    assert!(by_node.iter().all(|run| run.status == 0 && !run.out.is_empty()), "{by_node:?}");
    node.stop();
    for (question, by_node) in questions.iter().zip(&by_node) {
        let run = home.cella(question);
        assert_eq!(run.status, 0, "{question:?}: {run:?}");
        if ["show", "query"].contains(&question[1]) {
            assert_eq!(run.out, by_node.out, "{question:?}");
        }
        let json = home.cella(&[*question, &["--json"]].concat());
        let first = json.out.lines().next().unwrap_or_default();
        assert!(json.out.starts_with("{\n  \"") || first.ends_with('}'), "{question:?}: {json:?}");
    }
}

#[test]
fn who_follows_the_ledger_does_not_hold_up_the_end_of_the_node() {
    let home = Home::with_config();
    let node = home.up();
    let mut follower = home.command(&["log", "tail", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(follower.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("ledger.created"), "{line}");
    let began = Instant::now();
    assert_eq!(node.stop(), 0);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(follower.wait().unwrap().code(), Some(69));
}

#[test]
fn why_explains_a_call_from_its_events() {
    let home = Home::with_config();
    let _node = home.up();
    call(&home);
    let found = home.cella(&["log", "query", "--kind", "call.completed", "--json"]).json();
    let seq = found["events"][0]["seq"].to_string();
    let why = home.cella(&["log", "why", &seq]);
    assert!(why.out.contains("The contract") && why.out.contains("the server answered"), "{why:?}");
    let by_id = home.cella(&["log", "why", found["events"][0]["call"].as_str().unwrap()]);
    assert_eq!(by_id.out, why.out);
    let none = home.cella(&["log", "why", "1"]);
    assert_eq!((none.status, none.code()), (1, "CE4109"));
}

#[test]
fn a_changed_ledger_is_found_and_the_exit_status_says_so() {
    let home = Home::with_config();
    let node = home.up();
    call(&home);
    node.stop();
    assert_eq!(home.cella(&["log", "verify"]).status, 0);
    let place = |bytes: &[u8]| bytes.windows(12).position(|w| w == b"node.started");
    for (file, mut bytes) in home.files() {
        while let Some(at) = place(&bytes) {
            bytes[at] = b'N';
            std::fs::write(&file, &bytes).unwrap();
        }
    }
    let run = home.cella(&["log", "verify"]);
    assert_eq!(run.status, 1, "{run:?}");
}
