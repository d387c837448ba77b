//! Wrong files, and what is said about them; random files, and that nothing breaks.

use cella_contract::{
    Config, Contract, Diagnostics, NewServer, Pairs, Run, add_server, remove_server, set_value,
};
use proptest::prelude::*;

/// A wrong configuration, the code, the line and a part of the remedy.
const CONFIGS: &[(&str, &str, usize, &str)] = &[
    ("[server.x]\ncommand = \"a\"", "CE1003", 1, "did you mean `servers`"),
    ("[servers.x]\ncomand = \"a\"", "CE1003", 2, "did you mean `command`"),
    ("[servers.x]\ncommand = \"a\"\narg = []", "CE1003", 3, "did you mean `args`"),
    ("[servers.x]\ncommand = \"a\"\nenvironment = {}", "CE1003", 3, "a server may have"),
    ("[servers.x]\ncommand = \"a\"\nzzz = 1", "CE1003", 3, "a server may have"),
    ("[servers.x]\ncommand = 7", "CE1004", 2, "write a string"),
    ("[servers.x]\ncommand = [\"a\"]", "CE1004", 2, "write a string"),
    ("[servers.x]\ncommand = \"\"", "CE1004", 2, "name or path"),
    ("[servers.x]\ncommand = \"a\"\nargs = \"b\"", "CE1004", 3, "list of strings"),
    ("[servers.x]\ncommand = \"a\"\nargs = [1]", "CE1004", 3, "write a string"),
    ("[servers.x]\ncommand = \"a\"\nenv = { A = 1 }", "CE1004", 3, "write a string"),
    ("[servers.x]\ncommand = \"a\"\nenv = \"A=1\"", "CE1004", 3, "table of strings"),
    ("[servers.x]\ncommand = \"a\"\nurl = \"http://x\"", "CE1006", 3, "keep `command`"),
    ("[servers.x]\nargs = []", "CE1007", 1, "command ="),
    ("[servers.x]\nurl = \"x.example/mcp\"", "CE1004", 2, "https://"),
    ("[servers.x]\nurl = \"http://x\"\nargs = []", "CE1006", 3, "take `args` out"),
    ("[servers.x]\nurl = \"http://x\"\nenv = {}", "CE1006", 3, "take `env` out"),
    ("[servers.x]\nurl = \"http://x\"\ncwd = \"/\"", "CE1006", 3, "take `cwd` out"),
    ("[servers.x]\ncommand = \"a\"\nheaders = {}", "CE1006", 3, "take `headers` out"),
    ("[servers.x]\nurl = \"http://x\"\ntransport = \"stdio\"", "CE1008", 3, "leave `transport` out"),
    ("[servers.x]\ncommand = \"a\"\ntransport = \"http\"", "CE1008", 3, "leave `transport` out"),
    ("[servers.x]\ncommand = \"a\"\nport = 70000", "CE1004", 3, "1 to 65535"),
    ("[servers.x]\ncommand = \"a\"\nport = 80\npath = \"mcp\"", "CE1004", 4, "/mcp"),
    ("[servers.x]\ncommand = \"a\"\npath = \"/mcp\"", "CE1006", 3, "take `path` out"),
    ("[servers.x]\ncommand = \"a\"\nport = 80\ntransport = \"stdio\"", "CE1008", 4, "leave `transport` out"),
    ("[servers.x]\nurl = \"http://x\"\nport = 80", "CE1006", 3, "take `port` out"),
    ("[servers.x]\ncommand = \"a\"\ntransport = \"tcp\"", "CE1004", 3, "\"stdio\", \"http\", \"sse\""),
    ("[servers.x]\ncommand = \"a\"\nisolation = \"user\"", "CE1004", 3, "\"shared\""),
    ("[servers.x]\ncommand = \"a\"\nstart = true", "CE1004", 3, "\"lazy\""),
    ("[servers.x]\ncommand = \"a\"\nidle_stop = 30", "CE1004", 3, "30s"),
    ("[servers.x]\ncommand = \"a\"\nidle_stop = \"soon\"", "CE1004", 3, "30s"),
    ("[servers.x]\ncommand = \"a\"\ninstances = 0", "CE1004", 3, "from 1"),
    ("[servers.x]\ncommand = \"a\"\ninstances = -1", "CE1004", 3, "from 1"),
    ("[servers.x]\ncommand = \"a\"\nwarm = 1", "CE1004", 3, "true or false"),
    ("[servers.x]\nurl = \"http://x\"\nwarm = true", "CE1006", 3, "take `warm` out"),
    ("[servers.x]\ncommand = \"a\"\nenabled = \"yes\"", "CE1004", 3, "true or false"),
    ("[servers.x]\ncommand = \"a\"\nenv = { K = \"vault:k k\" }", "CE1010", 3, "vault:NAME"),
    ("[servers.\"a b\"]\ncommand = \"a\"", "CE1005", 1, "letters"),
    ("[servers.a__b]\ncommand = \"a\"", "CE1005", 1, "single"),
    ("[servers.abcdefghijklmnopqrstuvwxyz0123456789]\ncommand = \"a\"", "CE1005", 1, "32"),
    ("servers = 3", "CE1004", 1, "a table"),
    ("[servers]\nx = \"a\"", "CE1004", 2, "a table"),
    ("[views.v]\nservers = [\"x\"]", "CE1009", 2, "servers are"),
    ("[views.v]\nallowed = [\"x\"]", "CE1003", 2, "did you mean `allow`"),
    ("[node]\nlisten = 7878", "CE1004", 2, "a string"),
    ("[node]\nport = 7878", "CE1003", 2, "may have"),
    ("[ledger]\ncapture = \"all\"", "CE1004", 2, "\"full\""),
    ("[ledger]\npaht = \"x\"", "CE1003", 2, "did you mean `path`"),
    ("[install]\negress = [\"files.example\"]", "CE1021", 2, "443"),
    ("[install]\negress = \"files.example:443\"", "CE1004", 2, "list of strings"),
    ("[install]\nhosts = []", "CE1003", 2, "may have"),
    ("[servers.x]\ncommand = \"a\"\ncommand = \"b\"", "CE1002", 3, "keep one"),
    ("[servers.x]\ncommand = \"a", "CE1001", 2, "TOML"),
    ("[servers.x\ncommand = \"a\"", "CE1001", 1, "TOML"),
];

