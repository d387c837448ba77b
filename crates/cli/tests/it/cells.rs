//! Looking at cells: `shell`, `contract`, `top`, `doctor`.

use std::process::Stdio;

use super::home::{Ended, Home};

/// A home with a server that is granted a directory, and one that is elsewhere.
fn home() -> Home {
    let home = Home::new();
    home.write("data/word", "hello\n");
    home.write(
        ".config/cella/files.toml",
        "[[files]]\npath = \"${HOME}/data\"\n\n[tools.write_file]\nallow = false\n",
    );
    home.write(
        ".config/cella/cella.toml",
        "[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.files]\ncommand = \"builtin:files\"\nargs = [\"${HOME}/data\"]\n\
         contract = \"files.toml\"\nenv = { TOKEN = \"not for shells\" }\n\n[servers.far]\nurl = \"http://127.0.0.1:1/mcp\"\n",
    );
    home
}

#[test]
fn a_shell_sees_what_the_server_sees_without_its_environment() {
    let home = home();
    let data = std::fs::canonicalize(home.path("data")).unwrap();
    let script = format!("cat {}/word; ls {}; env", data.display(), home.path(".config/cella").display());
    let run = home.cella(&["shell", "files", "--", "-c", &script]);
    assert!(run.out.starts_with("hello\n") && !run.out.contains("cella.toml"), "{run:?}");
    assert!(!run.out.contains("not for shells") && !run.out.contains("TOKEN"), "{run:?}");
    let mut command = home.command(&["shell", "files"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"echo typed\nexit 4\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(4), &b"typed\n"[..]));
    for (server, status, code) in [("nobody", 78, "CE6012"), ("far", 2, "CE6024")] {
        let run = home.cella(&["shell", server]);
        assert_eq!((run.status, run.code()), (status, code), "{run:?}");
    }
}

#[test]
fn a_contract_is_shown_in_words_and_as_data() {
    let home = home();
    let run = home.cella(&["contract", "show", "files"]);
    for said in ["may read ", "/data", "reaches no host", "tool write_file: may not be called"] {
        assert!(run.out.contains(said), "{said}: {run:?}");
    }
    let value = home.cella(&["contract", "show", "untrusted", "--json"]).json();
    assert_eq!(
        (value["preset"].as_str(), value["limits"]["processes"].as_u64()),
        (Some("untrusted"), Some(256))
    );
    let run = home.cella(&["contract", "show", "nobody"]);
    assert_eq!((run.status, run.code()), (78, "CE6022"), "{run:?}");
}

#[test]
fn two_contracts_differ_by_what_only_one_of_them_grants() {
    let home = home();
    let run = home.cella(&["contract", "diff", "untrusted", "files"]);
    assert_eq!(run.status, 7, "{run:?}");
    assert!(run.out.contains("+ may read ") && !run.out.contains("processes"), "{run:?}");
    assert_eq!(home.cella(&["contract", "diff", "files", ".config/cella/files.toml"]).status, 0);
    let value = home.cella(&["contract", "diff", "untrusted", "trusted", "--json"]).json();
    assert_eq!(value["same"], false);
}

#[test]
fn a_contract_is_tried_on_this_machine() {
    let home = home();
    let value = home.cella(&["contract", "test", "files", "--json"]).json();
    assert_eq!(value["grants"][0]["works"], true, "{value}");
    let enforced = value["report"]["enforced"].as_array().unwrap();
    assert!(enforced.iter().any(|wall| wall["what"] == "seccomp"), "{value}");
    home.write("named/x", "");
    let server = "[servers.named]\ncommand = \"builtin:files\"\nargs = [\"${HOME}/named\"]\ncontract = \"semi-trusted\"\n";
    let config = home.write("named.toml", server).display().to_string();
    let value = home.cella(&["contract", "test", "named", "--json", "--config", &config]).json();
    let named = (value["grants"][0]["mode"].as_str(), value["grants"][0]["works"].as_bool());
    assert_eq!(named, (Some("read"), Some(true)), "what its arguments name: {value}");
    home.write("broken.toml", "[[files]]\npath = \"data\"\nmode = \"write\"\n[[files]]\npath = \"absent\"\n");
    let run = home.cella(&["contract", "test", "broken.toml"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.out.contains("works") && run.out.contains("broken") && run.out.contains("absent"), "{run:?}");
}

#[test]
fn top_shows_every_cell_and_what_it_uses() {
    let home = home();
    assert_eq!(home.cella(&["top", "--once"]).status, 69);
    let node = home.up();
    assert_eq!(home.cella(&["tools", "files"]).status, 0);
    let value = home.cella(&["top", "--once", "--json"]).json();
    let cell = value["cells"].as_array().unwrap().iter().find(|cell| cell["server"] == "files").unwrap();
    assert_eq!((cell["class"].as_str(), cell["connections"].as_u64()), (Some("process"), Some(0)), "{value}");
    assert!(cell["pid"].is_u64() && cell["memory_bytes"].as_u64() > Some(0), "{value}");
    assert!(cell["cpu_percent"].is_f64() && cell["processes"].as_u64() >= Some(1), "{value}");
    let run: Ended = home.cella(&["top", "--once"]);
    assert!(run.out.starts_with("SERVER") && run.out.contains("far"), "{run:?}");
    node.stop();
}

#[test]
fn the_doctor_says_what_holds_a_cell() {
    let run = Home::new().cella(&["doctor", "--quick"]);
    for what in ["namespaces", "seccomp", "landlock", "control groups", "cells"] {
        assert!(run.out.contains(what), "{what}: {run:?}");
    }
}
