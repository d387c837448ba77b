//! What a fork costs: `cargo xtask bench fork`. A gigabyte of files, of which the run changed one MiB, and one that it wrote itself.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{events, show, tape};
use crate::home::Home;

const SERVER: &str = include_str!("disk.py");
const FILES: usize = 1024;
const MIB: usize = 1 << 20;

const CONFIG: &str = r#"
[servers.disk]
command = "python3"
args = ["HERE/disk.py", "HERE/data"]
contract = "disk.toml"
isolation = "run"

[providers.tape]
wire = "cassette"
file = "tape.jsonl"
"#;

const CONTRACT: &str = r#"
[[files]]
path = "HERE/disk.py"
[[files]]
path = "HERE/data"
mode = "copy"
[tools.write]
effect = "idempotent"
"#;

#[test]
#[ignore = "writes gigabytes; cargo xtask bench fork"]
fn a_gigabyte_on_the_host_of_which_a_mebibyte_changed() {
    let home = home(FILES, 1);
    measure(&home, "1 GiB on the host, 1 MiB changed by the run");
}

#[test]
#[ignore = "writes gigabytes; cargo xtask bench fork"]
fn a_gigabyte_that_the_run_wrote() {
    let home = home(0, FILES);
    measure(&home, "1 GiB written by the run");
}

/// A run that writes so many files, in a directory that has so many.
fn home(on_host: usize, written: usize) -> Home {
    let home = Home::new();
    let here = home.path("").display().to_string();
    let here = here.trim_end_matches('/');
    fs::create_dir(home.path("data")).unwrap();
    for at in 0..on_host {
        fs::write(home.path(&format!("data/f{at}")), vec![u8::try_from(at % 251).unwrap(); MIB]).unwrap();
    }
    home.write("disk.py", SERVER);
    home.write("cella.toml", &CONFIG.replace("HERE", here));
    home.write("disk.toml", &CONTRACT.replace("HERE", here));
    home.write("agents/clerk.toml", "instructions = \"Write.\"\n[model]\nuse = \"tape/any\"\n");
    let write = |files: usize| ("disk__write", json!({ "files": files }));
    home.write(
        "tape.jsonl",
        &tape(&[("", &[write(written)]), ("written", &[]), ("", &[write(1)]), ("more", &[])]),
    );
    home
}

/// The fork as it is begun, and its first call with the start of its cell and its checkpoint.
#[expect(clippy::print_stdout, reason = "a bench says what it measured")]
fn measure(home: &Home, what: &str) {
    let began = Instant::now();
    let ran = home.cella(&["run", "clerk", "write"]);
    assert_eq!((ran.status, ran.out.trim()), (0, "written"), "{ran:?}");
    let of_run = began.elapsed();
    let run = show(home, "last")["run"].as_str().unwrap().to_owned();
    let node = home.up();
    let before = stored(home);
    let began = Instant::now();
    let fork = home.cella(&["fork", &run, "--say", "one more", "--detach"]);
    let begun = began.elapsed();
    assert_eq!(fork.status, 0, "{fork:?}");
    let fork = fork.out.trim().to_owned();
    // The first outcome of its own is the second of all.
    let until = Instant::now() + Duration::from_secs(300);
    while events(&show(home, &fork), "ended").len() < 2 {
        assert!(Instant::now() < until, "{}", show(home, &fork));
        std::thread::sleep(Duration::from_millis(5));
    }
    let whole = began.elapsed();
    assert_eq!(events(&show(home, &fork), "done").len(), 2, "{}", show(home, &fork));
    let after = stored(home);
    drop(node);
    let mib = |of: (u64, u64)| (of.0 / 1024, of.1 / 1024);
    let (kept, live) = (mib((after.0 - before.0, 0)).0, mib((after.1 - before.1, 0)).0);
    println!("{what}:");
    println!("  the run, with the checkpoint after its call     {:>8.2} s", of_run.as_secs_f64());
    println!("  the fork, until it is on record                 {:>8.2} s", begun.as_secs_f64());
    println!("  and until its first call has written 1 MiB more {:>8.2} s", whole.as_secs_f64());
    println!("  new in the store                                {kept:>8} KiB");
    println!("  in the fork's own layer, while its cell lives   {live:>8} KiB");
}

/// Bytes on the disk: of what is kept, and of layers in use.
fn stored(home: &Home) -> (u64, u64) {
    let nodes = home.path(".local/state/cella");
    let node = fs::read_dir(nodes).unwrap().next().unwrap().unwrap().path().join("workspaces");
    (bytes(&node.join("objects")) + bytes(&node.join("deltas")), bytes(&node.join("live")))
}

fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let of = |path: &Path| {
        let found = fs::symlink_metadata(path).map_or(0, |found| found.blocks() * 512);
        if path.is_dir() { bytes(path) } else { found }
    };
    entries.map(|entry| of(&entry.unwrap().path())).sum()
}
