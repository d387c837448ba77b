//! `cella exec`: a command in a cell, as scripts use it. As root everything is done as a plain user too.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::home::{Ended, Home};

/// The plain user that everything runs as, besides root: in no group, owner of nothing.
const PLAIN_UID: u32 = 65_534;
/// Longest time something may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who runs `cella`, in a home of his own.
pub(super) struct User {
    pub(super) home: Home,
    /// `None`: whoever runs the tests.
    pub(super) uid: Option<u32>,
    program: PathBuf,
}

impl User {
    pub(super) fn all() -> Vec<Self> {
        let home = Home::new();
        let root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
        let own = Self { program: home.command(&[]).get_program().into(), home, uid: None };
        if !root {
            return vec![own];
        }
        let home = Home::new();
        std::os::unix::fs::chown(home.path(""), Some(PLAIN_UID), Some(PLAIN_UID)).unwrap();
        // Where every user may execute it.
        let program = home.path("cella");
        if fs::hard_link(&own.program, &program).is_err() {
            fs::copy(&own.program, &program).unwrap();
        }
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        vec![own, Self { home, uid: Some(PLAIN_UID), program }]
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let template = self.home.command(args);
        let mut command = Command::new(&self.program);
        command.args(args).env_clear().stdin(Stdio::null()).current_dir(self.home.path(""));
        command.envs(template.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    /// Runs a command in a cell of the preset `untrusted`.
    fn untrusted(&self, line: &[&str]) -> Ended {
        Ended::of(&mut self.command(&[&["exec", "--contract", "untrusted", "--"], line].concat()))
    }

    /// Runs a shell script under the contract.
    pub(super) fn under(&self, contract: &str, script: &str) -> Ended {
        self.write("c.toml", contract);
        Ended::of(&mut self.command(&["exec", "--contract", "c.toml", "--", "sh", "-c", script]))
    }

    /// A file of this user.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.write(name, text);
        if let Some(uid) = self.uid {
            std::os::unix::fs::chown(path.parent().unwrap(), Some(uid), Some(uid)).unwrap();
            std::os::unix::fs::chown(&path, Some(uid), Some(uid)).unwrap();
        }
        path
    }
}

pub(super) fn started(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the program's first line.
pub(super) fn first_line(child: &mut Child) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" {
        assert_eq!(child.stdout.as_mut().unwrap().read(&mut byte).unwrap(), 1, "no first line");
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Processes of this machine with that word in their arguments.
fn with_argument(word: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|arg| arg == word.as_bytes())).count()
}

pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

