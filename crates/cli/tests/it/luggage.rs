//! The files of a run: kept after each call, taken along by a fork and by a run that is taken up again, in real cells.

mod cost;

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use serde_json::{Value, json};

use super::home::{Ended, Home};

const CONFIG: &str = r#"
[servers.files]
command = "builtin:files"
args = ["HERE/data"]
contract = "files.toml"
isolation = "run"

[providers.tape]
wire = "cassette"
file = "tape.jsonl"

[providers.other]
wire = "cassette"
file = "other.jsonl"
"#;

const CONTRACT: &str = r#"
[[files]]
path = "HERE/data"
mode = "copy"
[tools."*"]
effect = "read"
[tools.write_file]
effect = "idempotent"
"#;

type Turn<'a> = (&'a str, &'a [(&'a str, Value)]);

/// A run that writes `a.txt` and then another `a.txt` and `b.txt`.
fn writing() -> Home {
    let home = Home::new();
    let here = home.path("").display().to_string();
    let here = here.trim_end_matches('/');
    home.write("data/a.txt", "zero");
    home.write("cella.toml", &CONFIG.replace("HERE", here));
    home.write("files.toml", &CONTRACT.replace("HERE", here));
    home.write("agents/clerk.toml", "instructions = \"Write.\"\n[model]\nuse = \"tape/any\"\n");
    home.write("agents/reader.toml", "instructions = \"Read.\"\n[model]\nuse = \"other/any\"\n");
    let (one, two, b) =
        (write(&home, "a.txt", "one"), write(&home, "a.txt", "two"), write(&home, "b.txt", "b"));
    home.write("tape.jsonl", &tape(&[("", &[one]), ("", &[two]), ("", &[b]), ("written", &[])]));
    let all = [read(&home, "a.txt"), read(&home, "b.txt")];
    home.write("other.jsonl", &tape(&[("", &[]), ("", &all), ("seen", &[]), ("", &[]), ("more", &[])]));
    home
}

fn write(home: &Home, name: &str, text: &str) -> (&'static str, Value) {
    ("files__write_file", json!({ "path": path(home, name), "content": text }))
}

fn read(home: &Home, name: &str) -> (&'static str, Value) {
    ("files__read_file", json!({ "path": path(home, name) }))
}

fn path(home: &Home, name: &str) -> String {
    home.path(&format!("data/{name}")).display().to_string()
}

fn tape(turns: &[Turn<'_>]) -> String {
    let line = |(text, calls): &Turn<'_>| {
        let stop = if calls.is_empty() { "end" } else { "tools" };
        let calls = calls.iter().enumerate().map(|(at, (name, arguments))| {
            json!({ "id": format!("c{at}"), "name": name, "arguments": arguments.to_string() })
        });
        let turn = json!({ "text": text, "calls": calls.collect::<Vec<_>>() });
        let answer = json!({ "turn": turn, "stop": stop, "usage": { "input": 10, "output": 5 } });
        format!("{}\n", json!({ "answer": answer }))
    };
    turns.iter().map(line).collect()
}

fn show(home: &Home, run: &str) -> Value {
    home.cella(&["show", run, "--json"]).json()
}

/// The numbers of the events of this kind.
fn events(shown: &Value, kind: &str) -> Vec<u64> {
    let facts = shown["facts"].as_array().unwrap().iter();
    facts.filter(|fact| fact["kind"] == kind).map(|fact| fact["seq"].as_u64().unwrap()).collect()
}

fn checkpoints(shown: &Value) -> Vec<&str> {
    let all = shown["checkpoints"].as_array().unwrap().iter();
    all.map(|kept| kept["workspace"].as_str().unwrap_or("host")).collect()
}

fn ran(home: &Home) -> String {
    let ran = home.cella(&["run", "clerk", "write"]);
    assert_eq!((ran.status, ran.out.trim()), (0, "written"), "{ran:?}");
    show(home, "last")["run"].as_str().unwrap().to_owned()
}

fn forked(home: &Home, at: &str, more: &[&str]) -> Ended {
    home.cella(&[&["fork", at, "--agent", "reader"], more].concat())
}

