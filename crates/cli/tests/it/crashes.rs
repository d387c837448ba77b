//! The crash matrix: a run with calls of every effect class, whose process is killed (`SIGKILL`) at each boundary between two events and
//! within each effect. It is taken up again until it ends. What the outside has seen is in the log of a server that counts: whatever
//! cannot be taken back was done once, and the run has said and heard what it says and hears undisturbed.

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt, process::Command};

use serde_json::Value;

use super::home::{Ended, Home};

const COUNTER: &str = include_str!("crashes/counter.py");

const CONFIG: &str = r#"
[servers.counter]
command = "python3"
args = ["HOME/counter.py", "HOME/log/counter"]
contract = "counter.toml"

[providers.tape]
wire = "cassette"
file = "tape.jsonl"
"#;

const CONTRACT: &str = r#"
[[files]]
path = "HOME/counter.py"

[[files]]
path = "HOME/log"
mode = "write"

[tools.look]
effect = "read"
[tools.set]
effect = "idempotent"
[tools.create]
effect = "reversible"
undo = "remove"
[tools.remove]
effect = "idempotent"
[tools.pay]
effect = "irreversible"
probe = "was_paid"
[tools.was_paid]
effect = "read"
[tools.send]
effect = "irreversible"
"#;

const AGENT: &str = r#"
instructions = "Do it."
board = true
[model]
use = "tape/any"
[tools]
approve = "never"
[limits]
tries = 20
"#;

/// What the model says, turn by turn: tools to be called.
const TURNS: &[&[&str]] = &[
    &["look", "look", "board_set"],
    &["set", "pay"],
    &["create", "look", "send"],
    &["pay", "create"],
    &["send", "set", "look"],
    &["pay"],
    &["create", "set", "look"],
    &["look", "pay", "look"],
    &["send"],
    &["board_set", "create"],
];

/// Crash points after which a run that still crashes is going in circles.
const POINTS_MAX: usize = 1_000;

/// How often a crashed run is taken up again.
const RESUMED_MAX: usize = 6;

/// Someone who has the run and knows the truth.
struct Matrix {
    home: Home,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    output: String,
    /// The digest of the whole dialogue.
    dialogue: String,
    board: Value,
    outside: Outside,
}

/// What the outside has seen, by the arguments of the calls.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outside {
    /// Times that something irreversible was done.
    done: BTreeMap<String, u32>,
    /// What stands after all creating and removing.
    standing: BTreeMap<String, i32>,
    set: BTreeMap<String, u32>,
}

impl Matrix {
    fn new() -> Self {
        let home = Home::new();
        let here = home.path("").display().to_string();
        let here = here.trim_end_matches('/');
        home.write("counter.py", COUNTER);
        home.write("log/.keep", "");
        home.write("cella.toml", &CONFIG.replace("HOME", here));
        home.write("counter.toml", &CONTRACT.replace("HOME", here));
        home.write("agents/doer.toml", AGENT);
        home.write("tape.jsonl", &tape());
        Self { home }
    }

    fn command(&self, args: &[&str]) -> Command {
        self.home.command(args)
    }

    fn cella(&self, args: &[&str]) -> Ended {
        Ended::of(&mut self.command(args))
    }

    /// Begins the run and kills its process at that point; false where it ended before.
    fn crashed_at(&self, point: usize) -> bool {
        let mut command = self.command(&["run", "doer", "do it"]);
        let output = command.env("CELLA_CRASH_AT", point.to_string()).output().unwrap();
        match (output.status.signal(), output.status.code()) {
            (Some(9), _) => true,
            // It waits for nobody in a life without a crash.
            (None, Some(0)) => false,
            _ => panic!("point {point}: {output:?}"),
        }
    }

    /// Takes the run up until it ends, and answers truly where it asks.
    fn finished(&self, point: usize) -> Outcome {
        for time in 0..RESUMED_MAX {
            let runs = self.cella(&["runs", "--json"]);
            let known = runs.status == 0 && !runs.json()["runs"].as_array().unwrap().is_empty();
            if known && time == 0 && point.is_multiple_of(3) {
                // Now and then it dies again while it is being taken up.
                let again = self
                    .command(&["resume", "last"])
                    .env("CELLA_CRASH_AT", (point % 31 + 1).to_string())
                    .output();
                let status = again.unwrap().status;
                assert!(
                    status.signal() == Some(9) || matches!(status.code(), Some(0 | 1 | 75)),
                    "{status:?}"
                );
                continue;
            }
            let ended = if known {
                self.cella(&["resume", "last"])
            } else {
                // It died before its start was on record: nothing was begun.
                self.cella(&["run", "doer", "do it"])
            };
            match ended.status {
                0 => return self.outcome(),
                75 => self.resolve(),
                // It ended between its last record and the exit.
                1 if ended.err.contains("CE1524") => return self.outcome(),
                _ => panic!("point {point}: {ended:?}"),
            }
        }
        panic!("point {point}: it does not end: {:?}", self.cella(&["show", "last"]));
    }

