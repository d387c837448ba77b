//! A node under a supervisor that hands over sockets and wants to be told how it goes, as systemd does.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::{UnixDatagram, UnixStream},
    process::Command,
    time::Duration,
};

use super::home::{Ended, Home, Node};

/// Opens the sockets of both doors as descriptors 3 and 4 and becomes what its arguments say, with the same process id.
const SUPERVISOR: &str = r#"
import os, socket, sys
tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp.bind(("127.0.0.1", 0))
unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
unix.bind(sys.argv[1])
for at, held in enumerate((tcp, unix)):
    if sys.argv[2] == "listening":
        held.listen()
    os.dup2(os.dup(held.fileno()), 10 + at)
for at in range(2):
    os.dup2(10 + at, 3 + at, inheritable=True)
    os.close(10 + at)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=sys.argv[3])
os.execv(sys.argv[4], sys.argv[4:])
"#;

/// `cella up` under that supervisor; `None`, with a word, where there is no Python.
#[expect(clippy::print_stdout, reason = "a test that cannot run says so")]
fn supervised(home: &Home, state: &str, names: &str) -> Option<Command> {
    if Command::new("python3").arg("-V").output().is_err() {
        println!("skipped: python3 is not on this machine, and it plays the supervisor");
        return None;
    }
    let cella = home.command(&[]);
    let mut command = home.command(&[]);
    let envs: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
    command = Command::new("python3");
    command.env_clear().envs(envs.into_iter().filter_map(|(k, v)| Some((k, v?)))).current_dir(home.path(""));
    command.args(["-c", SUPERVISOR]).arg(home.path("handed.sock")).args([state, names]);
    command.arg(cella.get_program()).args(["up", "--json"]);
    Some(command)
}

fn told(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).expect("word from the node");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn servers(home: &Home) -> usize {
    home.cella(&["status", "--json"]).json()["servers"].as_array().unwrap().len()
}

#[test]
fn sockets_are_taken_over_and_the_supervisor_hears_of_start_reload_and_end() {
    let home = Home::with_config();
    let config = home.read(".config/cella/cella.toml");
    let local = format!("socket = {:?}\n", home.path("handed.sock"));
    home.write(".config/cella/cella.toml", &config.replace("[node]\n", &format!("[node]\n{local}")));
    let notify = UnixDatagram::bind(home.path("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let Some(mut command) = supervised(&home, "listening", "http:local") else { return };
    command.env("NOTIFY_SOCKET", home.path("notify"));
    let node = Node::start(command);

    assert!(told(&notify).starts_with("READY=1\n"));
    assert_eq!(node.about["socket"], home.path("handed.sock").to_str().unwrap());
    let url = node.about["url"].as_str().unwrap();
    assert_ne!(url, "http://127.0.0.1:7878/mcp", "the port is the supervisor's choice");
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let called = home.cella(&["call", "time", "get_current_time", "{\"timezone\":\"UTC\"}"]);
    assert_eq!(called.status, 0, "{called:?}");
    let status = home.cella(&["status", "--json"]).json();
    for pid in status["servers"][0]["pids"].as_array().unwrap() {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(!environment.contains("LISTEN_") && !environment.contains("NOTIFY_"), "{environment}");
    }

    home.write(
        ".config/cella/cella.toml",
        &format!("{}\n[servers.more]\ncommand = \"builtin:time\"\n", home.read(".config/cella/cella.toml")),
    );
    node.signal("HUP");
    let reloading = told(&notify);
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert!(told(&notify).starts_with("READY=1\nSTATUS=serving"));
    assert_eq!(servers(&home), 2);

    home.write(".config/cella/cella.toml", "[servers.broken]\n");
    node.signal("HUP");
    assert!(told(&notify).starts_with("RELOADING=1\n"));
    let ready = told(&notify);
    assert!(ready.starts_with("READY=1\nSTATUS=the configuration is not used: CE1"), "{ready}");

    node.signal("TERM");
    assert_eq!(told(&notify), "STOPPING=1");
    assert_eq!(node.stop(), 0);
    assert!(UnixStream::connect(home.path("handed.sock")).is_err());
    assert!(home.path("handed.sock").exists(), "the socket's file is the supervisor's");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let home = Home::with_config();
    let mut command = home.command(&["up", "--json"]);
    command.envs([("LISTEN_FDS", "2"), ("LISTEN_PID", "1"), ("LISTEN_FDNAMES", "http:local")]);
    let node = Node::start(command);
    assert!(node.about["socket"].as_str().unwrap().ends_with("cella.sock"));
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_socket_that_no_door_can_use_keeps_the_node_from_starting() {
    for (state, names) in [("closed", ""), ("listening", "local:http")] {
        let home = Home::with_config();
        let Some(mut command) = supervised(&home, state, names) else { return };
        let run = Ended::of(&mut command);
        let error = &run.json()["error"];
        assert_eq!((run.status, error["code"].as_str()), (1, Some("CE4114")), "{run:?}");
    }
}
