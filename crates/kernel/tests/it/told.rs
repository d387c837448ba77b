//! Facts through the ledger's own form and back.

use cella_event::{Event, Hash, Micros, PayloadRef, Seq};
use cella_kernel::{Decoder, Fact, What, encode};

use crate::{
    simulator,
    world::{fact, run},
};

/// What a ledger would keep of a fact.
fn kept(fact: &Fact) -> Option<(Event, Vec<(&'static str, String)>)> {
    let recorded = encode(&run(), &fact.what)?;
    let names: Vec<&str> = recorded.payloads.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted(), "payloads stand in the order of their names: {names:?}");
    let reference = |(name, text): &(&'static str, String)| PayloadRef {
        name: cella_event::Key::literal(name),
        digest: Hash::ZERO,
        bytes: text.len() as u64,
        kept: cella_event::Kept::Full,
    };
    let references: Vec<PayloadRef> = recorded.payloads.iter().map(reference).collect();
    let encoded = recorded.draft.encode(&references).expect("it fits");
    let sealed = encoded.seal(fact.seq, fact.time, &Hash::ZERO);
    Some((Event::decode(&sealed).expect("canonical"), recorded.payloads))
}

#[test]
fn what_a_run_puts_on_record_is_read_as_it_was() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..50 {
        for fact in simulator::facts(seed) {
            let Some((event, payloads)) = kept(&fact) else {
                assert!(matches!(
                    fact.what,
                    What::Intended(_) | What::Done { .. } | What::Failed { .. } | What::Refused { .. }
                ));
                continue;
            };
            kinds.insert(event.kind.to_string());
            let payload = |name: &str| {
                payloads.iter().find(|(n, _)| *n == name).map(|(_, text)| text.clone().into_bytes())
            };
            assert_eq!(Decoder::default().decode(&event, payload).expect("readable"), Some(fact));
        }
    }
    assert!(kinds.len() >= 10, "{kinds:?}");
}

#[test]
fn a_payload_that_is_gone_is_named() {
    let fact = Fact {
        seq: Seq(1),
        time: Micros(1),
        what: fact(1, crate::world::started(crate::world::agent())).what,
    };
    let (event, _) = kept(&fact).expect("an event");
    let unreadable = Decoder::default().decode(&event, |_| None).expect_err("nothing is there");
    assert_eq!(
        unreadable.to_string(),
        "event 1 (run.started): its payload agent is not in the ledger any more"
    );
}
