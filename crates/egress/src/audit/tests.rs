use proptest::prelude::{any, proptest};

use super::{Answered, Attempt};
use crate::denial::Denial;

/// What a packet shows in a cell whose name server is at 192.0.2.53.
fn attempt(packet: &[u8]) -> Option<Attempt> {
    super::attempt(packet, &Answered(vec![[192, 0, 2, 53].into()]))
}

fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = [&[0; 12][..], &[8, 0], &[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]].concat();
    out.extend(from);
    out.extend(to);
    out.extend(payload);
    out
}

fn tcp(from: u16, flags: u8, sequence: u32) -> Vec<u8> {
    [&from.to_be_bytes()[..], &[0x90, 0], &sequence.to_be_bytes(), &[0; 4], &[0x50, flags], &[0; 6]].concat()
}

#[test]
fn the_answer_of_a_closed_port_shows_what_was_wanted() {
    let packet = ipv4(6, [1, 1, 1, 1], [10, 0, 0, 1], &tcp(8443, 0x14, 0));
    let expected = Attempt { destination: ([1, 1, 1, 1], 8443).into(), denial: Denial::PortClosed };
    assert_eq!(attempt(&packet), Some(expected));
    assert_eq!(attempt(&ipv4(6, [1; 4], [10, 0, 0, 1], &tcp(8443, 0x14, 77))), None, "a living connection");
    assert_eq!(attempt(&ipv4(6, [1; 4], [10, 0, 0, 1], &tcp(8443, 0x12, 0))), None, "no reset");
}

#[test]
fn a_datagram_shows_where_it_was_meant_to_go() {
    let udp = |from: u16, to: u16| [from.to_be_bytes(), to.to_be_bytes(), [0; 2], [0; 2]].concat();
    let expected = Attempt { destination: ([8, 8, 8, 8], 443).into(), denial: Denial::Datagram };
    assert_eq!(attempt(&ipv4(17, [9; 4], [8; 4], &udp(4000, 443))), Some(expected));
    assert_eq!(attempt(&ipv4(17, [9; 4], [127, 0, 0, 1], &udp(4000, 443))), None, "the cell itself");
    let mut six = [&[0; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 17, 64], &[0; 16], &[0x20; 16]].concat();
    six.extend(udp(4000, 443));
    assert_eq!(
        attempt(&six).map(|a| a.destination.to_string()),
        Some("[2020:2020:2020:2020:2020:2020:2020:2020]:443".into())
    );
}

#[test]
fn a_query_to_another_name_server_is_an_attempt_and_one_that_is_answered_is_none() {
    let udp = |from: u16, to: u16| [from.to_be_bytes(), to.to_be_bytes(), [0; 2], [0; 2]].concat();
    let expected = Attempt { destination: ([8, 8, 8, 8], 53).into(), denial: Denial::Datagram };
    let (cell, own) = ([10, 0, 0, 1], [192, 0, 2, 53]);
    assert_eq!(attempt(&ipv4(17, cell, [8; 4], &udp(4000, 53))), Some(expected));
    assert_eq!(attempt(&ipv4(17, cell, own, &udp(4000, 53))), None, "its own");
    assert_eq!(attempt(&ipv4(17, own, cell, &udp(53, 4000))), None, "and the answer");
    assert!(attempt(&ipv4(17, cell, own, &udp(53, 4000))).is_some(), "another port of it");
    let everywhere = Answered(vec![[0, 0, 0, 0].into()]);
    assert_eq!(super::attempt(&ipv4(17, cell, [8; 4], &udp(4000, 53)), &everywhere), None);
}

#[test]
fn a_packet_that_is_cut_or_wrong_shows_nothing() {
    let whole = ipv4(17, [9; 4], [8; 4], &[0, 9, 1, 0, 0, 0, 0, 0]);
    assert!(attempt(&whole).is_some());
    assert!((0..38).all(|length| attempt(&whole[..length]).is_none()));
    let with = |at: usize, byte: u8| {
        let mut packet = whole.clone();
        packet[at] = byte;
        attempt(&packet)
    };
    assert_eq!((with(14, 0x44), with(14, 0x4f), with(14, 0x55), with(21, 1)), (None, None, None, None));
}

proptest! {
    #[test]
    fn hostile_packets_never_panic(bytes in any::<Vec<u8>>(), version in 0_usize..2) {
        let kind = [[8, 0], [0x86, 0xdd]][version];
        let _ = attempt(&bytes);
        let _ = attempt(&[&[0; 12][..], &kind, &bytes].concat());
    }
}
