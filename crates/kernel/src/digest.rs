//! The digest of what a model is asked: on replay it says whether the same thing was asked, without a copy of the dialogue for
//! each question. Turns are chained, so that each question costs what is new in it.
//!
//! `SHA-256("cella/request/v1" || 0x00 || SHA-256(head) || chain)`, where `head` is the JSON of the request without turns, and the chain
//! begins with 32 zeros and takes in `SHA-256(chain || SHA-256(JSON of a turn))` for each.

use cella_dialogue::{Request, Turn};
use cella_event::Hash;
use serde::Serialize;
use sha2::{Digest, Sha256};

const DOMAIN: &[u8] = b"cella/request/v1\0";

/// The turns so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain([u8; 32]);

/// The digest of a request.
#[must_use]
pub fn request_digest(request: &Request) -> Hash {
    let mut chain = Chain::default();
    request.turns.iter().for_each(|turn| chain.push(turn));
    let head = Request { turns: Vec::new(), ..request.clone() };
    chain.digest(&head_digest(&head))
}

/// The digest of a request without turns.
pub(crate) fn head_digest(head: &Request) -> Hash {
    Hash::from_bytes(json_digest(head))
}

impl Chain {
    pub(crate) fn push(&mut self, turn: &Turn) {
        self.0 = Sha256::new().chain_update(self.0).chain_update(json_digest(turn)).finalize().into();
    }

    pub(crate) fn digest(&self, head: &Hash) -> Hash {
        let digest =
            Sha256::new().chain_update(DOMAIN).chain_update(head.as_bytes()).chain_update(self.0).finalize();
        Hash::from_bytes(digest.into())
    }
}

/// Our own types have text keys only, so that writing them does not fail; if one ever did, its digest is that of nothing, and
/// no recorded one is like it.
fn json_digest(value: &impl Serialize) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(value).unwrap_or_default()).into()
}