    /// Somebody looks into the log of the server, and says what became of the calls that nobody else knows about.
    fn resolve(&self) {
        let shown = self.cella(&["show", "last", "--json"]).json();
        for call in shown["waiting"].as_array().unwrap() {
            let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
            let n = arguments["n"].as_str().unwrap().to_owned();
            let step = call["step"].as_str().unwrap();
            let result = format!("send {n}");
            let args = if self.outside().done.contains_key(&result) {
                vec!["resolve", "last", step, "--happened", "--result", &result]
            } else {
                vec!["resolve", "last", step, "--did-not-happen"]
            };
            let ended = self.cella(&args);
            assert!(matches!(ended.status, 0 | 75), "{ended:?}");
        }
    }

    fn outcome(&self) -> Outcome {
        let replayed = self.cella(&["replay", "last", "--json"]);
        assert_eq!(replayed.status, 0, "{replayed:?}");
        let shown = self.cella(&["show", "last", "--json"]).json();
        Outcome {
            output: shown["output"].as_str().unwrap_or_default().to_owned(),
            dialogue: replayed.json()["digest"].as_str().unwrap().to_owned(),
            board: shown["board"].clone(),
            outside: self.outside(),
        }
    }

    fn outside(&self) -> Outside {
        let mut outside = Outside::default();
        let log = std::fs::read_to_string(self.home.path("log/counter")).unwrap_or_default();
        for line in log.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let (what, n) = (words[0], words[2].to_owned());
            match what {
                "pay" | "send" => *outside.done.entry(format!("{what} {n}")).or_default() += 1,
                "create" => *outside.standing.entry(n).or_default() += 1,
                // Removing what was never made changes nothing.
                "remove" => {
                    let standing = outside.standing.entry(n).or_default();
                    *standing = (*standing - 1).max(0);
                }
                "set" => {
                    outside.set.insert(n, 1);
                }
                _ => {}
            }
        }
        outside
    }
}

fn tape() -> String {
    let mut lines = String::new();
    for (turn, tools) in TURNS.iter().enumerate() {
        let calls = tools.iter().enumerate().map(|(at, tool)| {
            let n = format!("{turn}-{at}");
            let (name, arguments) = if *tool == "board_set" {
                ((*tool).to_owned(), serde_json::json!({"key": "k", "value": n}))
            } else {
                (format!("counter__{tool}"), serde_json::json!({"n": n}))
            };
            serde_json::json!({"id": format!("c{turn}{at}"), "name": name, "arguments": arguments.to_string()})
        });
        let turn = serde_json::json!({"text": "", "calls": calls.collect::<Vec<_>>()});
        lines.push_str(&line(&turn, "tools"));
    }
    lines.push_str(&line(&serde_json::json!({"text": "all done"}), "end"));
    lines
}

fn line(turn: &Value, stop: &str) -> String {
    let usage = serde_json::json!({"input": 10, "output": 5});
    format!("{}\n", serde_json::json!({"answer": {"turn": turn, "stop": stop, "usage": usage}}))
}

/// Every `of`-th point from `first` on. Gives how many there were.
fn matrix(first: usize, of: usize) -> usize {
    let undisturbed = Matrix::new();
    assert!(!undisturbed.crashed_at(0), "nothing crashes at no point");
    let expected = undisturbed.outcome();
    assert_eq!(expected.output, "all done");
    assert!(expected.outside.done.values().all(|times| *times == 1), "{expected:?}");
    assert_eq!(expected.outside.done.len(), 7);
    for (points, point) in (first..POINTS_MAX).step_by(of).enumerate() {
        let matrix = Matrix::new();
        if !matrix.crashed_at(point) {
            return points;
        }
        assert_eq!(matrix.finished(point), expected, "killed at point {point}");
    }
    panic!("{POINTS_MAX} points are not enough");
}

/// Parts that the points are dealt out to, so that they run beside each other.
const SHARDS: usize = 8;

#[expect(clippy::print_stdout, reason = "what is skipped is counted by its output")]
fn shard(first: usize) {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3 for the server that counts");
        return;
    }
    let points = matrix(first, SHARDS);
    assert!(points * SHARDS >= 200, "{SHARDS} times {points} points are fewer than 200");
}

macro_rules! shards {
    ($($name:ident = $first:literal,)+) => {$(
        #[test]
        fn $name() {
            shard($first);
        }
    )+};
}

shards! {
    killed_at_any_point_a_run_does_everything_once_1 = 1,
    killed_at_any_point_a_run_does_everything_once_2 = 2,
    killed_at_any_point_a_run_does_everything_once_3 = 3,
    killed_at_any_point_a_run_does_everything_once_4 = 4,
    killed_at_any_point_a_run_does_everything_once_5 = 5,
    killed_at_any_point_a_run_does_everything_once_6 = 6,
    killed_at_any_point_a_run_does_everything_once_7 = 7,
    killed_at_any_point_a_run_does_everything_once_8 = 8,
}
