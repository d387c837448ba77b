use super::*;
use crate::raw_json;

#[test]
fn the_requested_revision_is_given_if_it_is_of_this_era() {
    for known in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        assert_eq!(negotiate(known).as_str(), known);
    }
    for other in ["2026-07-28", "2099-01-01", "", "2025-11-25 "] {
        assert_eq!(negotiate(other), Revision::V2025_11_25, "{other}");
    }
}

#[test]
fn initialize_is_read_even_when_it_says_little() {
    let full =
        raw_json(r#"{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c"}}"#)
            .unwrap();
    let read = read_initialize(Some(&full)).unwrap();
    assert_eq!((&*read.requested, read.revision), ("2025-06-18", Revision::V2025_06_18));
    assert_eq!(
        (read.capabilities.get(), read.client_info.unwrap().get()),
        (r#"{"roots":{}}"#, r#"{"name":"c"}"#)
    );
    let bare = read_initialize(Some(&raw_json(r#"{"protocolVersion":"x"}"#).unwrap())).unwrap();
    assert_eq!((bare.capabilities.get(), bare.client_info.is_none()), ("{}", true));
    assert_eq!(read_initialize(None).unwrap_err().code, -32602);
}

#[test]
fn the_answer_makes_the_round_and_names_a_server() {
    let facts = ServerFacts {
        revisions: Revision::ALL.to_vec(),
        capabilities: raw_json(r#"{"tools":{}}"#).unwrap(),
        info: None,
        instructions: Some("i".into()),
    };
    let result = initialize_result(&facts, Revision::V2025_03_26);
    let read = read_initialize_result(&result).unwrap();
    assert_eq!(read.revisions, [Revision::V2025_03_26]);
    assert_eq!(read.instructions.as_deref(), Some("i"));
    assert!(read.info.unwrap().get().contains("\"name\":\"unknown\""), "serverInfo is mandatory");
}

#[test]
fn a_server_that_chose_a_foreign_revision_is_not_understood() {
    for version in ["2099-01-01", "2026-07-28"] {
        let result = raw_json(format!(r#"{{"protocolVersion":"{version}","capabilities":{{}}}}"#)).unwrap();
        assert_eq!(read_initialize_result(&result).unwrap_err().member, "a known protocolVersion");
    }
    let params = initialize_request(
        Revision::V2025_11_25,
        &raw_json("{}").unwrap(),
        &raw_json("{\"name\":\"c\"}").unwrap(),
    );
    assert_eq!(
        params.get(),
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c"}}"#
    );
}

#[test]
fn revisions_know_their_features() {
    let with = |has: fn(Revision) -> bool| -> Vec<&str> {
        Revision::ALL.into_iter().filter(|r| has(*r)).map(Revision::as_str).collect()
    };
    assert_eq!(with(Revision::has_batches), ["2025-03-26"]);
    assert_eq!(with(Revision::has_version_header), ["2025-06-18", "2025-11-25", "2026-07-28"]);
    assert_eq!(with(Revision::primes_streams), ["2025-11-25"]);
    assert_eq!(with(|r| crate::legacy::knows(r, "ping")).len(), 4);
    assert_eq!(with(|r| crate::legacy::knows(r, "tasks/get")), ["2025-11-25"]);
    assert_eq!(
        with(|r| crate::legacy::knows_from_server(r, "elicitation/create")),
        ["2025-06-18", "2025-11-25"]
    );
}