/// The same for contracts.
const CONTRACTS: &[(&str, &str, usize, &str)] = &[
    ("version = 2", "CE1020", 1, "version 1"),
    ("egres = []", "CE1003", 1, "did you mean `egress`"),
    ("egress = [\"example.com\"]", "CE1021", 1, "443"),
    ("egress = [\"https://example.com\"]", "CE1021", 1, "443"),
    ("egress = [\"example.com:99999\"]", "CE1021", 1, "65535"),
    ("[[files]]\nmode = \"read\"", "CE1022", 1, "path"),
    ("[[files]]\npath = \"/a/../b\"", "CE1023", 2, "the path"),
    ("[[files]]\npath = \"/a\"\nmode = \"rw\"", "CE1004", 3, "\"read\""),
    ("[files]\npath = \"/a\"", "CE1004", 1, "list of tables"),
    ("[limits]\nmemory = 64", "CE1004", 2, "64MiB"),
    ("[limits]\ntime = \"1 year\"", "CE1004", 2, "30s"),
    ("[limits]\nmemroy = \"1GiB\"", "CE1003", 2, "did you mean `memory`"),
    ("[tools.x]\neffect = \"safe\"", "CE1004", 2, "\"pure\""),
    ("[tools.x]\neffect = \"reversible\"", "CE1024", 2, "undo"),
    ("[tools.x]\nallow = \"no\"", "CE1004", 2, "true or false"),
    ("[tools.x]\nefect = \"read\"", "CE1003", 2, "did you mean `effect`"),
    ("[secrets.K]\nfrom = \"hunter2\"", "CE1025", 2, "env:K"),
    ("[secrets.K]\nfrom = \"vault:\"", "CE1025", 2, "vault:NAME"),
    ("[secrets.K]\nhosts = [\"https://a.example\"]", "CE2351", 2, "api.example.com"),
    ("[secrets.K]\nhosts = [\"a.example:443\"]", "CE2351", 2, "no port"),
    ("[secrets.K]\nmethods = [\"get\"]", "CE2351", 2, "GET"),
    ("[secrets.K]\npaths = [\"/a/../b\"]", "CE2352", 2, "`..`"),
    ("[secrets.K]\npaths = [\"a\"]", "CE2352", 2, "begin"),
    ("[secrets.K]\nin = [\"body\"]", "CE2353", 2, "json:FIELD.PATH"),
    ("[secrets.K]\nin = [\"header:Host\"]", "CE2353", 2, "another header"),
    ("[secrets.K]\nin = \"header\"", "CE1004", 2, "list of strings"),
    ("[secrets.K]\nformat = \"gph\"", "CE2354", 2, "ghp"),
    ("[secrets.K]\nformat = \"hex:4\"", "CE2354", 2, "random"),
    ("[secrets.K]\nin = [\"sigv4\"]", "CE2355", 1, "pair ="),
    ("[secrets.K]\npair = \"L\"", "CE2355", 2, "secret key"),
    ("[secrets.K]\nhosts = [\"a.example\"]", "CE2363", 2, "add \"a.example:443\""),
    ("egress = [\"a.example:443\"]\n[secrets.K]\nhosts = [\"*.b.example\"]", "CE2363", 3, "to `egress`"),
    ("[secrets.K]\nhosts = [\"10.0.0.5\"]", "CE2363", 2, "name of the host"),
    ("[secrets.K]\nhost = []", "CE1003", 2, "did you mean `hosts`"),
    ("preset = \"full\"", "CE1004", 1, "\"trusted\""),
    ("class = \"docker\"", "CE1004", 1, "\"process\""),
    ("class = \"vm\"\nvm = \"xen\"", "CE1004", 2, "\"gvisor\""),
    ("vm = \"gvisor\"", "CE1028", 1, "class = \"vm\""),
    ("class = \"process\"\nvm = \"auto\"", "CE1028", 2, "take `vm` out"),
];

