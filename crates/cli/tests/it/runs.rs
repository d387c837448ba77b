//! Runs as people and scripts meet them: a recorded model, the built-in `files` server, and everything that can be wrong.

use std::process::Command;

use serde_json::{Value, json};

use super::home::{Ended, Home};

const CONFIG: &str = r#"
[servers.files]
command = "builtin:files"
args = ["HERE/data"]
contract = "files.toml"

[providers.tape]
wire = "cassette"
file = "tape.jsonl"

[providers.nobody]
wire = "openai-chat"
url = "http://127.0.0.1:1/v1"

[providers.keyless]
wire = "anthropic-messages"
url = "https://127.0.0.1:1/v1"
key = "env:NO_SUCH_KEY"
"#;

const CONTRACT: &str = r#"
[[files]]
path = "HERE/data"
mode = "write"
[tools."*"]
effect = "read"
[tools.write_file]
effect = "irreversible"
[tools.create_directory]
effect = "idempotent"
phases = ["act"]
"#;

fn home(turns: &[(&str, &[(&str, Value)])]) -> Home {
    let home = Home::new();
    let here = home.path("").display().to_string();
    let here = here.trim_end_matches('/');
    home.write("data/a.txt", "forty-two\n");
    home.write("cella.toml", &CONFIG.replace("HERE", here));
    home.write("files.toml", &CONTRACT.replace("HERE", here));
    home.write("tape.jsonl", &tape(turns));
    agent(&home, "clerk", "tape/any", "");
    home
}

fn agent(home: &Home, name: &str, model: &str, more: &str) {
    let text = format!("instructions = \"Look.\"\n{more}\n[model]\nuse = \"{model}\"\nretries = 1\n");
    home.write(&format!("agents/{name}.toml"), &text);
}

fn tape(turns: &[(&str, &[(&str, Value)])]) -> String {
    let line = |(text, calls): &(&str, &[(&str, Value)])| {
        let stop = if calls.is_empty() { "end" } else { "tools" };
        let calls = calls.iter().enumerate().map(|(at, (name, arguments))| {
            json!({ "id": format!("c{at}"), "name": name, "arguments": arguments.to_string() })
        });
        let turn = json!({ "text": text, "calls": calls.collect::<Vec<_>>() });
        format!(
            "{}\n",
            json!({ "answer": { "turn": turn, "stop": stop, "usage": { "input": 10, "output": 5 } } })
        )
    };
    turns.iter().map(line).collect()
}

fn path(home: &Home, name: &str) -> String {
    home.path(&format!("data/{name}")).display().to_string()
}

/// A run that reads a file and writes another one, which a human must agree to.
fn writing() -> Home {
    let home = home(&[]);
    let read = json!({ "path": path(&home, "a.txt") });
    let write = json!({ "path": path(&home, "b.txt"), "content": "done" });
    let turns: [(&str, &[(&str, Value)]); 3] =
        [("", &[("files__read_file", read)]), ("", &[("files__write_file", write)]), ("It is done.", &[])];
    home.write("tape.jsonl", &tape(&turns));
    home
}

fn facts(ended: &Ended) -> Vec<Value> {
    ended.json()["facts"].as_array().unwrap().clone()
}

