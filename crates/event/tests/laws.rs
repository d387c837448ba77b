//! Laws of the encoding that hold for every event, not only for the vectors.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use cella_event::{
    CallId, Draft, Event, Hash, Int, Kept, Key, Kind, Label, Map, Micros, PayloadRef, Refusal, RunId, Seq,
    Value, Verifier, event_hash, payload_digest,
};
use proptest::{collection::vec, option, prelude::*};

fn key() -> impl Strategy<Value = Key> {
    "[ -!#-\\[\\]-~]{1,12}".prop_map(|text| Key::new(text).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(|n| Value::from(Int::new(n >> 10).unwrap())),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec((key(), inner), 0..4).prop_map(|fields| Value::Map(map(fields))),
        ]
    })
}

fn map(fields: Vec<(Key, Value)>) -> Map {
    fields.into_iter().fold(Map::new(), |mut map, (key, value)| {
        map.insert(key, value);
        map
    })
}

prop_compose! {
    fn draft()(
        kind in prop_oneof![Just("call.intended"), Just("node.started"), Just("x_1.y")],
        run in option::of("[a-zA-Z0-9_.:-]{1,64}"),
        call in option::of("[a-zA-Z0-9_.:-]{1,64}"),
        principal in option::of(".{1,40}"),
        tool in option::of("\\PC{1,40}"),
        body in vec((key(), value()), 0..5),
    ) -> Draft {
        let mut draft = Draft::new(Kind::parse(kind).unwrap()).body(map(body));
        draft.run = run.map(|t| RunId::new(t).unwrap());
        draft.call = call.map(|t| CallId::new(t).unwrap());
        draft.principal = principal.map(|t| Label::clipped(&t));
        draft.tool = tool.map(|t| Label::clipped(&t));
        draft
    }
}

fn sealed(draft: &Draft, payload: &[u8]) -> Vec<u8> {
    let reference = PayloadRef {
        name: Key::literal("arguments"),
        digest: payload_digest(&[9; 16], payload),
        bytes: payload.len() as u64,
        kept: Kept::Full,
    };
    draft.encode([&reference]).unwrap().seal(Seq(1), Micros(77), &Hash::ZERO)
}

proptest! {
    #[test]
    fn what_is_written_reads_back_alike(draft in draft(), payload: Vec<u8>) {
        let bytes = sealed(&draft, &payload);
        let Event { kind, run, call, parent, principal, server, tool, body, payloads, .. } =
            Event::decode(&bytes).unwrap();
        prop_assert_eq!(&draft, &Draft { kind, run, call, parent, principal, server, tool, body });
        prop_assert!(payloads[0].check(Seq(1), &[9; 16], &payload).is_ok());
    }

    #[test]
    fn another_json_implementation_finds_the_same_canonical_form(draft in draft()) {
        let bytes = sealed(&draft, b"");
        // serde_json's maps are sorted by bytes, its writer has no spaces and RFC 8785's escapes.
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(serde_json::to_vec(&value).unwrap(), bytes);
    }

    #[test]
    fn a_changed_byte_is_refused_or_changes_the_hash(draft in draft(), at: prop::sample::Index, to: u8) {
        let bytes = sealed(&draft, b"");
        let mut changed = bytes.clone();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != to);
        changed[at] = to;
        match Verifier::genesis().check(&changed) {
            Ok(link) => prop_assert_ne!(link.hash, event_hash(&bytes)),
            Err(Refusal::NotAnEvent { .. } | Refusal::Gap { .. } | Refusal::BrokenChain { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn hostile_bytes_are_refused_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Event::decode(&bytes).is_err());
    }

    #[test]
    fn a_spliced_event_is_refused_or_another_event(
        draft in draft(), from: prop::sample::Index, length in 0usize..20, to: prop::sample::Index,
    ) {
        let bytes = sealed(&draft, b"");
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let slice = &bytes[from..(from + length).min(bytes.len())];
        let spliced = [&bytes[..to], slice, &bytes[to..]].concat();
        if let Ok(event) = Event::decode(&spliced) {
            prop_assert!(slice.is_empty() || event != Event::decode(&bytes).unwrap());
        }
    }
}

#[test]
fn a_refused_event_leaves_the_verifier_where_it_stood() {
    let draft = Draft::new(Kind::NodeStarted);
    let first = sealed(&draft, b"");
    let mut verifier = Verifier::genesis();
    let gap = draft.encode([]).unwrap().seal(Seq(2), Micros(1), &Hash::ZERO);
    assert!(matches!(verifier.check(&gap), Err(Refusal::Gap { expected: Seq(1), got: Seq(2) })));
    verifier.check(&first).unwrap();
    assert!(matches!(verifier.check(&first), Err(Refusal::Gap { expected: Seq(2), got: Seq(1) })));
}

#[test]
fn a_payload_of_other_bytes_or_length_is_named() {
    let event = Event::decode(&sealed(&Draft::new(Kind::CallIntended), b"{\"id\":7}")).unwrap();
    let reference = event.payload("arguments").unwrap();
    assert!(matches!(
        reference.check(Seq(1), &[9; 16], b"{\"id\":8}"),
        Err(Refusal::PayloadDigest { seq: Seq(1), .. })
    ));
    assert!(matches!(
        reference.check(Seq(1), &[9; 16], b"{}"),
        Err(Refusal::PayloadLength { expected: 8, got: 2, .. })
    ));
}

#[test]
fn an_event_past_the_size_limit_has_no_encoding() {
    let draft = Draft::new(Kind::NodeStarted).body(Map::new().with("text", "x".repeat(70_000)));
    assert!(draft.encode([]).is_err());
}

#[test]
fn a_long_name_of_a_peer_is_cut_at_a_character_and_marked() {
    let label = Label::clipped(&"ü".repeat(200));
    assert!(label.as_str().len() <= 256 && label.as_str().ends_with("ü…"));
    assert_eq!(Label::clipped("").as_str(), "…");
}