fn check(text: &str, code: &str, line: usize, fix: &str, found: Option<&Diagnostics>) {
    let found = found.unwrap_or_else(|| panic!("accepted: {text}"));
    let ours = found.0.iter().find(|d| d.code == code && d.line == line);
    let ours = ours.unwrap_or_else(|| panic!("no {code} in line {line} for\n{text}\nbut\n{found}"));
    assert!(ours.fix.as_deref().unwrap_or_default().contains(fix), "{text}\n{ours}");
    assert!(ours.to_string().contains(&format!(":{line}:{}", ours.column)), "{ours}");
}

#[test]
fn every_wrong_configuration_is_refused_with_its_place_and_remedy() {
    for (text, code, line, fix) in CONFIGS {
        check(text, code, *line, fix, Config::parse("cella.toml", text).err().as_ref());
    }
}

#[test]
fn every_wrong_contract_is_refused_with_its_place_and_remedy() {
    for (text, code, line, fix) in CONTRACTS {
        check(text, code, *line, fix, Contract::parse("c.toml", text).err().as_ref());
    }
}

#[test]
fn all_errors_of_a_file_are_reported_at_once() {
    let text = "[servers.x]\ncomand = \"a\"\n[servers.y]\ncommand = 1\n[node]\nport = 1\n";
    assert!(Config::parse("cella.toml", text).expect_err("refused").0.len() >= 3);
}

#[test]
fn a_diagnostic_points_at_the_mistake() {
    let text = "[servers.x]\n  comand = \"a\"\n";
    let shown = Config::parse("cella.toml", text).expect_err("refused").to_string();
    assert!(
        shown.contains("cella.toml:2:3") && shown.contains("2 |   comand = \"a\"\n  |   ^^^^^^"),
        "{shown}"
    );
}

#[test]
fn a_secret_in_plain_text_is_a_warning_only() {
    let text = "[servers.x]\ncommand = \"a\"\nenv = { API_TOKEN = \"0123456789abcdef\" }\n";
    let (config, warnings) = Config::parse("cella.toml", text).expect("accepted");
    assert_eq!((config.servers.len(), warnings.0.len()), (1, 1));
    assert!(!warnings.0[0].message.contains("0123456789abcdef"));
}