#[test]
fn a_fork_has_the_files_of_its_event_and_not_the_later_ones_and_the_original_keeps_its_own() {
    let home = writing();
    let run = ran(&home);
    assert_eq!(home.read("data/a.txt"), "zero", "the host is as it was");
    let shown = show(&home, &run);
    let done = events(&shown, "done");
    let kept = checkpoints(&shown);
    assert_eq!((done.len(), kept.len()), (3, 3), "{shown}");
    assert!(kept[0] != kept[1] && kept[1] != kept[2] && !kept.contains(&"host"), "{shown}");

    let fork = forked(&home, &format!("{run}@{}", done[0]), &[]);
    assert_eq!((fork.status, fork.out.trim()), (0, "seen"), "{fork:?}");
    assert!(fork.err.contains(&format!("files of files: as in workspace {}", kept[0])), "{fork:?}");
    assert!(fork.err.contains("one") && !fork.err.contains("two"), "{fork:?}");
    let of_fork = show(&home, "last");
    let name = of_fork["run"].as_str().unwrap();
    assert_eq!(checkpoints(&of_fork), [kept[0]; 2], "it changed nothing, and nothing new is kept");

    let diff = home.cella(&["diff", &run, name]);
    assert_eq!(diff.status, 7, "{diff:?}");
    for file in ["a.txt (files): 3 bytes", "b.txt (files): 1 bytes"] {
        assert!(diff.out.contains(file), "{file}: {diff:?}");
    }
    // A fork of a fork whose server has not begun in it, and the original, are where they were.
    let again = forked(&home, &run, &["--say", "and now?"]);
    assert_eq!((again.status, again.out.trim()), (0, "more"), "{again:?}");
    let diff = home.cella(&["diff", &run, "last", "--json"]).json();
    assert_eq!(diff["files"], json!([]), "{diff}");
    assert_eq!(home.read("data/a.txt"), "zero");
}

#[test]
fn files_that_cannot_be_had_are_refused_with_their_code_and_left_behind_when_that_is_wished() {
    let home = writing();
    let run = ran(&home);
    let shown = show(&home, &run);
    let (done, kept) = (events(&shown, "done"), checkpoints(&shown));
    let at = |event: usize| format!("{run}@{}", done[event]);
    let runs = || home.cella(&["runs", "--json"]).json()["runs"].as_array().unwrap().len();

    assert_eq!(home.cella(&["workspace", "discard", kept[0], "--yes"]).status, 0);
    let gone = forked(&home, &at(0), &[]);
    assert_eq!((gone.code(), runs()), ("CE1548", 1), "{gone:?}");
    home.write("data/a.txt", "changed by its owner");
    let moved = forked(&home, &at(1), &[]);
    assert_eq!((moved.code(), runs()), ("CE1549", 1), "{moved:?}");
    let left = forked(&home, &at(0), &["--without-files"]);
    assert_eq!((left.status, left.out.trim()), (0, "seen"), "{left:?}");
    assert!(left.err.contains("left behind") && left.err.contains("changed by its owner"), "{left:?}");
}

#[test]
fn a_process_of_a_run_whose_files_are_gone_is_not_started_from_the_hosts() {
    let home = writing();
    let ask = "[tools.create_directory]\neffect = \"irreversible\"\n";
    home.write("files.toml", &format!("{}{ask}", home.read("files.toml")));
    let make = ("files__create_directory", json!({ "path": path(&home, "made") }));
    home.write(
        "tape.jsonl",
        &tape(&[("", &[write(&home, "a.txt", "one")]), ("", &[make]), ("given up", &[])]),
    );
    let waits = home.cella(&["run", "clerk", "write"]);
    assert_eq!(waits.status, 75, "{waits:?}");
    let ids = || {
        let all = home.cella(&["workspace", "ls", "--json"]).json()["workspaces"].as_array().unwrap().clone();
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids().len(), 2, "one checkpoint, and what the cell left");
    assert_eq!(home.cella(&["workspace", "prune", "--older-than", "1h", "--yes"]).status, 0);
    assert_eq!(ids().len(), 2);
    assert_eq!(home.cella(&["workspace", "prune", "--run", "last", "--yes"]).status, 0);
    let left = ids();
    assert_eq!(left.len(), 1, "what the cell left stays");
    assert_eq!(home.cella(&["workspace", "discard", &left[0], "--yes"]).status, 0);
    let approved = home.cella(&["approve", "last", "s2"]);
    assert!(approved.err.contains("not started without the files that the run had"), "{approved:?}");
    let log = home.cella(&["log", "query", "--kind", "call.failed", "--json"]);
    assert!(log.out.contains("CE1570"), "{log:?}");
}

