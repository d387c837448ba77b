//! Import from clients, setup of clients, and the way back, on files as the clients write them.

use std::{fs, os::unix::fs::PermissionsExt};

use super::home::{Ended, Home};

/// One file per client: where it is and what it holds.
const FILES: &[(&str, &str)] = &[
    (
        ".claude.json",
        "{\n  \"numStartups\": 42,\n  \"big\": 12345678901234567890123, \"float\": 1.0, \"text\": \"Gr\\u00fc\u{df}e\",\n  \"mcpServers\": {\n    \"github\": {\n      \"type\": \"stdio\",\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"@modelcontextprotocol/server-github\"],\n      \"env\": { \"GITHUB_TOKEN\": \"ghp_16C7e42F292c6912E7710c838347Ae178B4a\" }\n    }\n  }\n}\n",
    ),
    (
        ".config/Claude/claude_desktop_config.json",
        "{\n\t\"globalShortcut\": \"Ctrl+Space\",\n\t\"mcpServers\": {\n\t\t\"memory\": {\n\t\t\t\"command\": \"npx\",\n\t\t\t\"args\": [\"-y\", \"@modelcontextprotocol/server-memory\"]\n\t\t}\n\t}\n}",
    ),
    (
        ".cursor/mcp.json",
        "{\r\n  \"mcpServers\": {\r\n    \"docs\": { \"url\": \"https://docs.example/mcp\" }\r\n  }\r\n}\r\n",
    ),
    (
        ".config/Code/User/mcp.json",
        "{\n  // asked for once\n  \"inputs\": [{ \"type\": \"promptString\", \"id\": \"pplx-key\" }],\n  \"servers\": {\n    \"perplexity\": { \"command\": \"npx\", \"args\": [\"-y\", \"ask\"], \"env\": { \"KEY\": \"${input:pplx-key}\" } },\n  },\n}\n",
    ),
    (
        ".codex/config.toml",
        "# mine\nmodel = \"gpt\"   # why\n\n[mcp_servers.figma]\nurl = \"https://mcp.figma.example/mcp\"\nbearer_token_env_var = \"FIGMA_TOKEN\"\n\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n",
    ),
    (
        ".gemini/settings.json",
        "{ \"theme\": \"x\", \"mcpServers\": { \"stream\": { \"httpUrl\": \"https://s.example/mcp\" }, \"events\": { \"url\": \"https://e.example/sse\" } } }\n",
    ),
    (
        ".config/goose/config.yaml",
        "# goose\nGOOSE_MODEL: x\nextensions:\n  developer:\n    enabled: true # yes\n    type: builtin\n  brave:\n    cmd: npx\n    args:\n    - -y\n    - 'brave search'\n    env_keys:\n    - BRAVE_KEY\n    type: stdio\n",
    ),
    (
        ".config/opencode/opencode.json",
        "{\n  \"mcp\": {\n    \"everything\": { \"type\": \"local\", \"command\": [\"npx\", \"-y\", \"every\"], \"environment\": { \"T\": \"{env:T}\" } },\n    \"off\": { \"type\": \"remote\", \"url\": \"https://off.example/mcp\", \"enabled\": false }\n  }\n}\n",
    ),
    (
        ".codeium/windsurf/mcp_config.json",
        "{\"mcpServers\":{\"ws\":{\"serverUrl\":\"https://ws.example/mcp\"}}}",
    ),
];

fn with_clients() -> Home {
    let home = Home::new();
    for (file, text) in FILES {
        home.write(file, text);
    }
    home
}

fn mode(home: &Home, file: &str) -> u32 {
    fs::metadata(home.path(file)).unwrap().permissions().mode() & 0o777
}

