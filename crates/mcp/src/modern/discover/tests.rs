use super::*;
use crate::raw_json;

#[test]
fn facts_make_the_round() {
    let facts = ServerFacts {
        revisions: vec![Revision::V2025_11_25, Revision::V2026_07_28],
        capabilities: raw_json(r#"{"tools":{"listChanged":true},"vendor":{"x":1.0}}"#).unwrap(),
        info: Some(raw_json(r#"{"name":"c","version":"1"}"#).unwrap()),
        instructions: Some("line\nbreak".into()),
    };
    let result = discover_result(&facts, CacheHints::NONE);
    assert!(result.get().contains(r#""supportedVersions":["2026-07-28","2025-11-25"]"#), "newest first");
    assert_eq!(CacheHints::read(&result), Some(CacheHints::NONE));
    let read = read_discover(&result).unwrap();
    assert_eq!(read.revisions, facts.revisions);
    assert_eq!(read.capabilities.get(), facts.capabilities.get());
    assert_eq!(read.info.unwrap().get(), facts.info.unwrap().get());
    assert_eq!(read.instructions, facts.instructions);
}

#[test]
fn unknown_revisions_are_left_out_and_missing_members_named() {
    let read = |text: &str| read_discover(&raw_json(text).unwrap());
    let facts = read(r#"{"supportedVersions":["2099-01-01","2026-07-28","2026-07-28",5],"capabilities":{}}"#)
        .unwrap();
    assert_eq!(facts.revisions, [Revision::V2026_07_28]);
    assert_eq!(read(r#"{"capabilities":{}}"#).unwrap_err().member, "supportedVersions");
    assert_eq!(read(r#"{"supportedVersions":[]}"#).unwrap_err().member, "capabilities");
}
