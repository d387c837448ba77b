use super::*;
use crate::find;

fn client(id: &str) -> &'static Client {
    find(id).expect("a known client")
}

fn http() -> Entry {
    Entry::Http { url: "http://127.0.0.1:7878/mcp".into(), token: "t".into() }
}

fn stdio() -> Entry {
    Entry::Stdio { command: "/usr/bin/cella".into(), args: vec!["stdio".into()] }
}

#[test]
fn comments_and_other_servers_survive_in_json() {
    let before = "{\n  // mine\n  \"theme\": \"dark\",\n  \"mcpServers\": {\n    \"git\": { \"command\": \"uvx\", \"args\": [\"mcp-server-git\"] }, // keep\n  },\n}\n";
    let after = write(client("cursor"), before, &http()).expect("edited");
    assert!(
        after.contains("// mine") && after.contains("// keep") && after.contains("\"theme\": \"dark\""),
        "{after}"
    );
    let names: Vec<_> =
        read(client("cursor"), &after, None).expect("read").into_iter().map(|f| f.name).collect();
    assert!(names.contains(&"git".to_owned()) && names.contains(&"cella".to_owned()));
    let undone = remove(client("cursor"), &after, "cella").expect("removed");
    assert_eq!(
        read(client("cursor"), &undone, None).expect("read"),
        read(client("cursor"), before, None).expect("read")
    );
}

#[test]
fn writing_twice_changes_nothing_more() {
    for (id, before) in [
        ("claude-code", "{}"),
        ("codex", "# top\nmodel = \"x\"\n\n[mcp_servers.git]\ncommand = \"uvx\" # why\n"),
        (
            "goose",
            "# top\nGOOSE_MODEL: x\nextensions:\n  dev:\n    type: builtin\n    enabled: true # yes\nother: 1\n",
        ),
        ("opencode", "{ \"$schema\": \"x\" }"),
    ] {
        for entry in [http(), stdio()] {
            let once = write(client(id), before, &entry).expect("edited");
            let twice = write(client(id), &once, &entry).expect("edited");
            assert_eq!(once, twice, "{id}");
            let ours = read(client(id), &once, None).expect("read").into_iter().find(|f| f.name == "cella");
            let ours = ours.unwrap_or_else(|| panic!("{id}: {once}"));
            match &entry {
                Entry::Http { url, .. } => assert_eq!(ours.url.as_ref(), Some(url), "{id}"),
                Entry::Stdio { command, args } => {
                    assert_eq!((ours.command.as_ref(), &ours.args), (Some(command), args), "{id}");
                }
            }
        }
    }
}

#[test]
fn toml_and_yaml_keep_their_comments() {
    let codex = "# top\nmodel = \"x\"\n\n[mcp_servers.git]\ncommand = \"uvx\" # why\n";
    let edited = write(client("codex"), codex, &stdio()).expect("edited");
    assert!(edited.starts_with(codex.trim_end()), "{edited}");
    let goose = "# top\nextensions:\n  dev:\n    type: builtin # yes\nother: 1\n";
    let edited = write(client("goose"), goose, &stdio()).expect("edited");
    assert!(edited.contains("# top") && edited.contains("# yes") && edited.contains("other: 1"));
    assert_eq!(remove(client("goose"), &edited, "cella").expect("removed"), goose);
}

#[test]
fn each_client_is_read_in_its_own_spelling() {
    let gemini = r#"{"mcpServers":{"a":{"httpUrl":"http://x/mcp"},"b":{"url":"http://x/sse"},"c":{"command":"npx","args":["-y","p"],"env":{"K":"v"}}}}"#;
    let found = read(client("gemini"), gemini, None).expect("read");
    let by = |name: &str| found.iter().find(|f| f.name == name).expect("there").clone();
    assert!(!by("a").sse && by("b").sse);
    assert_eq!(by("c").env, [("K".to_owned(), "v".to_owned())]);
    let opencode = r#"{"mcp":{"x":{"type":"local","command":["npx","-y","p"],"environment":{"K":"v"},"enabled":false}}}"#;
    let found = read(client("opencode"), opencode, None).expect("read");
    assert_eq!((found[0].command.as_deref(), found[0].args.len(), found[0].disabled), (Some("npx"), 2, true));
    let codex = "[mcp_servers.d]\nurl = \"https://x/mcp\"\nhttp_headers = { \"X-Key\" = \"k\" }\n";
    assert_eq!(
        read(client("codex"), codex, None).expect("read")[0].headers,
        [("X-Key".to_owned(), "k".to_owned())]
    );
}