#[test]
fn a_run_waits_for_its_approval_and_is_replayed_forked_compared_and_tested() {
    let home = writing();
    let begun = home.cella(&["run", "clerk", "do it"]);
    assert_eq!(begun.status, 75, "{begun:?}");
    assert!(begun.out.contains("s2 files__write_file"), "{begun:?}");
    assert!(!home.path("data/b.txt").exists(), "nothing was written before somebody agreed");
    assert_eq!(home.cella(&["approve", "last", "s9"]).code(), "CE1528");
    let approved = home.cella(&["approve", "last", "s2"]);
    assert_eq!((approved.status, approved.out.trim()), (0, "It is done."), "{approved:?}");
    assert_eq!(home.read("data/b.txt"), "done");
    assert_eq!(home.cella(&["approve", "last", "s2"]).code(), "CE1524");
    assert_eq!(home.cella(&["resume", "last"]).code(), "CE1524");

    let runs = home.cella(&["runs", "--json"]).json();
    assert_eq!(runs["runs"][0]["status"], "completed");
    let run = runs["runs"][0]["run"].as_str().unwrap().to_owned();
    let replayed = home.cella(&["replay", &run[..8], "--json"]);
    assert_eq!((replayed.status, replayed.json()["identical"].as_bool()), (0, Some(true)), "{replayed:?}");

    let shown = home.cella(&["show", &run, "--json"]);
    let intended =
        facts(&shown).iter().find(|fact| fact["kind"] == "intended").unwrap()["seq"].as_u64().unwrap();
    let refused = home.cella(&["fork", &format!("{run}@{intended}")]);
    assert_eq!(refused.code(), "CE1525", "{refused:?}");
    let fork = home.cella(&["fork", &format!("{run}@{}", intended + 1), "--say", "no, leave it"]);
    assert_eq!(fork.status, 75, "the recording goes on as it was recorded: {fork:?}");
    let diff = home.cella(&["diff", &run, "last", "--json"]);
    assert_eq!(diff.status, 7, "{diff:?}");
    assert!(diff.json()["shared"].as_u64().unwrap() >= 4);
    let denied = home.cella(&["deny", "last", "s2", "--why", "not today"]);
    assert_eq!(denied.status, 0, "{denied:?}");
    assert!(denied.err.contains("denies s2 not today"), "{denied:?}");

    home.write("strict.toml", "[tools.\"*\"]\nallow = false\n");
    let tested = home.cella(&["backtest", "--contract", "strict.toml", "--server", "files", "--json"]);
    assert_eq!((tested.status, tested.json()["denied"].as_u64()), (7, Some(2)), "{tested:?}");
    let same = home.cella(&["backtest", "--agent", "agents/clerk.toml"]);
    assert_eq!(same.status, 0, "{same:?}");
    agent(&home, "clerk", "tape/other", "");
    assert_eq!(home.cella(&["backtest", "--agent", "agents/clerk.toml"]).status, 7);
}

#[test]
fn old_runs_are_tested_under_another_agreement() {
    let home = home(&[]);
    home.write("tape.jsonl", &tape(&[("Nothing to do.", &[])]));
    for account in ["acme/ops", "acme/lab"] {
        let run = home.cella(&["run", "clerk", "do it", "--account", account]);
        assert_eq!(run.status, 0, "{run:?}");
    }
    home.write("wide.toml", "[budgets.acme]\ntokens = 1000000\n");
    let same = home.cella(&["backtest", "--agreement", "wide.toml", "--json"]);
    assert_eq!((same.status, same.json()["runs_tested"].as_u64()), (0, Some(2)), "{same:?}");
    assert_eq!(same.json()["accounts"][0]["spent"]["tokens"].as_u64(), Some(30));
    home.write("tight.toml", "[budgets.\"acme/lab\"]\ntokens = 20\n");
    let tight = home.cella(&["backtest", "--agreement", "tight.toml", "--json"]);
    assert_eq!(tight.status, 7, "{tight:?}");
    let refused = tight.json()["refused"].clone();
    assert_eq!(
        (refused.as_array().map(Vec::len), refused[0]["account"].as_str()),
        (Some(1), Some("acme/lab"))
    );
    home.write("wrong.toml", "[budgets.acme]\ntokens = -1\n");
    assert_eq!(home.cella(&["backtest", "--agreement", "wrong.toml"]).status, 78);
    // What a model of this machine costs nobody knows, and what a vendor's does stands in the table.
    let price = home.cella(&["prices", "tape/tape"]);
    assert_eq!(price.code(), "CE6028", "{price:?}");
    let listed = home.cella(&["prices", "anthropic", "--json"]);
    assert!(listed.json()["models"].as_array().unwrap().len() > 5, "{listed:?}");
    home.write("prices.tsv", "broken");
    assert_eq!(home.cella(&["prices"]).code(), "CE6027");
}

#[test]
fn another_model_is_tried_with_the_answers_of_then_and_nobody_is_called() {
    let home = writing();
    assert_eq!(home.cella(&["run", "clerk", "do it"]).status, 75);
    assert_eq!(home.cella(&["approve", "last", "s2"]).status, 0);
    let run = home.cella(&["runs", "--json"]).json()["runs"][0]["run"].as_str().unwrap().to_owned();
    std::fs::remove_file(home.path("data/b.txt")).unwrap();
    // The same recording makes the same calls: it hears what was heard, needs no approval, and writes nothing.
    let tried = home.cella(&["replay", &run, "--model", "tape/tape"]);
    assert_eq!((tried.status, tried.out.trim()), (0, "It is done."), "{tried:?}");
    assert!(!home.path("data/b.txt").exists(), "a rehearsal called a tool");
    assert_eq!(home.cella(&["replay", "last"]).status, 0);
    // Another one wants what was never called, and ends there.
    let other: [(&str, &[(&str, Value)]); 2] =
        [("", &[("files__read_file", json!({ "path": "/elsewhere" }))]), ("Done.", &[])];
    home.write("tape.jsonl", &tape(&other));
    let ended = home.cella(&["replay", &run, "--model", "tape/tape"]);
    assert!(ended.status == 1 && ended.err.contains("CE1511"), "{ended:?}");
    assert_eq!(home.cella(&["replay", &run, "--model", "unknown/model"]).code(), "CE1543");
    assert_eq!(home.cella(&["replay", &run, "--model", "nameless"]).code(), "CE1530");
}

