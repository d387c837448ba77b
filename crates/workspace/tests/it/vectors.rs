//! The frozen vectors of `spec/workspace-v1`. They are written by `CELLA_BLESS=1 cargo test -p cella-workspace`, before the
//! freeze only.

use std::{env, fs, path::PathBuf};

use cella_workspace::{After, Area, Change, Delta, Digest, Fault, LeftOut, Raw, RelPath, Seen};
use serde_json::{Value, json};

fn change(path: &[u8], base: Seen, after: After) -> Change {
    Change { after, base, path: RelPath::new(path).unwrap() }
}

fn file(text: &str) -> (u32, Digest, u64) {
    (0o644, Digest::of(text.as_bytes()), text.len() as u64)
}

/// A delta that meets every rule of the format.
fn every_rule() -> Delta {
    let (mode, sha256, size) = file("before\n");
    let was = Seen::File { mode, sha256, size };
    let (mode, sha256, size) = file("after\n");
    let is = After::File { mode, sha256, size };
    let raw = |text: &[u8]| Raw::new(text).unwrap();
    let directory = |opaque| After::Directory { mode: 0o755, opaque };
    let changes = vec![
        change(b"dir/z", was.clone(), After::Removed),
        change(b"dir", Seen::Directory { mode: 0o700 }, directory(true)),
        change(b"dir.d", Seen::Absent, directory(false)),
        change(b"changed", was, is.clone()),
        change(b"link", Seen::Link { target: raw(b"old") }, After::Link { target: raw(b"/etc/passwd") }),
        change(b"meanwhile", Seen::Changed, is.clone()),
        change(b"tree", Seen::Tree { entries: 3, sha256: Digest::of(b"listing") }, is.clone()),
        change(b"odd %\xff\n\xc3\xa9", Seen::Other, is),
    ];
    let left_out = vec![LeftOut { path: raw(b"pipe"), what: "a named pipe".into() }];
    let empty = Area { changes: Vec::new(), left_out: Vec::new(), path: raw(b"/srv/b") };
    Delta::new(vec![empty, Area { changes, left_out, path: raw(b"/srv/a") }], Some(Digest::of(b"parent")))
}

fn made() -> Value {
    let entry = |name: &str, delta: &Delta| json!({ "name": name, "canonical": delta.canonical(), "digest": delta.digest().to_string() });
    json!({ "deltas": [entry("nothing", &Delta::new(Vec::new(), None)), entry("every rule", &every_rule())] })
}

#[test]
fn the_manifest_is_written_and_read_as_it_is_frozen() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/workspace-v1/vectors.json");
    if env::var_os("CELLA_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, serde_json::to_string_pretty(&made()).unwrap() + "\n").unwrap();
    }
    let stored: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(stored, made());
    for vector in stored["deltas"].as_array().unwrap() {
        let delta = Delta::parse(vector["canonical"].as_str().unwrap()).unwrap();
        assert_eq!(delta.digest().to_string(), vector["digest"].as_str().unwrap());
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let text = every_rule().canonical();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Delta::parse(&text.replacen(from, to, 1)).unwrap_err()
    };
    assert!(matches!(refused("\"version\":1", "\"version\":2"), Fault::Version(2)));
    assert!(matches!(refused("\"version\":1", "\"version\": 1"), Fault::Form));
    assert!(matches!(refused("\"path\":\"/srv/a\"", "\"path\":\"srv/a\""), Fault::Relative(_)));
    assert!(matches!(refused("\"path\":\"changed\"", "\"path\":\"dir\""), Fault::Order(_)));
    assert!(matches!(refused("\"kind\":\"removed\"", "\"kind\":\"removed\",\"more\":1"), Fault::Form));
    for (from, to) in [
        ("\"path\":\"changed\"", "\"path\":\"../changed\""),
        ("\"path\":\"changed\"", "\"path\":\"/changed\""),
        ("%FF", "%ff"),
        ("\"kind\":\"removed\"", "\"kind\":\"moved\""),
        ("\"parent\":", "\"parents\":"),
    ] {
        assert!(matches!(refused(from, to), Fault::Shape(_)), "{from} -> {to}");
    }
}
