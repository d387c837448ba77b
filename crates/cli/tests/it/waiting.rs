//! Cells that wait for the next process of a server: shown as what they are, used once, gone with the node.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::home::Home;

/// Longer than any of this takes; only a test that hangs ever meets it.
const HANG: Duration = Duration::from_secs(60);

fn home(warm: &str) -> Home {
    let home = Home::new();
    home.write(".config/cella/cella.toml", &config(warm));
    home
}

fn config(warm: &str) -> String {
    format!("[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.time]\ncommand = \"builtin:time\"\n{warm}\n")
}

/// The process ids of the cells of the server, of those that run and of those that wait.
fn cells(home: &Home) -> (Vec<u64>, Vec<u64>) {
    let value = home.cella(&["top", "--once", "--json"]).json();
    let cells: Vec<&Value> = value["cells"].as_array().unwrap().iter().collect();
    let pids = |waiting: bool| {
        let those = cells.iter().filter(|cell| (cell["state"] == "shell") == waiting);
        those.filter_map(|cell| cell["pid"].as_u64()).collect()
    };
    (pids(false), pids(true))
}

fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < HANG, "{what}");
    }
}

/// One cell that runs and one that waits.
fn pair(home: &Home) -> (u64, u64) {
    until("one runs and one waits", || {
        let (running, waiting) = cells(home);
        Some((*running.first()?, *waiting.first()?))
    })
}

fn call(home: &Home) -> i32 {
    home.cella(&["call", "time", "get_current_time", "{\"timezone\":\"UTC\"}"]).status
}

fn kill(pid: u64) {
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

fn is_there(pid: u64) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_server_that_dies_comes_back_in_the_cell_that_waited() {
    let home = home("warm = true");
    let node = home.up();
    assert_eq!(home.cella(&["tools", "time"]).status, 0);
    let (running, waiting) = pair(&home);
    kill(running);
    until("the server is back", || {
        call(&home);
        cells(&home).0.contains(&waiting).then_some(())
    });
    let (_, next) = pair(&home);
    assert_ne!(next, waiting, "used once");
    node.signal("KILL");
    until("nothing outlives the node", || (!is_there(next) && !is_there(waiting)).then_some(()));
}

#[test]
fn what_waits_goes_when_the_configuration_changes_and_none_waits_where_nobody_asked() {
    let home = home("warm = true");
    let node = home.up();
    assert_eq!(home.cella(&["tools", "time"]).status, 0);
    let (_, waiting) = pair(&home);
    home.write(".config/cella/cella.toml", &config(""));
    node.signal("HUP");
    until("it is gone", || (!is_there(waiting)).then_some(()));
    assert_eq!(home.cella(&["tools", "time"]).status, 0);
    assert_eq!(cells(&home).1, Vec::<u64>::new());
    node.stop();
}

#[test]
fn where_each_client_has_a_process_one_waits_for_the_next() {
    let home = home("isolation = \"client\"");
    let node = home.up();
    assert_eq!(call(&home), 0);
    pair(&home);
    let started = home.cella(&["log", "query", "--kind", "cell.started", "--json"]).json();
    assert_eq!(started["events"].as_array().unwrap().len(), 1, "what waits has not started: {started}");
    assert_eq!(node.stop(), 0);
}