#[test]
fn what_a_model_said_is_recorded_and_played_again() {
    let home = writing();
    assert_eq!(home.cella(&["run", "clerk", "do it"]).status, 75);
    assert_eq!(home.cella(&["approve", "last", "s2"]).status, 0);
    let recorded = home.cella(&["show", "last", "--tape"]);
    assert_eq!((recorded.status, recorded.out.lines().count()), (0, 3), "{recorded:?}");
    home.write("tape.jsonl", &recorded.out);
    // The same questions have the same answers, another question none.
    let again = home.cella(&["run", "clerk", "do it"]);
    assert_eq!(again.status, 75, "{again:?}");
    let other = home.cella(&["run", "clerk", "do something else"]);
    assert!(other.status == 3 && other.err.contains("not the one that was recorded"), "{other:?}");
}

#[test]
fn pure_calls_are_made_once_more_and_compared() {
    let home = home(&[]);
    home.write("data/a.txt", "one");
    let read = json!({ "path": path(&home, "a.txt") });
    home.write("tape.jsonl", &tape(&[("", &[("files__read_file", read)]), ("Read.", &[])]));
    let contract = home.read("files.toml");
    home.write("files.toml", &format!("{contract}\n[tools.read_file]\neffect = \"pure\"\n"));
    let run = home.cella(&["run", "clerk", "do it"]);
    assert_eq!(run.status, 0, "{run:?}");
    let same = home.cella(&["replay", "last", "--cells", "--json"]);
    assert_eq!((same.status, same.json()["cells"]["pure"].as_u64()), (0, Some(1)), "{same:?}");
    home.write("data/a.txt", "two");
    let other = home.cella(&["replay", "last", "--cells"]);
    assert_eq!(other.status, 7, "{other:?}");
    assert!(other.out.contains("files.read_file") && other.out.contains("two"), "{other:?}");
}

