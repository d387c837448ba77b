//! Every error says what happened, has a code with a page, and says what to do.

use super::home::{Ended, Home};

/// Command lines that must fail in a home with one server and no node, and the exit status of each.
const WRONG: &[(i32, &[&str])] = &[
    (2, &["frobnicate"]),
    (2, &["call"]),
    (2, &["call", "time", "get_current_time", "not json"]),
    (2, &["call", "time", "get_current_time", "[1]"]),
    (69, &["status"]),
    (69, &["tools"]),
    (69, &["log", "tail", "--follow"]),
    (1, &["log", "tail"]),
    (4, &["status", "--url", "http://127.0.0.1:1", "--token-file", "/nowhere"]),
    (2, &["add", "new"]),
    (2, &["add", "new", "--build-from-source", "--builtin", "time"]),
    (2, &["add", "new", "--url", "http://127.0.0.1:1/mcp", "--header", "oops"]),
    (78, &["add", "time", "--builtin", "time", "--no-install"]),
    (78, &["add", "a.b", "--builtin", "time", "--no-install"]),
    (78, &["rm", "nobody"]),
    (78, &["ls", "--config", "/nowhere/cella.toml"]),
    (78, &["config", "validate", "--config", "/nowhere/cella.toml"]),
    (2, &["import", "netscape"]),
    (1, &["import", "--file", "/nowhere.json"]),
    (1, &["client", "setup"]),
    (2, &["client", "setup", "netscape"]),
    (2, &["client", "setup", "cursor"]),
    (2, &["client", "config", "claude-desktop", "--http"]),
    (2, &["client", "restore", "cursor"]),
    (2, &["completion", "tcsh"]),
    (2, &["explain", "CE0000"]),
    (2, &["help", "frobnicate"]),
    (2, &["serve", "nobody"]),
    (2, &["exec", "--contract", "untrusted"]),
    (78, &["shell", "nobody"]),
    (78, &["contract", "show", "nobody"]),
    (78, &["contract", "diff", "untrusted", "nobody"]),
    (78, &["contract", "test", "nobody"]),
    (69, &["top"]),
    (78, &["up", "--listen", "somewhere"]),
    (78, &["up", "--listen", "0.0.0.0:1"]),
];

#[test]
fn every_error_has_a_code_a_page_and_a_remedy() {
    let home = Home::with_config();
    for (status, args) in WRONG {
        let run = home.cella(args);
        assert_eq!(run.status, *status, "{args:?}: {run:?}");
        assert!(run.out.is_empty(), "{args:?} prints to stdout: {run:?}");
        let code = run.code();
        assert_eq!(home.cella(&["explain", code]).status, 0, "{args:?}: no page for `{code}`: {run:?}");
        assert!(run.err.contains("fix:"), "{args:?}: no remedy: {run:?}");
    }
}

#[test]
fn errors_for_programs_are_one_json_document() {
    let home = Home::with_config();
    for (status, args) in WRONG {
        let run = home.cella(&[&["--json"], *args].concat());
        let error = &run.json()["error"];
        assert!(error["code"].as_str().is_some_and(|c| c.starts_with("CE")), "{args:?}: {run:?}");
        assert_eq!((run.status, error["exit"].as_i64()), (*status, Some(i64::from(*status))), "{args:?}");
        assert!(!run.err.contains("error["), "{args:?}: {run:?}");
    }
}

#[test]
fn a_call_with_arguments_that_are_no_json_says_how_to_write_them() {
    let run = Home::with_config().cella(&["call", "time", "get_current_time", "not json"]);
    assert_eq!((run.status, run.code()), (2, "CE6006"));
    assert!(run.err.contains("'{\""), "{run:?}");
}

#[test]
fn help_explains_verbs_and_codes() {
    let home = Home::new();
    let page = home.cella(&["help", "CE2104"]);
    assert_eq!((page.status, &page.out), (0, &home.cella(&["explain", "ce2104"]).out));
    assert!(home.cella(&["help", "log", "query"]).out.contains("cella log query"));
    let nothing = home.cella(&[]);
    assert_eq!((nothing.status, nothing.code()), (2, ""));
}