pub(super) fn kill(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

#[test]
fn ten_megabytes_pass_unchanged_through_both_pipes_and_the_end_of_input_too() {
    for user in User::all() {
        let sent: Vec<u8> =
            (0..10_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut child = started(&mut user.command(&["exec", "--contract", "untrusted", "--", "cat"]));
        let (mut input, bytes) = (child.stdin.take().unwrap(), sent.clone());
        let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
        let mut received = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(sent == received, "{} of {} bytes, or others", received.len(), sent.len());
    }
}

#[test]
fn each_stream_is_a_stream_of_its_own() {
    for user in User::all() {
        let run = user.untrusted(&["sh", "-c", "echo out; echo err >&2"]);
        assert_eq!((run.status, run.out.as_str(), run.err.as_str()), (0, "out\n", "err\n"));
    }
}

#[test]
fn the_exit_status_is_the_programs_or_says_why_there_was_none() {
    for user in User::all() {
        let script = |text| user.untrusted(&["sh", "-c", text]).status;
        assert_eq!([script("exit 0"), script("exit 7"), script("exit 255")], [0, 7, 255]);
        assert_eq!([script("kill -9 $$"), script("kill -15 $$")], [137, 143]);
        let run = user.untrusted(&["no-such-program"]);
        assert_eq!((run.status, run.code()), (127, "CE2001"), "{run:?}");
        user.write("plain", "text");
        assert_eq!(user.untrusted(&["./plain"]).status, 126);
        let run = user.under("[[files]]\npath = \"absent\"\n", "true");
        assert_eq!((run.status, run.code()), (78, "CE4123"), "{run:?}");
        let run = user.under("nonsense = 1\n", "true");
        assert_eq!(run.status, 78, "{run:?}");
        let run = Ended::of(&mut user.command(&["exec", "--contract", "no-such", "--", "true"]));
        assert_eq!((run.status, run.code()), (78, "CE6022"), "{run:?}");
        let line = ["exec", "--contract", "untrusted", "--env", "X", "--", "true"];
        assert_eq!(Ended::of(&mut user.command(&line)).status, 2);
    }
}

#[test]
fn a_contract_that_cannot_be_enforced_is_refused_and_only_best_effort_runs_it() {
    for user in User::all() {
        user.write("c.toml", "[limits]\nmemory = \"100MiB\"\n");
        let run = |more: &[&str]| {
            let head = ["exec", "--contract", "c.toml", "--report-file", "r.json"];
            Ended::of(&mut user.command(&[&head, more, &["--", "echo", "ran"]].concat()))
        };
        let result = || serde_json::from_str::<Value>(&user.home.read("r.json")).unwrap();
        let strict = run(&[]);
        if strict.status == 0 {
            // This user has control groups, so there is nothing to refuse.
            assert_eq!(result()["report"]["degraded"], serde_json::json!([]));
            continue;
        }
        assert_eq!((strict.status, strict.code(), strict.out.as_str()), (5, "CE2005", ""), "{strict:?}");
        assert_eq!(
            (result()["exit"].as_u64(), result()["error"]["code"].as_str()),
            (Some(5), Some("CE2005"))
        );
        let lenient = run(&["--best-effort"]);
        assert_eq!((lenient.status, lenient.out.as_str()), (0, "ran\n"), "{lenient:?}");
        assert_eq!(result()["report"]["degraded"][0]["what"], "memory", "{}", result());
    }
}

#[test]
fn the_environment_is_what_was_given_and_nothing_else() {
    for user in User::all() {
        let mut command = user.command(&["exec", "--contract", "untrusted", "--env", "A=b=$C ", "--", "env"]);
        let run = Ended::of(command.env("LEAK", "secret").env("PATH", "/usr/bin:/bin"));
        let mut names: Vec<&str> = run.out.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["A", "HOME", "LANG", "PATH", "TMPDIR"], "{run:?}");
        assert!(run.out.contains("A=b=$C \n"), "{run:?}");
    }
}

#[test]
fn files_are_read_written_or_not_there_as_the_contract_says() {
    for user in User::all() {
        user.write("in/word", "read me\n");
        user.write("out/before", "");
        user.write("secret", "not yours\n");
        let contract = "[[files]]\npath = \"in\"\n[[files]]\npath = \"out\"\nmode = \"write\"\n";
        let at = |name: &str| fs::canonicalize(user.home.path("")).unwrap().join(name).display().to_string();
        let (word, made, secret) = (at("in/word"), at("out/made"), at("secret"));
        let run = user.under(contract, &format!("cat {word} | tee {made}"));
        assert_eq!((run.status, run.out.as_str()), (0, "read me\n"), "{run:?}");
        assert_eq!(user.home.read("out/made"), "read me\n");
        assert_ne!(user.under(contract, &format!("echo changed > {word}")).status, 0);
        assert_eq!(user.home.read("in/word"), "read me\n");
        // The control: outside of the cell this user may.
        assert_eq!(user.home.read("secret"), "not yours\n");
        let run = user.under(contract, &format!("cat {secret}"));
        assert!(run.status != 0 && run.out.is_empty(), "{run:?}");
        let run = Ended::of(&mut user.command(&["exec", "--contract", "c.toml", "--cwd", "in", "--", "pwd"]));
        assert_eq!(run.out.trim_end(), at("in"), "{run:?}");
    }
}

#[test]
fn a_cell_that_may_write_a_home_cannot_plant_a_configuration() {
    let all = "[[files]]\npath = \".\"\nmode = \"write\"\n";
    for user in User::all() {
        user.write("x", "");
        let home = fs::canonicalize(user.home.path("")).unwrap();
        let folder = home.join(".config/cella");
        let planted = folder.join("cella.toml");
        let script = format!("mkdir -p {0}; echo planted > {0}/cella.toml", folder.display());
        user.under(all, &script);
        assert!(!planted.exists(), "a node would read it");
        let run = user.under(all, &format!("cat {}/c.toml", home.display()));
        assert_eq!(run.out, "", "its own contract is hidden from it: {run:?}");
        // A configuration of its own in this directory makes no difference to the user's.
        fs::remove_dir(&folder).unwrap();
        user.write("cella.toml", "");
        user.under(all, &script);
        assert!(folder.is_dir() && !planted.exists(), "a node in another directory would read it");
    }
}

#[test]
fn the_secrets_and_contracts_of_configured_servers_are_hidden_where_a_grant_would_show_them() {
    for user in User::all() {
        user.write("secrets/key", "hunter2\n");
        user.write("server.toml", "");
        let server = "[servers.s]\ncommand = \"cat\"\ncontract = \"server.toml\"\nenv = { K = \"file:secrets/key\" }\n";
        user.write("cella.toml", server);
        let home = fs::canonicalize(user.home.path("")).unwrap();
        let script = format!("cd {}; cat secrets/key cella.toml server.toml; ls", home.display());
        let run = user.under("[[files]]\npath = \".\"\n", &script);
        assert!(run.out.contains("secrets") && !run.out.contains("hunter2"), "{run:?}");
        assert!(!run.out.contains("servers.s"), "{run:?}");
        user.write("cella.toml", "[servers.s\n");
        let run = user.under("[[files]]\npath = \".\"\n", "true");
        assert_eq!(run.status, 78, "what is to be hidden is not known: {run:?}");
    }
}

#[test]
fn there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for user in User::all() {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo through");
        let outside = Ended::of(Command::new("bash").args(["-c", &script]));
        assert_eq!(outside.out, "through\n", "the control: {outside:?}");
        let run = user.untrusted(&["bash", "-c", &script]);
        assert!(run.status != 0 && run.out.is_empty(), "{run:?}");
    }
}