#[test]
fn a_run_lives_in_the_node_and_everybody_may_look() {
    let home = writing();
    let node = home.up();
    let begun = home.cella(&["run", "clerk", "do it", "--detach"]);
    assert_eq!(begun.status, 0, "{begun:?}");
    let run = begun.out.trim().to_owned();
    let waits = |status: &str| {
        for _ in 0..500 {
            let shown = home.cella(&["show", &run, "--json"]);
            if shown.status == 0 && shown.json()["status"] == status {
                return shown.json();
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{run} does not come to {status}");
    };
    let shown = waits("waiting");
    assert_eq!(shown["budget"]["spent"]["tokens"], 30);
    assert_eq!(shown["budget"]["spent"]["calls"], 1);
    assert_eq!(home.cella(&["approve", &run, "s2"]).status, 0);
    waits("completed");
    let shown = home.cella(&["show", &run]);
    assert!(shown.out.contains("completed: It is done."), "{shown:?}");
    drop(node);
}

#[test]
fn a_cancelled_run_makes_no_call_any_more() {
    let home = writing();
    assert_eq!(home.cella(&["run", "clerk", "do it"]).status, 75);
    let cancelled = home.cella(&["cancel", "last"]);
    assert_eq!(cancelled.status, 1, "{cancelled:?}");
    assert!(cancelled.err.contains("cancelled by"), "{cancelled:?}");
    assert!(!home.path("data/b.txt").exists());
    assert_eq!(home.cella(&["replay", "last"]).status, 0);
}

#[test]
fn a_call_out_of_its_phase_is_refused_and_one_in_it_is_made() {
    let home = home(&[]);
    let make = |name: &str| ("files__create_directory", json!({ "path": path(&home, name) }));
    let (early, late) = (make("early"), make("late"));
    let turns: [(&str, &[(&str, Value)]); 3] =
        [("", &[early]), ("", &[("next_phase", json!({})), late]), ("ok", &[])];
    home.write("tape.jsonl", &tape(&turns));
    agent(&home, "clerk", "tape/any", "phases = [\"look\", \"act\"]");
    let ran = home.cella(&["run", "clerk", "do it"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.err.contains("is for the phases act and this is look"), "{ran:?}");
    assert!(!home.path("data/early").exists() && home.path("data/late").is_dir());
}

#[test]
fn an_answer_of_the_wrong_shape_is_asked_again() {
    let home = home(&[("soon", &[]), ("{\"sum\": \"x\"}", &[]), ("{\"sum\": 42}", &[])]);
    let output = "[output]\nschema = { type = \"object\", properties = { sum = { type = \"integer\" } }, required = [\"sum\"] }";
    let text = format!("[model]\nuse = \"tape/any\"\n{output}\n");
    home.write("agents/clerk.toml", &text);
    let ran = home.cella(&["run", "clerk", "add"]);
    assert_eq!((ran.status, ran.out.trim()), (0, "{\"sum\": 42}"), "{ran:?}");
    assert!(ran.err.contains("it is no JSON") && ran.err.contains("is not of type"), "{ran:?}");
    assert_eq!(home.cella(&["replay", "last"]).status, 0);
}

#[test]
fn what_is_wrong_before_a_run_is_said_with_its_code_and_nothing_is_begun() {
    let home = home(&[]);
    let refused = |agent: &str, task: &str| home.cella(&["run", agent, task]).code().to_owned();
    assert_eq!(refused("nobody", "x"), "CE1540");
    assert_eq!(refused("clerk", "  "), "CE1530");
    agent(&home, "wrong", "tape/any", "phases = [\"a\", \"a\"]");
    assert_eq!(refused("wrong", "x"), "CE1006");
    agent(&home, "astray", "elsewhere/m", "");
    assert_eq!(refused("astray", "x"), "CE1543");
    home.write("agents/toolless.toml", "[model]\nuse = \"tape/any\"\n[tools]\nservers = [\"mail\"]\n");
    assert_eq!(refused("toolless", "x"), "CE1544");
    home.write("agents/boss.toml", "agents = [\"ghost\"]\n[model]\nuse = \"tape/any\"\n");
    assert_eq!(refused("boss", "x"), "CE1545");
    assert_eq!(home.cella(&["show", "last"]).code(), "CE1520");
    let none = home.cella(&["runs", "--json"]).json();
    assert_eq!(none["runs"].as_array().unwrap().len(), 0);
}

#[test]
fn a_budget_in_money_wants_a_price_and_holds_before_anything_is_sent() {
    let home = home(&[]);
    agent(&home, "payer", "nobody/m", "");
    let text = home.read("agents/payer.toml");
    home.write("agents/payer.toml", &format!("{text}[budget]\nmoney = \"0.01\"\n"));
    let unpriced = home.cella(&["run", "payer", "x"]);
    assert!(unpriced.err.contains("nobody knows what nobody/m costs"), "{unpriced:?}");
    let config = home.read("cella.toml");
    home.write("cella.toml", &format!("{config}\n[prices.\"nobody/*\"]\ninput = \"3\"\noutput = \"15\"\n"));
    // 8,192 tokens of output may cost twelve cents.
    let dear = home.cella(&["run", "payer", "x"]);
    assert!(dear.err.contains("10000 money (millionths)"), "{dear:?}");
    home.write("agents/payer.toml", &format!("{}max_output = 100\n[budget]\nmoney = \"0.01\"\n", text));
    let tried = home.cella(&["run", "payer", "x"]);
    assert!(tried.err.contains("CE1510") && tried.err.contains("cannot be reached"), "{tried:?}");
}

#[test]
fn what_goes_wrong_in_a_run_pauses_it_and_says_why() {
    let home = home(&[("late", &[])]);
    agent(&home, "unheard", "nobody/m", "");
    let paused = home.cella(&["run", "unheard", "x"]);
    assert_eq!(paused.status, 3, "{paused:?}");
    assert!(paused.err.contains("CE1510") && paused.err.contains("nobody cannot be reached"), "{paused:?}");
    agent(&home, "poor", "tape/any", "");
    let text = home.read("agents/poor.toml");
    home.write("agents/poor.toml", &format!("{text}[budget]\ntokens = 10\n"));
    let paused = home.cella(&["run", "poor", "x"]);
    assert_eq!(paused.status, 3, "{paused:?}");
    assert!(paused.err.contains("CE1506") && paused.err.contains("has 10 tokens"), "{paused:?}");
    agent(&home, "keyless", "keyless/m", "");
    let paused = home.cella(&["run", "keyless", "x"]);
    assert!(paused.err.contains("NO_SUCH_KEY") && paused.err.contains("(auth)"), "{paused:?}");
    // It goes on when what was wrong is mended: here by another agent's model, in a fork.
    let gone_on = home.cella(&["fork", "last", "--agent", "clerk"]);
    assert_eq!((gone_on.status, gone_on.out.trim()), (0, "late"), "{gone_on:?}");
}

#[test]
fn a_replay_needs_no_network() {
    let home = writing();
    assert_eq!(home.cella(&["run", "clerk", "do it"]).status, 75);
    assert_eq!(home.cella(&["approve", "last", "s2"]).status, 0);
    // With no network but its own, which is down.
    let apart = |program: &std::ffi::OsStr, args: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net"]).arg(program).args(args);
        command
    };
    if !apart("true".as_ref(), &[]).status().is_ok_and(|status| status.success()) {
        println!("skipped: no network namespace may be made here");
        return;
    }
    let plain = home.command(&["replay", "last", "--json"]);
    let mut command = apart(plain.get_program(), &plain.get_args().collect::<Vec<_>>());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().expect("a directory"));
    let replayed = Ended::of(&mut command);
    assert_eq!((replayed.status, replayed.json()["identical"].as_bool()), (0, Some(true)), "{replayed:?}");
}

#[test]
fn another_agent_of_a_file_has_a_run_of_its_own_and_both_are_replayed() {
    let task = json!({ "agent": "scout", "task": "look" });
    let home = home(&[("", &[("give_task", task)]), ("It is done.", &[])]);
    home.write("scout.jsonl", &tape(&[("Seen.", &[])]));
    let config = home.read("cella.toml");
    home.write(
        "cella.toml",
        &format!("{config}\n[providers.scout]\nwire = \"cassette\"\nfile = \"scout.jsonl\"\n"),
    );
    agent(&home, "clerk", "tape/any", "agents = [\"scout\"]");
    agent(&home, "scout", "scout/any", "description = \"looks\"");
    let ended = home.cella(&["run", "clerk", "do it"]);
    assert_eq!((ended.status, ended.out.trim()), (0, "It is done."), "{ended:?}");
    let runs = home.cella(&["runs", "--json"]).json();
    let runs = runs["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{runs:?}");
    for run in runs {
        let run = run["run"].as_str().unwrap();
        assert_eq!(home.cella(&["replay", run]).status, 0, "{run}");
    }
}

#[test]
fn a_ledger_with_a_bad_page_is_an_error_with_a_code_and_no_panic_and_the_rest_is_as_it_was() {
    let home = writing();
    let waiting = home.cella(&["run", "clerk", "do it"]);
    assert_eq!(waiting.status, 75, "{waiting:?}");
    let files = home.files();
    // Most of a young ledger is in its log, which follows the file.
    let pages_of = files.iter().filter(|(path, _)| path.to_string_lossy().contains("/ledger.db"));
    let (path, whole) = pages_of.max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let restore = || {
        let dir = path.parent().unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        for (file, bytes) in files.iter().filter(|(file, _)| file.starts_with(dir)) {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
    };
    let pages = whole.len() / 4096;
    let mut found = 0;
    for page in (1..pages).step_by((pages / 8).max(1)) {
        let mut bad = whole.clone();
        bad[page * 4096..(page + 1) * 4096].iter_mut().for_each(|byte| *byte ^= 0x5a);
        for verb in ["show", "replay", "resume"] {
            restore();
            std::fs::write(path, &bad).unwrap();
            let ended = home.cella(&[verb, "last"]);
            assert!(!ended.err.contains("panicked"), "{verb}, page {page}: {ended:?}");
            // Who only looks may see a shorter run; who goes on with it has to know all that was acknowledged.
            let fine = verb != "resume" && ended.status == 0;
            assert!(fine || ended.code().starts_with("CE"), "{verb}, page {page}: {ended:?}");
            found += usize::from(!fine);
            assert!(!home.path("data/b.txt").exists(), "nobody agreed");
        }
    }
    assert!(found > 0, "some of {pages} pages matter");
    restore();
    let approved = home.cella(&["approve", "last", "s2"]);
    assert_eq!((approved.status, approved.out.trim()), (0, "It is done."), "{approved:?}");
}