fn set_mode(home: &Home, file: &str, mode: u32) {
    fs::set_permissions(home.path(file), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_dry_run_changes_nothing_at_all() {
    let home = with_clients();
    let before = home.files();
    for args in [&["import", "--dry-run"][..], &["client", "setup", "--dry-run"], &["client", "ls"]] {
        let run = home.cella(args);
        assert_eq!(run.status, 0, "{run:?}");
        assert_eq!(home.files(), before, "{args:?}");
    }
}

#[test]
fn import_takes_over_every_clients_servers_and_no_secret_stays_readable() {
    let home = with_clients();
    let before = home.files();
    let run = home.cella(&["import", "--yes", "--no-install", "--json"]);
    assert_eq!(run.status, 0, "{run:?}");
    let added = run.json()["added"].as_array().unwrap().len();
    assert_eq!(added, 11, "{run:?}");
    let config = home.read(".config/cella/cella.toml");
    for wanted in [
        "KEY = \"${PPLX_KEY}\"",
        "Authorization = \"Bearer ${FIGMA_TOKEN}\"",
        "BRAVE_KEY = \"env:BRAVE_KEY\"",
        "T = \"${T:-}\"",
        "transport = \"sse\"",
        "enabled = false",
        "args = [\"-y\", \"brave search\"]",
    ] {
        assert!(config.contains(wanted), "no {wanted} in {config}");
    }
    assert!(!config.contains("ghp_"), "{config}");
    assert!(config.contains("GITHUB_TOKEN = \"vault:github_GITHUB_TOKEN\""), "{config}");
    assert_eq!(run.json()["secrets"][0], "github_GITHUB_TOKEN");
    assert_eq!(mode(&home, ".local/state/cella/default/vault"), 0o600);
    assert_eq!(mode(&home, ".local/state/cella/default"), 0o700);
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    assert!(!run.err.contains(token) && !run.out.contains(token), "{run:?}");
    for (path, bytes) in home.files() {
        let theirs = before.iter().any(|(client, _)| *client == path);
        let shown = bytes.windows(token.len()).any(|w| w == token.as_bytes());
        assert!(theirs || !shown, "{}", path.display());
    }
    assert!(
        before.iter().all(|(path, bytes)| fs::read(path).unwrap() == *bytes),
        "a client's file was touched"
    );
    // Nothing is wrong with it; at most programs of those clients are missing on this machine.
    assert!(matches!(home.cella(&["config", "validate"]).status, 0 | 3));
    let again = home.cella(&["import", "--yes", "--no-install", "--json"]).json();
    assert_eq!((again["added"].as_array().unwrap().len(), again["written"].as_bool()), (0, Some(false)));
}

#[test]
fn setup_adds_our_entry_and_restore_gives_back_the_exact_bytes() {
    let home = with_clients();
    for (n, (file, _)) in FILES.iter().enumerate() {
        set_mode(&home, file, [0o600, 0o640, 0o644][n % 3]);
    }
    let before = home.files();
    let run = home.cella(&["client", "setup", "--yes", "--json"]);
    assert_eq!((run.status, run.json()["written"].as_array().unwrap().len()), (0, FILES.len()), "{run:?}");
    for (n, (file, text)) in FILES.iter().enumerate() {
        let after = home.read(file);
        assert!(after != *text && after.contains("cella"), "{file}");
        assert_eq!(mode(&home, file), [0o600, 0o640, 0o644][n % 3], "{file}");
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        assert!(after.matches('\n').count() == after.matches(end).count(), "{file}: line ends");
    }
    let listed = home.cella(&["client", "ls", "--json"]).json();
    let ours = listed["clients"].as_array().unwrap().iter().filter(|c| c["cella"] == true).count();
    assert_eq!(ours, FILES.len());
    let again = home.cella(&["client", "setup", "--yes", "--json"]).json();
    assert_eq!(again["changes"].as_array().unwrap().len(), 0, "the second time there is nothing to do");

    assert_eq!(home.cella(&["client", "restore", "--yes"]).status, 0);
    for (path, bytes) in before {
        assert_eq!(fs::read(&path).unwrap(), bytes, "{}", path.display());
    }
}

#[test]
fn what_the_user_writes_after_the_setup_survives_the_restore() {
    let home = with_clients();
    home.cella(&["client", "setup", "cursor", "codex", "--yes"]);
    let edited = home.read(".cursor/mcp.json").replace("docs.example", "other.example");
    home.write(".cursor/mcp.json", &edited);
    // And once more with another entry: what lies between the two setups must survive too.
    let other = home.write("other.toml", "");
    home.cella(&["client", "setup", "cursor", "--yes", "--config", other.to_str().unwrap()]);
    let run = home.cella(&["client", "restore", "--yes"]);
    assert_eq!(run.status, 0, "{run:?}");
    let now = home.read(".cursor/mcp.json");
    assert!(now.contains("other.example") && !now.contains("cella"), "{now}");
    assert_eq!(home.read(".codex/config.toml"), FILES[4].1);
    let nothing = home.cella(&["client", "restore", "cursor"]);
    assert_eq!((nothing.status, nothing.code()), (2, "CE6013"));
}

#[test]
fn setup_takes_out_what_cella_serves_and_restore_gives_back_the_exact_bytes() {
    let home = with_clients();
    let before = home.files();
    assert_eq!(home.cella(&["import", "--yes", "--no-install"]).status, 0);
    let run = home.cella(&["client", "setup", "--yes"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.err.contains("goes: github: Cella serves it") && !run.err.contains("stays:"), "{run:?}");
    assert!(!run.err.contains("ghp_"), "a secret is on the screen: {run:?}");
    let listed = home.cella(&["client", "ls", "--json"]).json();
    for client in listed["clients"].as_array().unwrap() {
        assert_eq!((&client["servers"], &client["cella"]), (&"0".into(), &true.into()), "{client}");
    }
    assert!(!home.read(".claude.json").contains("ghp_"));
    for (file, kept) in [
        (".claude.json", "\"big\": 12345678901234567890123, \"float\": 1.0, \"text\": \"Gr\\u00fc\u{df}e\","),
        (
            ".config/Code/User/mcp.json",
            "// asked for once\n  \"inputs\": [{ \"type\": \"promptString\", \"id\": \"pplx-key\" }],",
        ),
        (".codex/config.toml", "# mine\nmodel = \"gpt\"   # why\n"),
        (".codex/config.toml", "\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n"),
        (".config/goose/config.yaml", "  developer:\n    enabled: true # yes\n    type: builtin\n"),
    ] {
        assert!(home.read(file).contains(kept), "{file}: {}", home.read(file));
    }
    let after = home.files();
    let again = home.cella(&["client", "setup", "--yes", "--json"]).json();
    assert_eq!(again["changes"].as_array().unwrap().len(), 0, "{again}");
    assert_eq!(home.files(), after, "the second run changes nothing");

    assert_eq!(home.cella(&["client", "restore", "--yes"]).status, 0);
    for (path, bytes) in before {
        assert_eq!(fs::read(&path).unwrap(), bytes, "{}", path.display());
    }
}

#[test]
fn what_cella_does_not_serve_stays_and_is_named() {
    let home = Home::new();
    home.write(
        ".config/cella/cella.toml",
        "[servers.files]\ncommand = \"npx\"\nargs = [\"-y\", \"files\", \"/a\"]\n\n[servers.docs]\nurl = \"https://docs.example/mcp\"\n\n[servers.off]\ncommand = \"off\"\nenabled = false\n",
    );
    home.write(
        ".cursor/mcp.json",
        "{\n  \"mcpServers\": {\n    // another directory\n    \"files\": { \"command\": \"npx\", \"args\": [\"-y\", \"files\", \"/b\"] },\n    \"docs\": { \"url\": \"https://docs.example/mcp\" },\n    \"papers\": { \"url\": \"https://docs.example/mcp\" },\n    \"off\": { \"command\": \"off\" }\n  }\n}\n",
    );
    home.write(
        ".codex/config.toml",
        "# mine\n\n[mcp_servers.docs] # it\nurl = \"https://docs.example/mcp\"\n\n# kept\n[mcp_servers.files]\nurl = \"https://files.example/mcp\"\n",
    );
    home.write(
        ".claude.json",
        "{\"projects\":{\"/p\":{\"mcpServers\":{\"files\":{\"command\":\"npx\",\"args\":[\"-y\",\"files\",\"/a\"]}},\"n\":1}}}\n",
    );
    let before = home.files();
    let run = home.cella(&["client", "setup", "--yes"]);
    assert_eq!(run.status, 0, "{run:?}");
    for said in [
        "stays: files: Cella does not serve it; cella import takes it over",
        "stays: papers: Cella serves the same as `docs`",
        "stays: off: `off` is switched off in cella.toml",
        "goes: docs",
    ] {
        assert!(run.err.contains(said), "no {said}: {run:?}");
    }
    let cursor = home.read(".cursor/mcp.json");
    assert!(
        cursor.contains("// another directory\n    \"files\": {") && cursor.contains("\"papers\""),
        "{cursor}"
    );
    assert!(cursor.contains("\"off\"") && !cursor.contains("\"docs\""), "{cursor}");
    let codex = home.read(".codex/config.toml");
    assert!(codex.starts_with("# mine\n") && !codex.contains("servers.docs"), "{codex}");
    assert!(
        codex.contains("\n# kept\n[mcp_servers.files]\nurl = \"https://files.example/mcp\"\n"),
        "{codex}"
    );
    let code = home.read(".claude.json");
    assert!(!code.contains("npx") && code.contains("\"n\":1"), "a project's entry goes too: {code}");
    let again = home.cella(&["client", "setup", "--yes"]);
    assert!(again.err.contains("stays: files") && home.read(".cursor/mcp.json") == cursor, "{again:?}");
    assert_eq!(home.cella(&["client", "restore", "--yes"]).status, 0);
    assert!(before.iter().all(|(path, bytes)| fs::read(path).unwrap() == *bytes));
}

#[test]
fn a_projects_file_is_named_and_not_changed() {
    let home = Home::new();
    home.write(".config/cella/cella.toml", "[servers.docs]\nurl = \"https://docs.example/mcp\"\n");
    let shared = "{\"mcpServers\":{\"docs\":{\"url\":\"https://docs.example/mcp\"}}}\n";
    home.write("work/.mcp.json", shared);
    let mut command = home.command(&["client", "setup", "claude-code", "--yes"]);
    let run = Ended::of(command.current_dir(home.path("work")));
    assert!(run.status == 0 && run.err.contains("stays: docs: it is in "), "{run:?}");
    assert_eq!(home.read("work/.mcp.json"), shared);
}

#[test]
fn with_keep_every_entry_stays_and_is_named() {
    let home = with_clients();
    home.cella(&["import", "--yes", "--no-install"]);
    let run = home.cella(&["client", "setup", "opencode", "--keep", "--yes"]);
    let said = "the client's own entries stay and run outside any cell: everything, off";
    assert!(run.status == 0 && run.err.contains(said), "{run:?}");
    let kept = home.read(".config/opencode/opencode.json");
    assert!(["\"cella\"", "\"everything\"", "\"off\""].iter().all(|name| kept.contains(name)), "{kept}");
    // Without it they go at the next run, and one restore undoes both.
    home.cella(&["client", "setup", "opencode", "--yes"]);
    assert!(!home.read(".config/opencode/opencode.json").contains("everything"));
    home.cella(&["client", "restore", "--yes"]);
    assert_eq!(home.read(".config/opencode/opencode.json"), FILES[7].1);
}

#[test]
fn what_was_taken_out_comes_back_to_a_file_that_was_changed_since() {
    let home = with_clients();
    home.cella(&["import", "--yes", "--no-install"]);
    home.cella(&["client", "setup", "claude-code", "codex", "--yes"]);
    let edited = home.read(".claude.json").replace("\"numStartups\": 42", "\"numStartups\": 43");
    home.write(".claude.json", &edited);
    home.write(".codex/config.toml", &format!("{}# later\n", home.read(".codex/config.toml")));
    let run = home.cella(&["client", "restore", "--yes"]);
    assert!(run.status == 0 && run.err.contains("put back were github"), "{run:?}");
    let code: serde_json::Value = serde_json::from_str(&home.read(".claude.json")).unwrap();
    let was: serde_json::Value = serde_json::from_str(FILES[0].1).unwrap();
    assert_eq!((&code["mcpServers"], &code["numStartups"]), (&was["mcpServers"], &43.into()));
    let codex = home.read(".codex/config.toml");
    assert!(codex.contains("bearer_token_env_var = \"FIGMA_TOKEN\"") && codex.contains("# later"), "{codex}");
    assert!(!codex.contains("cella"), "{codex}");
}

#[test]
fn a_linked_file_stays_a_link_and_a_new_one_goes_again() {
    let home = Home::new();
    let real = home.write("dotfiles/cursor.json", "{}\n");
    fs::create_dir_all(home.path(".cursor")).unwrap();
    std::os::unix::fs::symlink(&real, home.path(".cursor/mcp.json")).unwrap();
    assert_eq!(home.cella(&["client", "setup", "cursor", "codex", "--yes"]).status, 0);
    assert!(fs::symlink_metadata(home.path(".cursor/mcp.json")).unwrap().is_symlink());
    assert!(home.read("dotfiles/cursor.json").contains("cella"));
    assert!(home.path(".codex/config.toml").exists());
    assert_eq!(home.cella(&["client", "restore", "--yes"]).status, 0);
    assert_eq!(home.read("dotfiles/cursor.json"), "{}\n");
    assert!(!home.path(".codex/config.toml").exists());
}

#[test]
fn a_broken_file_is_named_with_its_place_and_the_others_are_done() {
    let home = with_clients();
    let broken = "{\n  \"mcpServers\": {\n    \"a\": { \"command\": }\n  }\n}\n";
    home.write(".cursor/mcp.json", broken);
    home.write(".codex/config.toml", "model = \"x\nmore\n");
    home.write(".config/goose/config.yaml", "extensions:\n  a: [1\n");
    for args in [&["import", "--yes", "--no-install"][..], &["client", "setup", "--yes"]] {
        let run = home.cella(args);
        assert_eq!(run.status, 3, "{run:?}");
        for place in ["mcp.json", "line 3", "config.toml", "line 2, column 5", "config.yaml", "line 2"] {
            assert!(run.err.contains(place), "no {place}: {run:?}");
        }
    }
    assert_eq!(home.read(".cursor/mcp.json"), broken);
    assert!(home.read(".gemini/settings.json").contains("cella"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_not_replaced() {
    let home = Home::new();
    fs::create_dir_all(home.path(".cursor/mcp.json")).unwrap();
    let run = home.cella(&["client", "setup", "cursor", "--yes", "--json"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.json()["failed"][0]["error"].as_str().unwrap().contains("mcp.json"), "{run:?}");
    home.write(".gemini/settings.json", "");
    fs::write(home.path(".gemini/settings.json"), b"{ \"a\": \"\xff\" }").unwrap();
    let run = home.cella(&["client", "setup", "gemini", "--yes"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert_eq!(fs::read(home.path(".gemini/settings.json")).unwrap(), b"{ \"a\": \"\xff\" }");
}

#[test]
fn nobody_is_asked_without_a_terminal_and_nothing_is_changed() {
    let home = with_clients();
    let before = home.files();
    for args in [&["import"][..], &["client", "setup"]] {
        let run = home.cella(args);
        assert_eq!((run.status, run.code()), (2, "CE6009"), "{run:?}");
        assert_eq!(home.files(), before, "{args:?}");
    }
}

#[test]
fn a_url_with_token_is_written_only_when_asked_for_and_the_token_is_not_shown() {
    let home = Home::with_config();
    let node = home.up();
    let run = home.cella(&["client", "setup", "cursor", "--http", "--yes"]);
    assert_eq!(run.status, 0, "{run:?}");
    let token = fs::read_to_string(node.about["token_file"].as_str().unwrap()).unwrap();
    let written = home.read(".cursor/mcp.json");
    assert!(written.contains(&token) && written.contains(node.about["url"].as_str().unwrap()), "{written}");
    assert!(!run.err.contains(&token), "the token is on the screen: {run:?}");
    assert_eq!(mode(&home, ".cursor/mcp.json"), 0o600);
}

#[test]
fn a_list_of_changes_that_cannot_be_read_stops_the_setup() {
    let home = with_clients();
    home.cella(&["client", "setup", "cursor", "--yes"]);
    let list = home.files().into_iter().map(|(p, _)| p).find(|p| p.ends_with("changes.json")).unwrap();
    fs::write(&list, "[{").unwrap();
    let run: Ended = home.cella(&["client", "setup", "gemini", "--yes"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert_eq!(home.read(".gemini/settings.json"), FILES[5].1, "what cannot be undone is not done");
}

/// A client's file with two accounts of one service.
fn two_accounts(home: &Home) {
    home.write(
        ".cursor/mcp.json",
        r#"{"mcpServers":{
            "work": {"command":"npx","args":["-y","gh"],"env":{"GH_TOKEN":"ghp_workworkworkwork11"}},
            "home": {"command":"npx","args":["-y","gh"],"env":{"GH_TOKEN":"ghp_homehomehomehome22"}}}}"#,
    );
    home.write(
        ".codeium/windsurf/mcp_config.json",
        r#"{"mcpServers":{"work":{"command":"npx","args":["-y","gh"],"env":{"GH_TOKEN":"ghp_thirdthirdthird333"}}}}"#,
    );
}

#[test]
fn servers_that_differ_in_a_value_alone_are_all_kept_under_names_of_their_own() {
    let home = Home::new();
    two_accounts(&home);
    let run = home.cella(&["import", "--yes", "--no-install", "--json"]).json();
    assert_eq!(run["added"], serde_json::json!(["home", "work", "work-2"]), "{run}");
    assert!(run["notes"].to_string().contains("another server called work"), "{run}");
    let config = home.read(".config/cella/cella.toml");
    for secret in ["vault:work_GH_TOKEN", "vault:home_GH_TOKEN", "vault:work-2_GH_TOKEN"] {
        assert!(config.contains(secret), "no {secret} in {config}");
    }
    let again = home.cella(&["import", "--yes", "--no-install", "--json"]).json();
    assert_eq!(
        (again["added"].as_array().unwrap().len(), again["skipped"].as_array().unwrap().len()),
        (0, 3)
    );
}

#[test]
fn secrets_stay_where_they_are_when_that_is_wanted_and_are_not_shown() {
    let home = Home::new();
    two_accounts(&home);
    let run = home.cella(&["import", "--yes", "--no-install", "--keep-secrets"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(home.read(".config/cella/cella.toml").contains("ghp_workworkworkwork11"));
    assert!(!run.err.contains("ghp_"), "a secret is on the screen: {run:?}");
    assert!(!home.path(".local/state/cella/default/vault").exists());
}

#[test]
fn an_import_that_the_running_node_refuses_does_not_pass_for_done() {
    let home = Home::with_config();
    let node = home.up();
    home.write(".cursor/mcp.json", r#"{"mcpServers":{"docs":{"url":"https://docs.example/mcp"}}}"#);
    let config = home.read(".config/cella/cella.toml");
    // Valid to the eye of the reader, and nothing a node can use: the contract it names is not there.
    home.write(
        ".config/cella/cella.toml",
        &format!("{config}\n[servers.other]\ncommand = \"x\"\ncontract = \"nowhere.toml\"\n"),
    );
    let run = home.cella(&["import", "cursor", "--yes", "--no-install"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(
        run.err.contains("keeps the configuration it has") && run.err.contains("nowhere.toml"),
        "{run:?}"
    );
    let again = home.cella(&["import", "--file", ".cursor/mcp.json", "--yes", "--no-install", "--json"]);
    assert_eq!(again.status, 0, "nothing was left to add: {again:?}");
    assert_eq!(node.stop(), 0);
}

#[test]
fn one_entry_that_makes_no_configuration_is_left_out_and_named() {
    let home = Home::new();
    home.write(
        ".cursor/mcp.json",
        r#"{"mcpServers":{"bad":{"url":"ftp://h.example"},"good":{"url":"https://h.example/mcp"}}}"#,
    );
    let run = home.cella(&["import", "--yes", "--no-install", "--json"]);
    assert_eq!(run.status, 3, "{run:?}");
    let said = run.json();
    assert_eq!((&said["added"][0], &said["refused"][0]["server"]), (&"good".into(), &"bad (cursor)".into()));
    assert_eq!(home.cella(&["config", "validate"]).status, 0);
}
