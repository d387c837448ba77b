//! What clients carry for us, sealed: request states and session identifiers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cella_mcp::state::{Digest, Handle, Seal};

/// What a ticket is for: two kinds are never mistaken for each other, nor one endpoint's for another's.
pub(super) struct Purpose<'a> {
    pub(super) principal: &'a str,
    pub(super) digest: Digest,
}

/// A ticket for `principal` that lives for `life`.
pub(super) fn seal(seal: &Seal, purpose: &Purpose<'_>, life: Duration, payload: Vec<u8>) -> String {
    let handle = Handle {
        owner: Digest::of_principal(purpose.principal),
        request: purpose.digest,
        expires_at_ms: now_ms().saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)),
        payload,
    };
    seal.seal(&handle, random().to_be_bytes())
}

/// What is in a ticket, if it is ours, alive, and presented by its owner for its purpose.
pub(super) fn open(seal: &Seal, purpose: &Purpose<'_>, ticket: &str) -> Option<Vec<u8>> {
    let owner = Digest::of_principal(purpose.principal);
    let opened = seal.open(ticket, now_ms(), owner, purpose.digest);
    opened
        .inspect_err(|error| tracing::debug!(%error, "a ticket was refused"))
        .ok()
        .map(|handle| handle.payload)
}

/// 128 random bits.
///
/// # Panics
/// When the operating system has no randomness, without which nothing here would be secret.
#[expect(clippy::expect_used, reason = "a node without randomness must not hand out guessable identifiers")]
pub(super) fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    u128::from_be_bytes(bytes)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
