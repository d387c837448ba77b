//! What a server is seen to need, what of it is granted, and what it was refused.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Stdio},
};

use super::home::Home;

/// A server that tries to reach three hosts when it starts and complains about a variable.
const WEATHER: &str = r#"import json, socket, sys
def reach(host, port):
    try:
        socket.create_connection((host, port), timeout=2)
    except OSError as e:
        print("no", host, e, file=sys.stderr)
reach("api.example.com", 8443)
reach("api.example.com", 8443)
reach("odd.example.net", 7717)
reach("169.254.169.254", 80)
try:
    socket.getaddrinfo("names.example.org", None)
except OSError:
    pass
print("WEATHER_API_KEY environment variable is not set", file=sys.stderr, flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    method, id = ask.get("method"), ask.get("id")
    if method == "initialize":
        answer = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "w", "version": "1"}}
    elif method == "tools/list":
        answer = {"tools": [{"name": "look", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        open("/nowhere/called", "w")
    else:
        answer = {}
    if id is not None:
        print(json.dumps({"jsonrpc": "2.0", "id": id, "result": answer}), flush=True)
"#;

fn with_weather() -> (Home, String) {
    let home = Home::with_config();
    home.write("data/word", "hello\n");
    let script = home.write("srv/weather.py", WEATHER).display().to_string();
    (home, script)
}

#[test]
fn a_server_is_watched_once_and_its_contract_proposed_with_reasons() {
    let (home, script) = with_weather();
    let data = home.path("data").display().to_string();
    let run = home.cella(&["add", "weather", "--yes", "--json", "--", "python3", &script, &data]);
    assert_eq!(run.status, 0, "{run:?}");
    let contract = home.read(".config/cella/contracts/weather.toml");
    for granted in
        ["\"api.example.com:8443\"", "\"odd.example.net:7717\"", "\"names.example.org:443\"", &data]
    {
        assert!(contract.contains(granted), "{granted} in {contract}");
    }
    assert!(contract.contains("not verified") && !contract.contains("169.254"), "{contract}");
    assert!(home.read(".config/cella/cella.toml").contains("contract = \"contracts/weather.toml\""));
    let seen = &run.json()["observed"];
    assert_eq!((seen["taken"].as_bool(), seen["lists"]["tools"].as_u64()), (Some(true), Some(1)), "{seen}");
    assert_eq!(seen["missing_variables"][0], "WEATHER_API_KEY", "{seen}");
    assert!(seen["not_proposed"][0]["why"].as_str().unwrap().contains("metadata"), "{seen}");
    let shown = home.cella(&["contract", "show", "weather"]);
    assert!(shown.out.contains("may reach api.example.com:8443"), "{shown:?}");
    assert_eq!(home.cella(&["config", "validate"]).status, 0);
}

#[test]
fn where_nobody_can_be_asked_nothing_is_granted_and_what_was_seen_is_said() {
    let (home, script) = with_weather();
    let run = home.cella(&["add", "weather", "--", "python3", &script]);
    assert_eq!(run.status, 0, "{run:?}");
    for said in ["may reach api.example.com:8443", "asked for during the start", "nobody was asked"] {
        assert!(run.err.contains(said), "{said}: {run:?}");
    }
    assert!(!home.path(".config/cella/contracts").exists(), "{run:?}");
    assert!(home.cella(&["contract", "show", "weather"]).out.contains("reaches no host"));
    let run = home.cella(&["add", "blind", "--no-observe", "--", "python3", &script]);
    assert!(run.status == 0 && !run.err.contains("api.example.com"), "{run:?}");
    home.write(".config/cella/contracts/third.toml", "");
    let run = home.cella(&["add", "third", "--", "python3", &script]);
    assert_eq!((run.status, run.code()), (78, "CE6026"), "{run:?}");
}

#[test]
fn a_host_is_allowed_by_one_command_that_shows_the_difference() {
    let (home, script) = with_weather();
    assert_eq!(home.cella(&["add", "weather", "--no-observe", "--", "python3", &script]).status, 0);
    let before = home.files();
    let dry = home.cella(&["contract", "allow", "weather", "a.example.com:443", "--dry-run"]);
    assert!(dry.status == 0 && dry.err.contains("+contract = \"contracts/weather.toml\""), "{dry:?}");
    assert_eq!(home.files(), before, "a dry run changes nothing");
    let run = home.cella(&["contract", "allow", "weather", "a.example.com:443"]);
    assert_eq!(run.status, 0, "{run:?}");
    let run = home.cella(&["contract", "allow", "weather", "b.example.com:443", "a.example.com:443"]);
    assert!(run.status == 0 && run.err.contains("b.example.com:443"), "{run:?}");
    let shown = home.cella(&["contract", "show", "weather"]).out;
    assert!(shown.contains("may reach a.example.com:443") && shown.contains("may reach b.example.com:443"));
    for (args, status, code) in
        [(["weather", "a.example.com"], 2, "CE6011"), (["nobody", "a.example.com:443"], 78, "CE6012")]
    {
        let run = home.cella(&[&["contract", "allow"], &args[..]].concat());
        assert_eq!((run.status, run.code()), (status, code), "{run:?}");
    }
}

#[test]
fn what_a_cell_was_refused_is_counted_with_the_command_that_would_allow_it() {
    let (home, script) = with_weather();
    assert_eq!(home.cella(&["add", "weather", "--no-observe", "--", "python3", &script]).status, 0);
    assert_eq!(home.cella(&["contract", "allow", "weather", "granted.example.com:443"]).status, 0);
    // one that is granted no host at all is watched as well
    assert_eq!(home.cella(&["add", "bare", "--no-observe", "--", "python3", &script]).status, 0);
    let node = home.up();
    assert_eq!(home.cella(&["tools", "weather"]).status, 0);
    assert_eq!(home.cella(&["tools", "bare"]).status, 0);
    assert_eq!(node.stop(), 0);
    assert!(home.cella(&["contract", "denied", "bare"]).out.contains("it tried api.example.com "));
    let run = home.cella(&["contract", "denied", "weather"]);
    assert!(run.out.contains("it tried api.example.com ") && run.out.contains("[CE2301]"), "{run:?}");
    assert!(run.out.contains("cella contract allow weather api.example.com:443"), "{run:?}");
    let value = home.cella(&["contract", "test", "weather", "--json"]).json();
    assert!(value["denied"].as_array().unwrap().iter().any(|d| d["host"] == "api.example.com"), "{value}");
    assert_eq!(home.cella(&["contract", "denied", "time"]).out, "the cell of time was refused nothing\n");
}

#[test]
fn a_contract_bounds_the_connections_of_its_cell() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let contract = format!("egress = [\"127.0.0.1:{port}\"]\n[limits]\nconnections = 1\n");
    let contract = home.write("c.toml", &contract).display().to_string();
    let script = format!(
        "import socket\na = socket.create_connection(('127.0.0.1', {port}))\na.sendall(b'one')\n\
         try:\n  b = socket.create_connection(('127.0.0.1', {port})); b.sendall(b'two'); print(b.recv(9))\n\
         except OSError as e:\n  print('refused')\n"
    );
    let report = home.path("report.json").display().to_string();
    let heard = std::thread::spawn(move || {
        let mut said = String::new();
        listener.accept().unwrap().0.read_to_string(&mut said).map(|_| said).unwrap_or_default()
    });
    let run = home.cella(&[
        "exec",
        "--contract",
        &contract,
        "--report-file",
        &report,
        "--",
        "python3",
        "-c",
        &script,
    ]);
    assert_eq!(run.out, "refused\n", "{run:?}");
    assert_eq!(heard.join().unwrap(), "one");
    assert!(home.read("report.json").contains("CE2314"), "{}", home.read("report.json"));
}

/// A server that holds a connection to the port in its arguments.
const HOLDER: &str = "import socket, sys\nheld = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\nheld.sendall(b'x')\n";

#[test]
fn top_shows_the_connections_that_are_open() {
    let (home, _) = with_weather();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let loop_of = WEATHER.split_once("for line").unwrap().1;
    let script = home.write("srv/holder.py", &format!("import json\n{HOLDER}for line{loop_of}"));
    let script = script.display().to_string();
    assert_eq!(home.cella(&["add", "holder", "--no-observe", "--", "python3", &script, &port]).status, 0);
    assert_eq!(home.cella(&["contract", "allow", "holder", &format!("127.0.0.1:{port}")]).status, 0);
    let node = home.up();
    assert_eq!(home.cella(&["tools", "holder"]).status, 0);
    let (mut peer, _) = listener.accept().unwrap();
    peer.read_exact(&mut [0]).unwrap();
    let value = home.cella(&["top", "--once", "--json"]).json();
    let cell = value["cells"].as_array().unwrap().iter().find(|cell| cell["server"] == "holder").unwrap();
    assert_eq!(cell["connections"], 1, "{value}");
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_remote_server_is_said_to_be_remote() {
    let home = Home::with_config();
    assert_eq!(home.cella(&["add", "far", "--url", "http://127.0.0.1:1/mcp"]).status, 0);
    let run = home.cella(&["ls"]);
    assert!(
        run.out.contains("far") && run.out.contains("remote") && run.err.contains("owner's machine"),
        "{run:?}"
    );
    let run = home.cella(&["contract", "show", "far"]);
    assert!(run.out.contains("the server is remote") && !run.out.contains("TLS"), "{run:?}");
    let run = home.cella(&["contract", "allow", "far", "a.example.com:443"]);
    assert_eq!((run.status, run.code()), (2, "CE6024"), "{run:?}");
}

#[test]
fn a_link_to_a_remote_server_is_on_record_with_its_class() {
    let (there, here) = (Home::with_config(), Home::new());
    let remote = there.up();
    let socket = remote.about["socket"].as_str().unwrap();
    let config = format!("[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.far]\nurl = \"unix:{socket}\"\n");
    here.write(".config/cella/cella.toml", &config);
    let node = here.up();
    assert_eq!(here.cella(&["tools", "far"]).status, 0);
    let status = here.cella(&["status", "--json"]).json();
    assert_eq!(status["servers"][0]["class"], "remote", "{status}");
    let events = here.cella(&["log", "query", "--kind", "cell.started", "--json"]).json();
    assert_eq!(events["events"][0]["body"]["class"], "remote", "{events}");
    assert_eq!((node.stop(), remote.stop()), (0, 0));
}

#[test]
fn at_a_terminal_a_proposal_is_edited_and_then_taken() {
    let (home, script) = with_weather();
    // `script` gives the program a terminal.
    let cella = format!("{} add weather -- python3 {script}", env!("CARGO_BIN_EXE_cella"));
    let mut command = Command::new("script");
    command
        .args(["-qec", &cella, "/dev/null"])
        .env("HOME", home.path(""))
        .env("EDITOR", "sed -i /odd.example/d")
        .env_remove("VISUAL")
        .env_remove("XDG_STATE_HOME")
        .current_dir(home.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut input, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = String::new();
    for answer in ["edit\n", "y\n"] {
        let asked = seen.matches("[y/N/edit]").count();
        let mut buffer = [0; 4096];
        while seen.matches("[y/N/edit]").count() == asked {
            let n = out.read(&mut buffer).unwrap();
            assert!(n > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        input.write_all(answer.as_bytes()).unwrap();
    }
    out.read_to_string(&mut seen).unwrap();
    assert!(child.wait().unwrap().success(), "{seen}");
    let contract = home.read(".config/cella/contracts/weather.toml");
    assert!(contract.contains("api.example.com") && !contract.contains("odd.example"), "{contract}");
}