#[test]
fn colour_is_for_those_who_want_it() {
    let home = Home::new();
    let colored = |command: &mut std::process::Command| Ended::of(command).err.contains('\u{1b}');
    assert!(!colored(&mut home.command(&["rm", "x"])));
    assert!(colored(&mut home.command(&["rm", "x", "--color", "always"])));
    assert!(colored(home.command(&["rm", "x"]).env("CLICOLOR_FORCE", "1")));
    assert!(!colored(home.command(&["rm", "x"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")));
}

#[test]
fn a_configuration_that_names_what_is_not_there_is_not_all_well() {
    let home = Home::with_config();
    let config = home.path("cella.toml");
    let with = |more: &str| {
        std::fs::write(&config, format!("[servers.x]\n{more}\n")).expect("written");
        home.cella(&["config", "validate"])
    };
    let run = with("command = \"builtin:tme\"");
    assert_eq!((run.status, run.code()), (78, "CE6019"), "{run:?}");
    let run = with("command = \"builtin:time\"\ncontract = \"trustd\"");
    assert_eq!((run.status, run.code()), (78, "CE4101"), "{run:?}");
    assert!(run.err.contains("`x`") && run.err.contains("semi-trusted"), "{run:?}");
    let run = with("command = \"no-such-program\"\nenv = { A = \"env:NO_SUCH\", B = \"file:nothere\" }");
    assert_eq!(run.status, 3, "{run:?}");
    for key in ["servers.x.command", "servers.x.env.A", "servers.x.env.B"] {
        assert!(run.err.contains(key), "{key}: {run:?}");
    }
    let run = with("command = \"builtin:time\"");
    assert_eq!(run.status, 0, "{run:?}");
    std::fs::write(&config, "listen = \"127.0.0.1:1\"\n").expect("written");
    assert!(home.cella(&["config", "validate"]).err.contains("node.listen"));
}

#[test]
fn a_key_that_stands_twice_in_the_arguments_is_refused() {
    let run = Home::with_config().cella(&["call", "time", "get_current_time", r#"{"a": 1, "a": 2}"#]);
    assert_eq!((run.status, run.code()), (2, "CE6006"));
    assert!(run.err.contains("`a` stands twice"), "{run:?}");
}

#[test]
fn a_kind_that_is_none_and_a_token_that_is_none_are_refused() {
    let home = Home::with_config();
    let node = home.up();
    let run = home.cella(&["log", "query", "--kind", "call.refuse"]);
    assert_eq!((run.status, run.code()), (1, "CE4109"));
    assert!(run.err.contains("`call.refused`"), "{run:?}");
    let run = home.cella(&["log", "query", "--server", "nobody"]);
    assert!(run.status == 0 && run.err.contains("no events match"), "{run:?}");
    let run = home.cella(&["add", "two", "--builtin", "time", "--no-install"]);
    assert!(run.err.contains("untrusted") && run.err.contains("try it"), "{run:?}");
    node.stop();
    let run = home.cella(&["add", "three", "--builtin", "time", "--no-install"]);
    assert!(run.err.contains("next: cella up"), "{run:?}");
    home.write("short", "short\n");
    let run = home.cella(&["up", "--token-file", "short"]);
    assert_eq!((run.status, run.code()), (78, "CE4116"));
}

#[test]
fn a_package_that_must_be_built_is_added_with_its_permission() {
    let home = Home::with_config();
    let run = home.cella(&["add", "two", "--build-from-source", "--no-install", "--", "uvx", "tool"]);
    assert_eq!(run.status, 0, "{run:?}");
    let written = home.read(".config/cella/cella.toml");
    let own = written.split_once("[servers.two]").unwrap().1;
    assert!(own.contains("build_from_source = true"), "{written}");
    assert_eq!(home.cella(&["config", "validate"]).status, 0);
}
