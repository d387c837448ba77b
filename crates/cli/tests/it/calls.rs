//! `cella call`: answers of tools on stdout, everything that Cella itself says on stderr with a code.

use super::home::Home;

fn home() -> Home {
    let home = Home::with_config();
    let config = home.read(".config/cella/cella.toml");
    let more = "\n[servers.lost]\ncommand = \"no-such-program\"\n\n[servers.files]\ncommand = \"builtin:files\"\ncontract = \"no.toml\"\n";
    home.write(".config/cella/cella.toml", &format!("{config}{more}"));
    home.write(".config/cella/no.toml", "version = 1\n[tools.\"*\"]\nallow = false\n");
    home
}

#[test]
fn each_way_to_fail_has_its_exit_status_and_code() {
    let home = home();
    let _node = home.up();
    for (args, status, code) in [
        (["call", "nobody", "x"], 2, "CE6012"),
        (["call", "lost", "x"], 1, "CE2001"),
        (["call", "files", "list_roots"], 5, "CE1030"),
        (["call", "time", "no_such_tool"], 1, "CE6005"),
    ] {
        let run = home.cella(&args);
        assert_eq!((run.status, run.code()), (status, code), "{run:?}");
        assert!(run.out.is_empty() && run.err.contains("fix:"), "{run:?}");
    }
    let names = home.cella(&["tools", "nobody"]);
    assert!(names.err.contains("there are: files, lost, time"), "{names:?}");
}

#[test]
fn what_a_tool_reports_is_data() {
    let home = home();
    let run = home.cella(&["call", "time", "get_current_time", "{\"timezone\":\"Nowhere\"}"]);
    assert_eq!((run.status, run.code()), (1, ""), "{run:?}");
    assert!(run.out.contains("Nowhere"));
}

#[test]
fn the_node_says_how_its_servers_are() {
    let home = home();
    let _node = home.up();
    assert_eq!(home.cella(&["status"]).status, 0);
    let listed = home.cella(&["tools"]);
    assert_eq!(listed.status, 3, "{listed:?}");
    assert!(listed.err.contains("lost is missing"), "{listed:?}");
    let status = home.cella(&["status"]);
    assert!(
        status.status == 3 && status.err.contains("[CE2001]") && status.out.contains("well"),
        "{status:?}"
    );
}
