//! The vault as people and scripts meet it: values go in and come out nowhere but in the server they are for.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cella_vault::{KeySource, Name, Vault};

use super::home::{Ended, Home};

/// A value that is looked for in every place it must not be.
const CANARY: &str = "canary-7f3a91c4-DO-NOT-SHOW";

/// Runs `cella` with this on standard input.
fn fed(home: &Home, args: &[&str], input: &str) -> Ended {
    let mut command = home.command(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses before it reads has closed it.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn vault_file(home: &Home) -> PathBuf {
    home.path(".local/state/cella/default/vault")
}

/// The value in the vault, as a node would read it.
fn value(home: &Home, name: &str) -> Option<String> {
    let path = vault_file(home);
    let vault = Vault::open(&path, KeySource::find(&path, &|_| None).unwrap()).unwrap();
    let secret = vault.get(&Name::parse(name).unwrap()).ok()?;
    secret.expose_text().map(str::to_owned)
}

/// Every place where the text stands, in the clear or as one of the usual ways to write it.
fn holding(home: &Home, text: &str) -> Vec<PathBuf> {
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    let files = home.files().into_iter();
    files.filter(|(_, bytes)| has(bytes, text) || has(bytes, &hex)).map(|(path, _)| path).collect()
}

/// A server that says a variable of its environment in its answers and on its error output.
const TELLTALE: &str = r#"import json, os, sys
token = os.environ.get("TOKEN", "nothing")
print("my token is " + token, file=sys.stderr, flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    method, id = ask.get("method"), ask.get("id")
    if method == "initialize":
        answer = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"}}
    elif method == "tools/list":
        answer = {"tools": [{"name": "length", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        answer = {"content": [{"type": "text", "text": str(len(token))}]}
    else:
        answer = {}
    if id is not None:
        print(json.dumps({"jsonrpc": "2.0", "id": id, "result": answer}), flush=True)
"#;

fn with_telltale() -> Home {
    let home = Home::new();
    let script = home.write("telltale.py", TELLTALE);
    home.write(
        ".config/cella/cella.toml",
        &format!(
            "[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.tell]\ncommand = \"python3\"\nargs = [\"{}\"]\nenv = {{ TOKEN = \"vault:token\" }}\n",
            script.display()
        ),
    );
    home
}

#[test]
fn a_secret_reaches_its_server_and_no_file_and_no_screen() {
    let home = with_telltale();
    let set = fed(&home, &["secret", "set", "token"], &format!("{CANARY}\n"));
    assert_eq!(set.status, 0, "{set:?}");
    let node = home.up();
    let call = home.cella(&["call", "tell", "length"]);
    assert!(call.out.contains(&CANARY.len().to_string()), "{call:?}");
    let said: Vec<Ended> = [
        &["status", "--json"][..],
        &["log", "query", "--json"],
        &["log", "export", "--payloads"],
        &["secret", "ls", "--json"],
        &["config", "show"],
        &["doctor", "--quick", "--json"],
    ]
    .iter()
    .map(|args| home.cella(args))
    .chain([set, call])
    .collect();
    assert_eq!(node.stop(), 0);
    for run in said {
        assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{run:?}");
    }
    assert_eq!(holding(&home, CANARY), Vec::<PathBuf>::new());
}

/// A server whose only tool says how many bytes it can read of the files in its arguments.
const READER: &str = r#"import json, sys
def size(path):
    try:
        return len(open(path, "rb").read())
    except OSError:
        return 0
for line in sys.stdin:
    ask = json.loads(line)
    method, id = ask.get("method"), ask.get("id")
    if method == "initialize":
        answer = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "r", "version": "1"}}
    elif method == "tools/list":
        answer = {"tools": [{"name": "sizes", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        answer = {"content": [{"type": "text", "text": "sizes " + str([size(path) for path in sys.argv[1:]])}]}
    else:
        answer = {}
    if id is not None:
        print(json.dumps({"jsonrpc": "2.0", "id": id, "result": answer}), flush=True)
"#;

#[test]
fn a_server_that_may_read_the_whole_home_sees_neither_the_vault_nor_its_key() {
    let home = Home::new();
    let script = home.write("reader.py", READER);
    let key = home.write("keys/key", &"0f".repeat(32));
    let plain = home.write("plain", "12345");
    let args =
        [&script, &plain, &vault_file(&home), &key].map(|path| format!("{:?}", path.display().to_string()));
    home.write("c.toml", &format!("version = 1\n[[files]]\npath = {:?}\nmode = \"read\"\n", home.path("")));
    home.write(
        ".config/cella/cella.toml",
        &format!(
            "[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.reader]\ncommand = \"python3\"\nargs = [{}]\ncontract = {:?}\n",
            args.join(", "),
            home.path("c.toml"),
        ),
    );
    let keyed = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("CELLA_VAULT_KEY_FILE", &key);
        command
    };
    assert_eq!(Ended::of(keyed(&["secret", "set", "a", "--from-env", "V"]).env("V", CANARY)).status, 0);
    let node = super::home::Node::start(keyed(&["up", "--json"]));
    let call = home.cella(&["call", "reader", "sizes"]);
    assert!(call.out.contains("sizes [5, 0, 0]"), "{call:?}");
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_server_whose_secret_is_not_there_says_which_and_what_to_do() {
    let home = with_telltale();
    let node = home.up();
    let call = home.cella(&["call", "tell", "length"]);
    assert_eq!((call.status, call.code()), (1, "CE2401"), "{call:?}");
    assert!(call.err.contains("`TOKEN`") && call.err.contains("cella secret set token"), "{call:?}");
    // The vault is read at each start, so the node needs no restart.
    fed(&home, &["secret", "set", "token"], "four");
    let call = home.cella(&["call", "tell", "length"]);
    assert!(call.out.contains('4'), "{call:?}");
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_vault_that_cannot_be_opened_is_said_by_the_node_with_its_code() {
    let home = with_telltale();
    fed(&home, &["secret", "set", "token"], "value");
    let mut bytes = fs::read(vault_file(&home)).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(vault_file(&home), bytes).unwrap();
    let node = home.up();
    let call = home.cella(&["call", "tell", "length"]);
    assert_eq!((call.status, call.code()), (1, "CE2406"), "{call:?}");
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_header_is_sent_with_the_secret_and_never_without_it() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new();
    home.write(
        ".config/cella/cella.toml",
        &format!(
            "[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.web]\nurl = \"http://{}/mcp\"\nheaders = {{ Authorization = \"vault:web\" }}\n",
            peer.local_addr().unwrap()
        ),
    );
    fed(&home, &["secret", "set", "web"], &format!("{CANARY}\nof two lines"));
    let node = home.up();
    let call = home.cella(&["call", "web", "x"]);
    assert_eq!((call.status, call.code()), (1, "CE2423"), "{call:?}");
    assert!(!call.err.contains(CANARY) && call.err.contains("`Authorization`"), "{call:?}");
    peer.set_nonblocking(true).unwrap();
    assert!(peer.accept().is_err(), "nothing was sent");
    peer.set_nonblocking(false).unwrap();
    let heard = std::thread::spawn(move || {
        let (mut caller, _) = peer.accept().unwrap();
        let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
        while !head.windows(4).any(|w| w == b"\r\n\r\n") {
            let n = caller.read(&mut buffer).unwrap();
            assert!(n > 0, "the node hung up");
            head.extend(&buffer[..n]);
        }
        let refusal = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        caller.write_all(refusal).unwrap();
        String::from_utf8_lossy(&head).to_lowercase()
    });
    fed(&home, &["secret", "set", "web"], &format!("Bearer {CANARY}"));
    let call = home.cella(&["call", "web", "x"]);
    assert!(call.status != 0 && !call.err.contains(CANARY), "{call:?}");
    let sent = format!("authorization: bearer {}\r\n", CANARY.to_lowercase());
    let head = heard.join().unwrap();
    assert!(head.contains(&sent), "{head}");
    node.stop();
    assert_eq!(holding(&home, CANARY), Vec::<PathBuf>::new());
}

#[test]
fn a_value_comes_from_standard_input_a_variable_or_a_file_and_never_from_the_command_line() {
    let home = Home::with_config();
    let run = home.cella(&["secret", "set", "a", CANARY]);
    assert_eq!((run.status, run.code()), (2, "CE6011"), "{run:?}");
    assert!(!run.err.contains(CANARY), "{run:?}");
    let run = home.cella(&["secret", "set", CANARY, "--from-file", "/nowhere"]);
    assert_eq!(run.status, 1, "{run:?}");
    fed(&home, &["secret", "set", "a"], "from stdin\n");
    let run =
        Ended::of(home.command(&["secret", "set", "b", "--from-env", "VALUE"]).env("VALUE", "from env"));
    assert_eq!(run.status, 0, "{run:?}");
    let file = home.write("key.pem", "line 1\nline 2\n");
    let run = home.cella(&["secret", "set", "c", "--from-file", file.to_str().unwrap()]);
    assert_eq!(run.status, 0, "{run:?}");
    let found = ["a", "b", "c"].map(|name| value(&home, name).unwrap());
    assert_eq!(found, ["from stdin", "from env", "line 1\nline 2"]);
    for (args, input, code) in [
        (&["secret", "set", "d"][..], "", "CE2413"),
        (&["secret", "set", "a b"], "x", "CE2412"),
        (&["secret", "set", "d", "--from-env", "NO_SUCH_VARIABLE"], "", "CE2421"),
        (&["secret", "set", "d", "--from-file", "/nowhere"], "", "CE6010"),
    ] {
        assert_eq!(fed(&home, args, input).code(), code, "{args:?}");
    }
    let long = fed(&home, &["secret", "set", "d"], &"x".repeat(70_000));
    assert_eq!(long.code(), "CE2413", "{long:?}");
}

#[test]
fn the_first_secret_says_where_the_key_is_and_what_that_protects_against() {
    let home = Home::with_config();
    let run = fed(&home, &["secret", "set", "a"], "x");
    assert!(run.err.contains("vault.key") && run.err.contains("does not keep them from"), "{run:?}");
    let run = fed(&home, &["secret", "set", "b"], "x");
    assert!(!run.err.contains("vault.key"), "once is enough: {run:?}");
}

#[test]
fn a_list_says_who_uses_what_and_what_is_missing() {
    let home = with_telltale();
    let run = home.cella(&["secret", "ls", "--json"]);
    assert_eq!((run.status, &run.json()["missing"][0]), (3, &"token".into()), "{run:?}");
    fed(&home, &["secret", "set", "token"], "x");
    fed(&home, &["secret", "set", "other"], "x");
    let run = home.cella(&["secret", "ls", "--json"]);
    let list = run.json()["secrets"].clone();
    assert_eq!((&list[0]["name"], list[0]["used_by"].as_array().unwrap().len()), (&"other".into(), 0));
    assert_eq!((&list[1]["name"], &list[1]["used_by"][0]), (&"token".into(), &"tell".into()));
    assert!(list[1]["updated"].as_str().unwrap().starts_with("20"), "{list}");
    let table = home.cella(&["secret", "ls"]);
    assert!(table.out.starts_with("SECRET") && table.out.contains("tell"), "{table:?}");
}

#[test]
fn a_secret_in_use_stays_unless_it_is_forced_out() {
    let home = with_telltale();
    fed(&home, &["secret", "set", "token"], "x");
    let run = home.cella(&["secret", "rm", "token", "--yes"]);
    assert_eq!((run.status, run.code()), (1, "CE2420"), "{run:?}");
    assert!(run.err.contains("tell"), "{run:?}");
    let run = home.cella(&["secret", "rm", "token", "--force"]);
    assert_eq!((run.status, run.code()), (2, "CE6009"), "nobody is there to ask: {run:?}");
    let run = home.cella(&["secret", "rm", "tokn", "--yes"]);
    assert_eq!((run.status, run.code()), (1, "CE2401"), "{run:?}");
    assert!(run.err.contains("`token`"), "{run:?}");
    assert_eq!(home.cella(&["secret", "rm", "token", "--force", "--yes"]).status, 0);
    assert_eq!(value(&home, "token"), None);
    assert_eq!(home.cella(&["config", "validate"]).status, 3, "it is named and not there");
}

#[test]
fn whenever_a_writer_is_killed_the_old_value_or_the_new_one_is_there() {
    let home = Home::with_config();
    let since = Instant::now();
    fed(&home, &["secret", "set", "a"], "value-0");
    // The kills are spread over a little more than the time one whole run takes.
    let whole = since.elapsed();
    let (mut last, mut changed, mut kept) = ("value-0".to_owned(), 0, 0);
    for n in 1..=60_u32 {
        let next = format!("value-{n}");
        let mut command = home.command(&["secret", "set", "a"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(next.as_bytes()).unwrap();
        let until = Instant::now() + whole.mul_f64(f64::from(n) / 50.0);
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        let _ended_already = child.kill();
        child.wait().unwrap();
        let found = value(&home, "a").unwrap();
        assert!(found == last || found == next, "after {last} and {next} there is {found}");
        if found == next {
            changed += 1
        } else {
            kept += 1
        }
        last = found;
    }
    assert!(changed > 0 && kept > 0, "both happened: {changed} new, {kept} old");
    assert_eq!(fed(&home, &["secret", "set", "a"], "end").status, 0, "no lock is left behind");
    assert_eq!(value(&home, "a").unwrap(), "end");
}

#[test]
fn what_stands_in_the_configuration_moves_and_comments_stay() {
    let home = Home::new();
    let config = format!(
        "# mine\n[servers.git] # why\ncommand = \"x\"\nenv = {{ GIT_TOKEN = \"{CANARY}\", LOG_LEVEL = \"info\" }} # both\n\n[servers.web]\nurl = \"https://h.example/mcp\"\nheaders = {{ Authorization = \"Bearer {CANARY}\" }}\n"
    );
    home.write(".config/cella/cella.toml", &config);
    let before = home.files();
    let dry = home.cella(&["secret", "import", "--dry-run"]);
    assert_eq!(dry.status, 0, "{dry:?}");
    assert!(!dry.err.contains(CANARY) && dry.err.contains("vault:git_GIT_TOKEN"), "{dry:?}");
    assert_eq!(home.files(), before);
    assert_eq!(home.cella(&["secret", "import"]).code(), "CE6009", "nobody is there to ask");
    let run = home.cella(&["secret", "import", "--yes", "--json"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(!run.err.contains(CANARY) && !run.out.contains(CANARY), "{run:?}");
    let now = home.read(".config/cella/cella.toml");
    let wanted = config
        .replace(&format!("\"{CANARY}\""), "\"vault:git_GIT_TOKEN\"")
        .replace(&format!("\"Bearer {CANARY}\""), "\"vault:web_Authorization\"");
    assert_eq!(now, wanted);
    assert_eq!(value(&home, "web_Authorization").unwrap(), format!("Bearer {CANARY}"));
    let copy = PathBuf::from(run.json()["copy"].as_str().unwrap());
    assert_eq!(fs::read_to_string(&copy).unwrap(), config);
    assert_eq!(holding(&home, CANARY), [copy], "only the copy still has them");
    let again = home.cella(&["secret", "import", "--yes", "--json"]).json();
    assert_eq!(again["moved"].as_array().unwrap().len(), 0);
}

#[test]
fn variables_of_a_file_or_of_the_shell_move_and_references_to_them_follow() {
    let home = Home::new();
    let config = "[servers.git]\ncommand = \"x\"\nenv = { A = \"env:GIT_TOKEN\", B = \"env:DB_URL\" }\n";
    home.write(".config/cella/cella.toml", config);
    home.write(".env", &format!("export GIT_TOKEN='{CANARY}'\nLOG_LEVEL=info\nDB_URL=postgres://a:$b@c\n"));
    let run = home.cella(&["secret", "import", "--file", ".env", "--yes"]);
    assert!(run.status == 0 && run.err.contains("left out") && run.err.contains("LOG_LEVEL"), "{run:?}");
    assert_eq!(value(&home, "GIT_TOKEN").unwrap(), CANARY);
    assert_eq!(value(&home, "LOG_LEVEL"), None);
    assert_eq!(home.read(".config/cella/cella.toml"), config.replace("env:GIT_TOKEN", "vault:GIT_TOKEN"));
    let run = Ended::of(
        home.command(&["secret", "import", "--env", "DB_URL", "--yes"]).env("DB_URL", "postgres://a:$b@c"),
    );
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(value(&home, "DB_URL").unwrap(), "postgres://a:$b@c");
    assert!(home.read(".config/cella/cella.toml").contains("B = \"vault:DB_URL\""));
    home.write("broken.env", &format!("A=1\n{CANARY}\n"));
    let run = home.cella(&["secret", "import", "--file", "broken.env", "--yes"]);
    assert_eq!((run.status, run.code()), (1, "CE2422"), "{run:?}");
    assert!(run.err.contains("line 2") && !run.err.contains(CANARY), "{run:?}");
    assert_eq!(home.cella(&["secret", "import", "--file", ".env", "NO_SUCH"]).code(), "CE2421");
    assert_eq!(home.cella(&["secret", "import", "--env"]).status, 2);
}

#[test]
fn the_key_may_come_from_a_file_a_credential_or_a_program() {
    let digits = "0f".repeat(32);
    for (variable, place) in [
        ("CELLA_VAULT_KEY_FILE", "keys/key"),
        ("CREDENTIALS_DIRECTORY", "keys"),
        ("CELLA_VAULT_KEY_COMMAND", "cat keys/key"),
    ] {
        let home = Home::with_config();
        home.write("keys/key", &digits);
        home.write("keys/cella-vault-key", &digits);
        let with = |args: &[&str]| {
            let mut command = home.command(args);
            let place =
                if place.starts_with("cat") { place.into() } else { home.path(place).into_os_string() };
            command.env(variable, place);
            command
        };
        let run = Ended::of(with(&["secret", "set", "a", "--from-env", "V"]).env("V", "x"));
        assert_eq!(run.status, 0, "{variable}: {run:?}");
        assert!(!home.path(".local/state/cella/default/vault.key").exists(), "{variable}");
        assert_eq!(Ended::of(&mut with(&["secret", "ls"])).status, 0, "{variable}");
        let without = home.cella(&["secret", "ls"]);
        assert_eq!((without.status, without.code()), (4, "CE2415"), "{variable}: {without:?}");
        let other = home.write("other", &"11".repeat(32));
        let run = Ended::of(home.command(&["secret", "ls"]).env("CELLA_VAULT_KEY_FILE", other));
        assert_eq!((run.status, run.code()), (4, "CE2409"), "{variable}: {run:?}");
    }
}

#[test]
fn the_doctor_looks_at_the_vault_and_its_key() {
    let home = Home::with_config();
    let found = |home: &Home| {
        let run = home.cella(&["doctor", "--quick", "--json"]).json();
        let list = run["findings"].as_array().unwrap().clone();
        list.into_iter().find(|f| f["what"] == "vault").map(|f| f["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(found(&home), None);
    fed(&home, &["secret", "set", "a"], "x");
    assert_eq!(found(&home).as_deref(), Some("weak"), "the key lies beside the vault");
    fs::remove_file(home.path(".local/state/cella/default/vault.key")).unwrap();
    assert_eq!(found(&home).as_deref(), Some("bad"));
}

#[test]
fn names_are_completed_without_the_key() {
    let home = Home::with_config();
    fed(&home, &["secret", "set", "github"], "x");
    fs::remove_file(home.path(".local/state/cella/default/vault.key")).unwrap();
    let mut command = home.command(&["--", "cella", "secret", "rm", "g"]);
    command.env("CELLA_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "3").env("_CLAP_IFS", "\n");
    let run = Ended::of(&mut command);
    assert!(run.out.contains("github"), "{run:?}");
}

#[test]
fn a_terminal_is_asked_and_shows_nothing_of_what_is_typed() {
    let home = Home::with_config();
    // `script` gives the program a terminal, and prints what a person would see on it.
    let cella = format!("{} secret set a", env!("CARGO_BIN_EXE_cella"));
    let mut command = Command::new("script");
    command
        .args(["-qec", &cella, "/dev/null"])
        .env("HOME", home.path(""))
        .env_remove("XDG_STATE_HOME")
        .current_dir(home.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 256]);
    let until = Instant::now() + Duration::from_secs(30);
    while !String::from_utf8_lossy(&seen).contains("nothing is shown") && Instant::now() < until {
        let n = out.read(&mut buffer).unwrap();
        seen.extend(&buffer[..n]);
    }
    child.stdin.take().unwrap().write_all(format!("{CANARY}\n").as_bytes()).unwrap();
    out.read_to_end(&mut seen).unwrap();
    assert!(child.wait().unwrap().success());
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("is in the vault") && !seen.contains(CANARY), "{seen}");
    assert_eq!(value(&home, "a").unwrap(), CANARY);
}