#[test]
fn the_time_limit_ends_it_with_a_status_of_its_own() {
    for user in User::all() {
        user.write("c.toml", "[limits]\ntime = \"300ms\"\n");
        let line = ["exec", "--contract", "c.toml", "--json", "--", "sleep", "100"];
        let run = Ended::of(&mut user.command(&line));
        let result: Value = serde_json::from_str(run.err.trim_end()).unwrap();
        assert_eq!((run.status, run.out.as_str()), (75, ""), "{run:?}");
        assert_eq!((result["exit"].as_u64(), result["limit"].as_str()), (Some(75), Some("wall time")));
        let run = user.under("[limits]\ntime = \"300ms\"\n", "sleep 100");
        assert_eq!((run.status, run.code()), (75, "CE6023"), "{run:?}");
    }
}

#[test]
fn a_signal_asks_the_program_to_end_and_a_second_one_kills_it() {
    for user in User::all() {
        for signal in ["-TERM", "-INT", "-HUP"] {
            let script = "trap 'echo asked; exit 9' TERM; echo up; while :; do sleep 0.05; done";
            let mut child =
                started(&mut user.command(&["exec", "--contract", "untrusted", "--", "sh", "-c", script]));
            first_line(&mut child);
            kill(&child, signal);
            assert_eq!(first_line(&mut child), "asked\n");
            assert_eq!(child.wait().unwrap().code(), Some(9), "{signal}");
        }
        let script = "trap 'echo no' TERM; echo up; while :; do sleep 0.05; done";
        let mut child =
            started(&mut user.command(&["exec", "--contract", "untrusted", "--", "sh", "-c", script]));
        first_line(&mut child);
        kill(&child, "-TERM");
        assert_eq!(first_line(&mut child), "no\n");
        kill(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(137));
    }
}