#[test]
fn a_checkpoint_that_fails_is_on_record_and_what_the_cell_leaves_at_its_end_is_kept() {
    let home = writing();
    home.write("files.toml", &home.read("files.toml").replace("idempotent", "irreversible"));
    let node = home.up();
    let begun = home.cella(&["run", "clerk", "write", "--detach"]);
    let run = begun.out.trim();
    let approved = |step: &str| {
        until(&home, run, "waiting", step);
        assert_eq!(home.cella(&["approve", run, step]).status, 0);
    };
    approved("s1");
    until(&home, run, "waiting", "s2");
    let nodes = fs::read_dir(home.path(".local/state/cella")).unwrap();
    let store =
        nodes.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap().join("workspaces");
    fs::rename(store.join("objects"), store.join("away")).unwrap();
    fs::write(store.join("objects"), "no directory").unwrap();
    approved("s2");
    until(&home, run, "waiting", "s3");
    fs::remove_file(store.join("objects")).unwrap();
    fs::rename(store.join("away"), store.join("objects")).unwrap();
    let shown = show(&home, run);
    assert_eq!(shown["checkpoints"][1]["code"], "CE1546", "{shown}");
    let refused =
        forked(&home, &format!("{run}@{}", events(&shown, "done")[1]), &["--say", "and now?", "--detach"]);
    assert_eq!(refused.code(), "CE1547", "its cell lives: {refused:?}");
    assert_eq!(node.stop(), 0);
    let fork = forked(&home, &format!("{run}@{}", events(&shown, "done")[1]), &["--say", "and now?"]);
    assert_eq!((fork.status, fork.out.trim()), (0, "seen"), "{fork:?}");
}

fn until(home: &Home, run: &str, status: &str, step: &str) {
    for _ in 0..500 {
        let shown = show(home, run);
        if shown["status"] == status && shown["waiting"][0]["step"] == step {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{}", show(home, run));
}

#[test]
fn a_server_without_copies_of_the_runs_own_is_named_and_not_forked() {
    let home = writing();
    home.write("cella.toml", &home.read("cella.toml").replace("isolation = \"run\"\n", ""));
    let run = ran(&home);
    let shown = show(&home, &run);
    assert!(shown["checkpoints"].is_null(), "{shown}");
    assert_eq!(shown["not_forked"], json!([{ "server": "files", "shared": true }]));
    let fork = forked(&home, &format!("{run}@{}", events(&shown, "done")[0]), &[]);
    assert!(fork.err.contains("files of files: not forked"), "{fork:?}");
}

/// The run is killed at each point, taken up, and ends with all that it has written.
#[test]
fn a_run_that_is_killed_anywhere_goes_on_with_its_files() {
    let next = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..4 {
            // Most of the time is waiting for what a killed node's cells leave.
            scope.spawn(|| while killed_at(next.fetch_add(1, Ordering::Relaxed)) {});
        }
    });
    assert!(next.into_inner() > 12 + 4);
}

/// False: it ended before it came there.
fn killed_at(point: u64) -> bool {
    let home = writing();
    let mut command = home.command(&["run", "clerk", "write"]);
    let ended = command.env("CELLA_CRASH_AT", point.to_string()).output().unwrap();
    if ended.status.signal().is_none() {
        return false;
    }
    // Before the first event there is no run.
    if home.cella(&["show", "last"]).status != 0 {
        return true;
    }
    let mut resumed = home.cella(&["resume", "last"]);
    while resumed.status == 75 {
        // Nobody knows, so it is done again: it writes the same.
        let step = resumed.out.split_whitespace().next().unwrap();
        resumed = home.cella(&["resolve", "last", step, "--did-not-happen"]);
    }
    let over = resumed.code() == "CE1524";
    assert!(over || (resumed.status == 0 && resumed.out.trim() == "written"), "{point}: {resumed:?}");
    let expected = [("a.txt".to_owned(), "two".to_owned()), ("b.txt".to_owned(), "b".to_owned())];
    assert_eq!(end_state(&home), expected, "{point}");
    true
}

/// What a fork of the last run at its end would find, brought to the host.
fn end_state(home: &Home) -> Vec<(String, String)> {
    let shown = show(home, "last");
    let fork = forked(home, shown["run"].as_str().unwrap(), &["--say", "and now?"]);
    let id = fork.err.split_once("as in workspace ").unwrap_or_else(|| panic!("{fork:?}")).1;
    let id = id.split_whitespace().next().unwrap();
    let done = home.cella(&["workspace", "commit", id]);
    assert_eq!(done.status, 0, "{done:?}");
    let mut found: Vec<(String, String)> =
        fs::read_dir(home.path("data")).unwrap().map(|entry| pair(&entry.unwrap().path())).collect();
    found.sort();
    found
}

fn pair(path: &Path) -> (String, String) {
    (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
}