#[test]
fn a_broken_file_is_refused_and_not_overwritten() {
    assert!(matches!(write(client("cursor"), "{ \"mcpServers\": ", &http()), Err(EditError::Syntax { .. })));
    assert!(matches!(
        write(client("cursor"), "{ \"mcpServers\": 3 }", &http()),
        Err(EditError::Shape { .. })
    ));
    assert!(matches!(write(client("codex"), "a = ", &http()), Err(EditError::Syntax { .. })));
}

/// Files as clients and people write them, one per client.
const REAL: &[(&str, &str)] = &[
    (
        "cursor",
        "{\n  // mine\n  \"theme\": \"dark\", \"n\": 1.0, \"big\": 12345678901234567890123,\n  \"mcpServers\": {\n    \"git\": { \"command\": \"uvx\" }, // keep\n  },\n  \"u\": \"\\u00fc ü\"\n}\n",
    ),
    (
        "vscode",
        "{\n\t\"inputs\": [ ],\n\t\"servers\": {\n\t\t\"a\": {\n\t\t\t\"url\": \"http://x\"\n\t\t}\n\t}\n}",
    ),
    ("claude-code", "{\n  \"numStartups\": 3,\n  \"projects\": { \"/a\": { \"mcpServers\": {} } }\n}\n"),
    (
        "codex",
        "# top\nmodel = \"x\"   # why\n\n[mcp_servers.git]\ncommand = \"uvx\" # keep\nargs = [\n  \"a\", # one\n  \"b\",\n]\n\n[mcp_servers.git.env]\nK = 'v'\n\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n",
    ),
    ("codex", "model = \"x\"\n"),
    (
        "goose",
        "# top\nGOOSE_MODEL: x\nextensions:\n    dev:\n        type: builtin\n        enabled: true # yes\n\nother: 1\n",
    ),
    ("goose", "extensions:\n# none yet\n  dev:\n    args:\n    - -y\n    - 'a b'\n    cmd: npx\n"),
    ("goose", "GOOSE_MODEL: x"),
    ("opencode", "{ \"$schema\": \"x\", \"mcp\": {} }"),
];