#[test]
fn nothing_is_left_when_it_is_killed_without_warning() {
    for (number, user) in User::all().into_iter().enumerate() {
        let marker = format!("86399.{}{number}", std::process::id());
        let script = format!("setsid sleep {marker} & sleep {marker} & echo up; sleep {marker}");
        let mut child =
            started(&mut user.command(&["exec", "--contract", "untrusted", "--", "sh", "-c", &script]));
        first_line(&mut child);
        until("three processes", || with_argument(&marker) == 3);
        kill(&child, "-KILL");
        child.wait().unwrap();
        until("nothing is left", || with_argument(&marker) == 0);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    for user in User::all() {
        let mut child = started(&mut user.command(&["exec", "--contract", "untrusted", "--", "yes"]));
        first_line(&mut child);
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(128 + 13), "SIGPIPE");
    }
}

#[test]
fn the_report_says_what_is_enforced_and_what_was_not_granted() {
    for user in User::all() {
        let hidden = user.write("hidden", "");
        let path = hidden.display().to_string();
        let line = ["exec", "--contract", "untrusted", "--report", "--", "cat", &path];
        let run = Ended::of(&mut user.command(&line));
        for word in ["enforced", "namespaces", "seccomp", "not granted", "hidden"] {
            assert!(run.err.contains(word), "{word}: {run:?}");
        }
    }
}

/// What `cella doctor` says of the drivers of class vm: whether gVisor is usable.
fn has_gvisor(user: &User) -> bool {
    let run = Ended::of(&mut user.command(&["doctor", "--quick", "--json"]));
    let found: Value = serde_json::from_str(&run.out).unwrap();
    let findings = found["findings"].as_array().unwrap();
    let drivers: Vec<&Value> =
        findings.iter().filter(|f| f["what"].as_str().is_some_and(|what| what.starts_with("vm "))).collect();
    assert_eq!(drivers.len(), 5, "{found}");
    // Each that cannot be used says what to do.
    for driver in &drivers {
        let unusable = driver["detail"].as_str().unwrap().starts_with("not usable");
        assert_eq!(unusable, driver["fix"].is_string(), "{driver}");
    }
    drivers.iter().any(|driver| driver["what"] == "vm gvisor" && driver["fix"].is_null())
}

#[test]
fn a_contract_of_class_vm_runs_behind_another_kernel_or_is_refused_with_the_reason() {
    let own = fs::read_to_string("/proc/version").unwrap();
    for user in User::all() {
        let usable = has_gvisor(&user);
        let run = user.under("class = \"vm\"\nvm = \"gvisor\"\n", "cat /proc/version; exit 9");
        if usable {
            assert_eq!(run.status, 9, "{run:?}");
            assert!(!run.out.is_empty() && run.out != own, "{run:?}");
        } else {
            println!("skipped: gvisor is not usable here, so only its refusal is tested");
            assert_eq!((run.status, run.code()), (5, "CE2051"), "{run:?}");
        }
    }
}

#[test]
fn class_vm_with_granted_hosts_has_a_broker_and_reaches_no_other_host() {
    let try_another = "getent hosts other.example || echo none; cat /etc/resolv.conf";
    for user in User::all() {
        let usable = has_gvisor(&user);
        let run = user.under("class = \"vm\"\nvm = \"gvisor\"\negress = [\"a.example:443\"]\n", try_another);
        if usable {
            assert_eq!(run.status, 0, "{run:?}");
            assert!(run.out.starts_with("none\nnameserver "), "{run:?}");
        } else {
            println!("skipped: gvisor is not usable here, so only its refusal is tested");
            assert_eq!((run.status, run.code()), (5, "CE2051"), "{run:?}");
        }
    }
}
