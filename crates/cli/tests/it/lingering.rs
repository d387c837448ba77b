//! `cella stdio` without a running node: the node that it starts, and those who share it.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::home::Home;

/// Longer than any of this takes; only a test that hangs ever meets it.
const HANG: Duration = Duration::from_secs(60);

const STATE: &str = ".local/state/cella/default";

/// A client on a pipe.
struct Client {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Client {
    fn start(home: &Home, linger: &str) -> Self {
        let mut command = home.command(&["stdio", "--server", "time"]);
        command.env("CELLA_LINGER", linger).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    fn asks(&mut self, method: &str, params: &str) -> Value {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        writeln!(self.to, "{line}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    /// Introduces itself and calls a tool.
    fn works(&mut self) {
        let hello =
            r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
        self.asks("initialize", hello);
        let answer = self.asks("tools/call", r#"{"name":"get_current_time","arguments":{"timezone":"UTC"}}"#);
        assert!(answer.to_string().contains("day_of_week"), "{answer}");
    }

    fn leaves(mut self) {
        drop(self.to);
        assert!(self.child.wait().unwrap().success());
    }
}

fn pid(home: &Home) -> u64 {
    let about: Value = serde_json::from_str(&home.read(&format!("{STATE}/node.json"))).unwrap();
    about["pid"].as_u64().unwrap()
}

/// Whether it answers; who asks that is a client as well.
fn runs(home: &Home) -> bool {
    UnixStream::connect(home.path(&format!("{STATE}/cella.sock"))).is_ok()
}

/// Waits for something that no process tells this one.
fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < HANG, "{what} does not happen");
        std::thread::yield_now();
    }
}

/// Waits until the node has ended, without being its client.
fn until_ended(home: &Home) {
    until("its end", || !home.path(&format!("{STATE}/node.json")).exists());
    until("its end", || !runs(home));
}

fn starts(home: &Home) -> usize {
    let found = home.cella(&["log", "query", "--kind", "node.started", "--json"]).json();
    found["events"].as_array().unwrap().len()
}

#[test]
fn a_second_client_joins_the_node_of_the_first_which_outlives_both() {
    let home = Home::with_config();
    let mut first = Client::start(&home, "10m");
    first.works();
    let node = pid(&home);
    assert_ne!(node, u64::from(first.child.id()), "it is a process of its own");
    let mut second = Client::start(&home, "10m");
    second.works();
    first.leaves();
    second.works();
    second.leaves();
    assert_eq!((runs(&home), pid(&home)), (true, node));
    assert!(home.path(&format!("{STATE}/stdio-token")).exists());
    assert!(Command::new("kill").arg(node.to_string()).status().unwrap().success());
    until_ended(&home);
    assert_eq!(starts(&home), 1);
}

#[test]
fn a_node_without_clients_ends_by_itself_and_the_next_client_starts_another() {
    let home = Home::with_config();
    for count in 1..=2 {
        let mut client = Client::start(&home, "300ms");
        client.works();
        client.leaves();
        until_ended(&home);
        assert_eq!(starts(&home), count);
    }
}

#[test]
fn of_clients_that_come_at_once_one_starts_the_node() {
    let home = Home::with_config();
    let mut clients: Vec<_> = (0..5).map(|_| Client::start(&home, "500ms")).collect();
    clients.iter_mut().for_each(Client::works);
    clients.into_iter().for_each(Client::leaves);
    until_ended(&home);
    assert_eq!(starts(&home), 1);
}

#[test]
fn a_start_that_fails_is_told_to_the_client_with_the_nodes_last_words() {
    let home = Home::with_config();
    home.write(&format!("{STATE}/ledger.db"), "in the way");
    let run = home.cella(&["stdio"]);
    assert_eq!((run.status, run.code()), (1, "CE6025"), "{run:?}");
    assert!(run.err.contains("CE4103") && run.err.contains("stdio-node.log"), "{run:?}");
    home.write(".config/cella/cella.toml", "[servers.time]\ncomand = \"builtin:time\"\n");
    let run = home.cella(&["stdio"]);
    assert_eq!((run.status, run.code()), (78, "CE6025"), "{run:?}");
    assert!(run.err.contains("comand"), "{run:?}");
}
