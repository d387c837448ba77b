use super::*;
use crate::clients::find;

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
    let names: Vec<_> = read(client("cursor"), &after).expect("read").into_iter().map(|f| f.name).collect();
    assert!(names.contains(&"git".to_owned()) && names.contains(&"cella".to_owned()));
    let undone = remove(client("cursor"), &after, "cella").expect("removed");
    assert_eq!(read(client("cursor"), &undone).expect("read"), read(client("cursor"), before).expect("read"));
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
            let ours = read(client(id), &once).expect("read").into_iter().find(|f| f.name == "cella");
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
    let found = read(client("gemini"), gemini).expect("read");
    let by = |name: &str| found.iter().find(|f| f.name == name).expect("there").clone();
    assert!(!by("a").sse && by("b").sse);
    assert_eq!(by("c").env, [("K".to_owned(), "v".to_owned())]);
    let opencode = r#"{"mcp":{"x":{"type":"local","command":["npx","-y","p"],"environment":{"K":"v"},"enabled":false}}}"#;
    let found = read(client("opencode"), opencode).expect("read");
    assert_eq!((found[0].command.as_deref(), found[0].args.len(), found[0].disabled), (Some("npx"), 2, true));
    let codex = "[mcp_servers.d]\nurl = \"https://x/mcp\"\nhttp_headers = { \"X-Key\" = \"k\" }\n";
    assert_eq!(
        read(client("codex"), codex).expect("read")[0].headers,
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