#[test]
fn what_add_writes_is_what_the_parser_reads_and_rm_undoes_it() {
    let before = "# mine\n[servers.a]\ncommand = \"x\" # keep\n";
    let server = NewServer {
        name: "b".into(),
        command: Some("node".into()),
        args: vec!["--flag".into(), "it's".into()],
        env: vec![("K".into(), "env:K".into())],
        contract: Some("trusted".into()),
        remark: Some("imported".into()),
        ..NewServer::default()
    };
    let after = add_server(before, &server).expect("added");
    assert!(after.starts_with(before) && after.contains("# imported"), "{after}");
    let (config, _) = Config::parse("cella.toml", &after).expect("a configuration");
    let Run::Program(program) = &config.servers["b"].run else { panic!("a program") };
    assert_eq!((program.args.as_slice(), program.env.len()), (&server.args[..], 1));
    assert!(add_server(&after, &server).is_err());
    let undone = remove_server(&after, "b").expect("removed");
    assert_eq!(Config::parse("c", &undone).expect("read").0, Config::parse("c", before).expect("read").0);
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "[ -~\n\"\\[\\]=.]{0,200}") {
        let _either = Config::parse("c", &text);
        let _either = Contract::parse("c", &text);
    }

    #[test]
    fn any_server_is_read_as_it_was_written(
        name in "[a-z][a-z0-9-]{0,20}",
        command in "[ -~]{1,40}",
        args in proptest::collection::vec(any::<String>(), 0..5),
    ) {
        prop_assume!(!command.trim().is_empty());
        let server = NewServer { name: name.clone(), command: Some(command.clone()), args: args.clone(), ..NewServer::default() };
        let text = add_server("", &server).expect("added");
        let (config, _) = Config::parse("c", &text).expect("a configuration");
        let Run::Program(program) = &config.servers[&name].run else { panic!("a program") };
        prop_assert_eq!(&program.command, &command);
        prop_assert_eq!(&program.args, &args);
    }
}

/// The guide is read more often than the code: its examples must be accepted as they stand.
#[test]
fn the_examples_of_the_guide_are_valid() {
    let guide = include_str!("../../../docs/guide/configuration.md");
    let blocks: Vec<&str> =
        guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [config, contract] = blocks[..] else { panic!("one configuration and one contract") };
    let (config, warnings) = Config::parse("cella.toml", config).unwrap();
    assert!(warnings.0.is_empty(), "{warnings}");
    assert_eq!((config.servers.len(), config.views.len()), (3, 1));
    assert_eq!(Contract::parse("files.contract.toml", contract).unwrap().tools.len(), 3);
}

#[test]
fn a_value_is_exchanged_and_everything_around_it_stays() {
    let before = "# mine\n[servers.a] # why\ncommand = \"x\"\nenv = { A = \"1\", B =  'two' } # both\n\n[servers.b]\nurl = \"https://h\"\n\
        [servers.b.headers]\nAuthorization = \"Bearer x\" # theirs\n";
    let after = set_value(before, "a", Pairs::Env, "B", "vault:a_B").expect("set");
    assert_eq!(after, before.replace("'two'", "\"vault:a_B\""));
    let after = set_value(before, "b", Pairs::Headers, "Authorization", "vault:b").expect("set");
    assert_eq!(after, before.replace("\"Bearer x\"", "\"vault:b\""));
    assert!(set_value(before, "a", Pairs::Env, "C", "x").is_err());
    assert!(set_value(before, "c", Pairs::Env, "A", "x").is_err());
    assert!(set_value(before, "a", Pairs::Headers, "A", "x").is_err());
}

#[test]
fn a_reference_to_the_vault_is_taken_and_one_that_names_nothing_refused() {
    let config = |value: &str| {
        let text = format!("[servers.a]\ncommand = \"x\"\nenv = {{ A_TOKEN = \"{value}\" }}\n");
        Config::parse("cella.toml", &text)
    };
    let (_, warnings) = config("vault:github").expect("taken");
    assert!(warnings.0.is_empty(), "{warnings}");
    let refused = config("vault:git hub").expect_err("refused");
    assert_eq!(refused.0[0].code, "CE1010");
}
