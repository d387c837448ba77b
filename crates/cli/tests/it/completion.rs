//! Tab, in a real bash.

use std::process::Command;

use super::home::{Ended, Home};

/// Loads the script, plays the words as if the last one was being typed, and prints what bash would offer.
const TAB: &str = r#"
cella() { "$PROGRAM" "$@"; }
eval "$(cella completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
_clap_complete_cella cella "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let cella = home.command(&[]);
    let mut bash = Command::new("bash");
    bash.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", home.path(""));
    bash.env("PROGRAM", cella.get_program()).current_dir(home.path(""));
    bash.args(["--norc", "-c", TAB, "bash", "cella"]).args(words);
    let run = Ended::of(&mut bash);
    assert!(run.err.is_empty(), "{run:?}");
    run.out.lines().map(|word| word.trim().to_owned()).collect()
}

#[test]
fn tab_completes_verbs_servers_tools_clients_and_codes() {
    let home = Home::with_config();
    let node = home.up();
    assert_eq!(home.cella(&["tools", "time"]).status, 0);
    node.stop();
    assert!(offered(&home, &["st"]).contains(&"status".to_owned()));
    assert!(offered(&home, &["call", ""]).contains(&"time".to_owned()));
    assert_eq!(offered(&home, &["call", "time", "get"]), ["get_current_time"]);
    assert_eq!(offered(&home, &["rm", "t"]), ["time"]);
    assert_eq!(offered(&home, &["client", "setup", "cu"]), ["cursor"]);
    assert_eq!(offered(&home, &["explain", "CE2104"]), ["CE2104"]);
    assert_eq!(offered(&home, &["shell", "t"]), ["time"]);
    assert_eq!(offered(&home, &["exec", "--contract", "unt"]), ["untrusted"]);
    home.write("job.toml", "");
    assert_eq!(offered(&home, &["contract", "show", "t"]), ["time", "trusted"]);
    assert_eq!(offered(&home, &["contract", "show", "jo"]), ["job.toml"]);
}

#[test]
fn tab_heeds_the_configuration_that_is_named() {
    let home = Home::with_config();
    home.write("other.toml", "[servers.elsewhere]\ncommand = \"builtin:files\"\n");
    assert_eq!(offered(&home, &["--config", "other.toml", "rm", "el"]), ["elsewhere"]);
    home.write("other.toml", "[servers");
    assert!(offered(&home, &["--config", "other.toml", "rm", "el"]).iter().all(|w| w != "elsewhere"));
}

#[test]
fn there_is_a_script_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = home.cella(&["completion", shell]);
        assert!(run.status == 0 && run.out.contains("CELLA_COMPLETE"), "{run:?}");
    }
}
