//! The key under which a server may recognise that an effect was asked for twice.

use std::fmt;

use crate::{Hash, RunId, sha256::sha256};

const DOMAIN: &[u8] = b"cella/idempotency/v1\0";

/// Derived from run, step and the *salted* digest of the arguments. Everybody who reads `call.intended` derives it
/// again, so a retry after a crash sends the same key; because the digest is salted, nobody guesses arguments from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Hash);

impl IdempotencyKey {
    /// `SHA-256("cella/idempotency/v1\0" || u32be(len run) || run || u32be(len step) || step || digest)`; without a run,
    /// its length is 0. `step` names the call within its run: a step number of the kernel's, else the call id.
    #[must_use]
    pub fn derive(run: Option<&RunId>, step: &str, arguments: &Hash) -> Self {
        let run = run.map_or("", RunId::as_str);
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let (run_length, step_length) = (length(run), length(step));
        Self(sha256(&[
            DOMAIN,
            &run_length,
            run.as_bytes(),
            &step_length,
            step.as_bytes(),
            arguments.as_bytes(),
        ]))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_hash(&self) -> &Hash {
        &self.0
    }
}

/// 64 lower-case hex digits.
impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
