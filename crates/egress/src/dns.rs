//! What a cell is told about names. Pure: a message in, a message out, and no query is ever passed on.
//!
//! A granted name has an address of its own in this cell ([`Names`]); every other name does not exist. Own code and no
//! library, because little of DNS is needed and none of the rest is wanted: one question, without pointers, answered with at
//! most one record. The libraries at hand allocate by counts in the header, follow pointers, or refuse what they do not
//! know where "no such record" is due.

use cella_contract::DomainName;

use crate::{denial::Denial, limits::QUERY_BYTES_MAX, names::Names, policy::Policy};

/// How long an answer may be kept, in seconds. The address stays the same; short, so that a cell that is asked to forget does.
const ANSWER_SECONDS: u32 = 60;
/// Largest datagram that we say we take, in bytes (the figure of DNS flag day 2020).
const EDNS_BYTES: u16 = 1232;

const HEADER_BYTES: usize = 12;
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 255;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;

/// What is answered beside addresses (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    NoError = 0,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    /// What is to be put on record.
    pub(crate) denial: Option<(Option<DomainName>, Denial)>,
}

/// Not a query. It gets no answer: whoever sends such things may not be who the sender's address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// A query as far as it matters.
struct Query<'a> {
    id: [u8; 2],
    standard: bool,
    recursion_desired: bool,
    /// The question as it was sent; clients compare its letters' case.
    question: &'a [u8],
    /// `None`: nothing that a host could be called.
    name: Option<DomainName>,
    kind: u16,
    class: u16,
    /// The version of EDNS that it speaks, if it does.
    edns: Option<u8>,
}

/// Answers a message. `v6` says whether the cell's listeners can be reached over IPv6.
pub(crate) fn answer(
    message: &[u8],
    policy: &Policy,
    names: &mut Names,
    v6: bool,
) -> Result<Reply, Unreadable> {
    let query = Query::read(message).ok_or(Unreadable)?;
    let plain = |code| Ok(Reply { bytes: query.reply(code, &[]), denial: None });
    if !query.standard {
        return plain(Code::NotImplemented);
    }
    if query.class != CLASS_IN {
        return plain(Code::Refused);
    }
    let Some(name) = &query.name else {
        let bytes = query.reply(Code::NoSuchName, &[]);
        return Ok(Reply { bytes, denial: Some((None, Denial::NotAName)) });
    };
    if !policy.knows(name) {
        let bytes = query.reply(Code::NoSuchName, &[]);
        return Ok(Reply { bytes, denial: Some((Some(name.clone()), Denial::Name { name: name.clone() })) });
    }
    // Where nothing is granted but everything is watched, the question is a finding, even if no connection follows.
    let asked = policy.is_watching().then(|| (Some(name.clone()), Denial::Name { name: name.clone() }));
    match (query.kind, names.addresses(name)) {
        (TYPE_A, Some((v4, _))) => {
            Ok(Reply { bytes: query.reply(Code::NoError, &v4.octets()), denial: asked })
        }
        (TYPE_AAAA, Some((_, address))) if v6 => {
            Ok(Reply { bytes: query.reply(Code::NoError, &address.octets()), denial: asked })
        }
        (_, Some(_)) => plain(Code::NoError),
        (_, None) => {
            let denial = Denial::Names { most: names.most() };
            let bytes = query.reply(Code::ServerFailure, &[]);
            Ok(Reply { bytes, denial: Some((Some(name.clone()), denial)) })
        }
    }
}

// === impl Query ===

impl<'a> Query<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        if message.len() > QUERY_BYTES_MAX {
            return None;
        }
        let (header, body) = message.split_at_checked(HEADER_BYTES)?;
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (response, truncated) = (header[2] & 0x80 != 0, header[2] & 0x02 != 0);
        // one question; no answers and no authorities in a query
        if response || truncated || count(4) != 1 || count(6) != 0 || count(8) != 0 {
            return None;
        }
        let (name, named) = name(body)?;
        let (fixed, rest) = body[named..].split_at_checked(4)?;
        Some(Self {
            id: [header[0], header[1]],
            standard: header[2] & 0x78 == 0,
            recursion_desired: header[2] & 0x01 != 0,
            question: &body[..named + 4],
            name,
            kind: u16::from_be_bytes([fixed[0], fixed[1]]),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            edns: if count(10) == 0 { None } else { edns(rest) },
        })
    }

    /// The answer with this code and, if `address` is not empty, that one record.
    fn reply(&self, code: Code, address: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.question.len() + 40);
        // an EDNS version that nobody has yet gets code 16, whose upper bits stand in the OPT record
        let bad_version = self.edns.is_some_and(|version| version > 0);
        let (code, address) = if bad_version { (0, &[][..]) } else { (code as u8, address) };
        out.extend(self.id);
        let opcode = if self.standard { 0 } else { 0x08 };
        out.extend([0x84 | opcode | u8::from(self.recursion_desired), 0x80 | code]);
        let (answers, additional) = (u16::from(!address.is_empty()), u16::from(self.edns.is_some()));
        for count in [1, answers, 0, additional] {
            out.extend(count.to_be_bytes());
        }
        out.extend(self.question);
        if !address.is_empty() {
            let kind = if address.len() == 4 { TYPE_A } else { TYPE_AAAA };
            // a pointer to the question's name
            out.extend([0xc0, 0x0c]);
            out.extend(kind.to_be_bytes());
            out.extend(CLASS_IN.to_be_bytes());
            out.extend(ANSWER_SECONDS.to_be_bytes());
            out.extend(if address.len() == 4 { [0, 4] } else { [0, 16] });
            out.extend(address);
        }
        if self.edns.is_some() {
            out.push(0);
            out.extend(TYPE_OPT.to_be_bytes());
            out.extend(EDNS_BYTES.to_be_bytes());
            out.extend([u8::from(bad_version), 0, 0, 0, 0, 0]);
        }
        out
    }
}

/// The first question's name and how many bytes it takes. The inner `None` is a name that no host has.
fn name(bytes: &[u8]) -> Option<(Option<DomainName>, usize)> {
    let mut text = String::new();
    let (mut at, mut is_host) = (0, true);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // pointers begin with two set bits: nothing before a first name can be pointed to
        if length > LABEL_BYTES_MAX || at + length >= NAME_BYTES_MAX {
            return None;
        }
        let label = bytes.get(at..at + length)?;
        at += length;
        // a dot inside a label would make two labels of one
        is_host &= label.is_ascii() && !label.contains(&b'.');
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().copied().map(char::from));
    }
    let name = is_host.then(|| DomainName::parse(&text).ok()).flatten();
    Some((name, at))
}

/// The EDNS version, when the first additional record is an OPT (RFC 6891, 6.1.2).
fn edns(bytes: &[u8]) -> Option<u8> {
    let [0, high, low, _, _, _, version, ..] = bytes else { return None };
    (u16::from_be_bytes([*high, *low]) == TYPE_OPT).then_some(*version)
}

#[cfg(test)]
mod tests;