#[test]
fn nothing_but_our_own_lines_changes_whatever_ends_them() {
    for (id, text) in REAL {
        for before in [(*text).to_owned(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            let after = write(client(id), &before, &stdio()).expect("edited");
            let end = if before.contains("\r\n") { "\r\n" } else { "\n" };
            let odd = after
                .split_inclusive('\n')
                .any(|line| line.ends_with('\n') && line.ends_with("\r\n") != (end == "\r\n"));
            assert!(!odd, "{id}: line ends are mixed: {after:?}");
            // Each line is there still; the last server of a JSON object gets a comma.
            let mut rest = after.split(end);
            for line in before.split(end).filter(|line| !line.is_empty() && !line.contains("\"mcp\"")) {
                let found = rest.any(|l| l == line || l == format!("{line},"));
                assert!(found, "{id}: {line:?} is gone from {after:?}");
            }
            let found: Vec<_> = read(client(id), &before, None).expect("read");
            let mut now = read(client(id), &after, None).expect("read");
            now.retain(|f| f.name != "cella");
            assert_eq!(found, now, "{id}");
            assert_eq!(write(client(id), &after, &stdio()).expect("edited"), after, "{id}");
            let undone = remove(client(id), &after, "cella").expect("removed");
            assert_eq!(read(client(id), &undone, None).expect("read"), found, "{id}: {undone:?}");
        }
    }
}

#[test]
fn what_is_taken_out_leaves_every_other_line_and_every_remark_above_it() {
    for (id, before, name, after) in [
        (
            "codex",
            "# mine\n\n# about git\n[mcp_servers.git]\ncommand = \"uvx\" # inside\n\n[mcp_servers.git.env]\nK = 'v'\n\n# mine too\n[projects.\"/a\"]\nx = 1\n# end\n",
            "git",
            "# mine\n\n# about git\n\n# mine too\n[projects.\"/a\"]\nx = 1\n# end\n",
        ),
        (
            "codex",
            "model = \"x\" # why\n\n[mcp_servers.a]\nurl = \"u\"\n\n# b is last\n[mcp_servers.b]\nurl = \"v\"\n# end\n",
            "b",
            "model = \"x\" # why\n\n[mcp_servers.a]\nurl = \"u\"\n\n# b is last\n# end\n",
        ),
        (
            "codex",
            "[mcp_servers]\n# one\na = { url = \"u\" }\nb = { url = \"v\" }\n\n[x]\ny = 1\n",
            "a",
            "[mcp_servers]\nb = { url = \"v\" }\n# one\n\n[x]\ny = 1\n",
        ),
        (
            "vscode",
            "{\n  \"servers\": {\n    // one\n    \"a\": { \"url\": \"u\" }, // goes\n    // two\n    \"b\": { \"url\": \"v\" } // last\n  }, // end\n  \"inputs\": [ ]\n}\n",
            "a",
            "{\n  \"servers\": {\n    // one\n    // two\n    \"b\": { \"url\": \"v\" } // last\n  }, // end\n  \"inputs\": [ ]\n}\n",
        ),
        (
            "goose",
            "# top\nextensions:\n  # one\n  a:\n    cmd: npx # goes\n    args:\n    - -y\n  # two\n  b:\n    cmd: uvx # stays\nother: 1\n",
            "a",
            "# top\nextensions:\n  # one\n  # two\n  b:\n    cmd: uvx # stays\nother: 1\n",
        ),
    ] {
        let client = client(id);
        for (before, after) in [
            (before.to_owned(), after.to_owned()),
            (before.replace('\n', "\r\n"), after.replace('\n', "\r\n")),
            (format!("\u{feff}{before}"), format!("\u{feff}{after}")),
        ] {
            // As setup does it: our own entry is there first, so that the map of servers is never empty.
            let with_ours = |text: &str| write(client, text, &stdio()).expect("edited");
            let edited = take_out(client, &with_ours(&before), client.key, name).expect("taken out");
            let read_back = read(client, &edited, None).expect("read");
            assert_eq!(read_back, read(client, &with_ours(&after), None).expect("read"), "{edited}");
            let edited: Vec<&str> = edited.lines().collect();
            let mut rest = edited.iter();
            for line in after.lines() {
                assert!(
                    rest.any(|l| *l == line || *l == line.replace(" // last", ", // last")),
                    "{id}: {line:?} is gone: {edited:#?}"
                );
            }
            assert!(!edited.iter().any(|l| l.contains("inside") || l.contains("goes")), "{edited:#?}");
        }
    }
}

#[test]
fn the_last_server_goes_and_the_one_before_it_stays_whole() {
    let before = "{\n  \"mcpServers\": {\n    \"a\": { \"url\": \"u\" }, // a\n    // b\n    \"b\": { \"url\": \"v\" }\n  }\n}\n";
    let after = take_out(client("cursor"), before, &["mcpServers"], "b").expect("taken out");
    assert!(after.contains("\"a\": { \"url\": \"u\" } // a\n    // b\n"), "{after}");
}

#[test]
fn an_entry_that_cannot_be_parted_from_its_surroundings_is_left() {
    let goose = "extensions:\n  a: &one\n    cmd: npx\n\n    args: []\n  b: *one\n";
    assert!(matches!(take_out(client("goose"), goose, &["extensions"], "a"), Err(EditError::Tangled { .. })));
    assert!(take_out(client("cursor"), "{\"mcpServers\":{}}", &["mcpServers"], "a").is_err());
    assert!(take_out(client("cursor"), "{\"mcpServers\":3}", &["mcpServers", "x"], "a").is_err());
}

#[test]
fn what_was_taken_out_can_be_put_back() {
    for (id, text, name) in
        [("goose", REAL[6].1, "dev"), ("codex", REAL[3].1, "git"), ("vscode", REAL[1].1, "a")]
    {
        let client = client(id);
        let both = write(client, text, &stdio()).expect("edited");
        let without = take_out(client, &both, client.key, name).expect("taken out");
        let entry = entry_at(client, text, client.key, name).expect("there");
        let back = put_back(client, &without, client.key, name, &entry).expect("put back");
        assert_eq!(
            read(client, &back, None).expect("read"),
            read(client, &both, None).expect("read"),
            "{id}"
        );
    }
}
