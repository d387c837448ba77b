use std::net::{Ipv4Addr, Ipv6Addr};

use cella_contract::DomainName;
use proptest::prelude::{any, proptest};

use super::{Unreadable, answer};
use crate::{denial::Denial, names::Names, policy::Policy};

fn policy() -> Policy {
    let grants = ["api.example:443", "*.wild.example:80", "10.0.0.5:5432"];
    Policy::new(grants.iter().map(|grant| grant.parse().expect(grant)).collect())
}

fn query(labels: &[&[u8]], kind: u16) -> Vec<u8> {
    let mut out = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels {
        out.push(u8::try_from(label.len()).expect("short"));
        out.extend(*label);
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out
}

/// Code, number of answers, last bytes.
fn asked(message: &[u8], v6: bool) -> Result<(u8, u8, Vec<u8>), Unreadable> {
    let mut names = Names::new([], 4);
    let reply = answer(message, &policy(), &mut names, v6)?;
    assert_eq!(reply.bytes[..2], message[..2]);
    Ok((reply.bytes[3] & 0x0f, reply.bytes[7], reply.bytes))
}

#[test]
fn a_granted_name_has_an_address_of_the_cell() {
    let (code, answers, bytes) = asked(&query(&[b"ApI", b"example"], 1), true).expect("answered");
    assert_eq!((code, answers), (0, 1));
    assert!(bytes.ends_with(&Ipv4Addr::new(198, 18, 0, 2).octets()));
    assert!(bytes.windows(4).any(|w| w == b"\x03ApI"), "the question's letters are kept");
    let (code, answers, bytes) = asked(&query(&[b"api", b"example"], 28), true).expect("answered");
    assert_eq!((code, answers), (0, 1));
    assert!(bytes.ends_with(&Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1).octets()));
    assert!(
        asked(&query(&[b"a", b"b", b"wild", b"example"], 1), true).is_ok_and(|(c, n, _)| (c, n) == (0, 1))
    );
}

#[test]
fn other_records_of_a_granted_name_are_none() {
    for kind in [5, 12, 15, 16, 64, 65, 255, 12345] {
        let (code, answers, _) = asked(&query(&[b"api", b"example"], kind), true).expect("answered");
        assert_eq!((code, answers), (0, 0), "{kind}");
    }
    assert!(asked(&query(&[b"api", b"example"], 28), false).is_ok_and(|(c, n, _)| (c, n) == (0, 0)));
}

#[test]
fn every_other_name_does_not_exist() {
    let names: [&[&[u8]]; 8] = [
        &[b"evil", b"example"],
        &[b"wild", b"example"],
        &[b"c2VjcmV0", b"api", b"example"],
        &[b"api.example"],
        &[b"api\0", b"example"],
        &[b"5", b"0", b"0", b"10", b"in-addr", b"arpa"],
        &[b"_dns", b"api", b"example"],
        &[],
    ];
    for labels in names {
        for kind in [1, 16, 28] {
            let (code, answers, _) = asked(&query(labels, kind), true).expect("answered");
            assert_eq!((code, answers), (3, 0), "{labels:?}");
        }
    }
}

#[test]
fn a_refused_name_is_put_on_record() {
    let mut names = Names::new([], 1);
    let reply = answer(&query(&[b"evil", b"example"], 1), &policy(), &mut names, true).expect("answered");
    let evil = DomainName::parse("evil.example").expect("a name");
    assert_eq!(reply.denial, Some((Some(evil.clone()), Denial::Name { name: evil })));
}

#[test]
fn a_full_table_fails_and_says_so() {
    let granted = DomainName::parse("api.example").expect("a name");
    let mut names = Names::new([&granted], 1);
    let reply =
        answer(&query(&[b"x", b"wild", b"example"], 1), &policy(), &mut names, true).expect("answered");
    assert_eq!(reply.bytes[3] & 0x0f, 2);
    assert!(matches!(reply.denial, Some((_, Denial::Names { most: 1 }))));
    let reply = answer(&query(&[b"api", b"example"], 1), &policy(), &mut names, true).expect("answered");
    assert_eq!(reply.bytes[7], 1);
}

#[test]
fn edns_is_answered_and_its_unknown_versions_refused() {
    let mut message = query(&[b"api", b"example"], 1);
    message[11] = 1;
    message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let (code, answers, bytes) = asked(&message, true).expect("answered");
    assert_eq!((code, answers, bytes[11]), (0, 1, 1));
    let version = message.len() - 5;
    message[version] = 1;
    let (code, answers, bytes) = asked(&message, true).expect("answered");
    assert_eq!((code, answers, bytes[bytes.len() - 6]), (0, 0, 1));
}

#[test]
fn what_is_no_query_gets_no_answer() {
    let good = query(&[b"api", b"example"], 1);
    let with = |at: usize, byte: u8| {
        let mut message = good.clone();
        message[at] = byte;
        message
    };
    for (what, message) in [
        ("empty", vec![]),
        ("short", good[..good.len() - 1].to_vec()),
        ("a response", with(2, 0x81)),
        ("truncated", with(2, 0x03)),
        ("no question", with(5, 0)),
        ("two questions", with(5, 2)),
        ("an answer", with(7, 1)),
        ("65535 authorities", with(8, 255)),
        ("a pointer to itself", [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat()),
        ("a label of 64", with(12, 64)),
    ] {
        assert_eq!(asked(&message, true), Err(Unreadable), "{what}");
    }
    assert!(asked(&with(2, 0x28), true).is_ok_and(|(code, ..)| code == 4));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in any::<Vec<u8>>(), at in 0_usize..100, byte in any::<u8>()) {
        let mut near = query(&[b"api", b"example"], 1);
        let at = at % near.len();
        near[at] = byte;
        let led = [&near[..12], &bytes].concat();
        for message in [&bytes, &near, &led] {
            if let Ok((_, _, reply)) = asked(message, true) {
                assert!(reply.len() <= 512);
            }
        }
    }
}
