//! Where in a run a call belongs, as a token that only this node makes: `1:RUN:STEP:EXPIRY:PHASE:MAC` with
//! `MAC = HMAC-SHA256(key, "cella/capability/v1" || 0x00 || 1:RUN:STEP:EXPIRY:PHASE)` in hexadecimal digits, and the expiry in
//! seconds since 1970.
//!
//! A server whose contract lets it delegate gets one with the call of a run. What it calls through the node with the token in `_meta` is
//! in the phase of that run, and on record as such; without it, or after its time, such a call is in no phase.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cella_contract::Refusal;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The member of `_meta`.
pub const CAPABILITY: &str = "io.cella/capability";

/// How long one is good. Longer than almost every call, and short enough that one which got out is soon worth nothing.
const LIFE: Duration = Duration::from_secs(600);

/// Longest token that is looked at.
const BYTES_MAX: usize = 1_024;

const DOMAIN: &[u8] = b"cella/capability/v1\0";

/// A token that is none, or not any more.
const UNFIT: &str = "CE1612";

/// Makes tokens and knows them again.
#[derive(Clone)]
pub struct Capabilities(Arc<[u8; 32]>);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The run.
    pub run: String,
    /// Its step.
    pub step: String,
    /// The phase that the run was in.
    pub phase: String,
}

// === impl Capabilities ===

impl Capabilities {
    /// With a key of their own, made of the node's.
    #[must_use]
    pub fn new(node_key: &str) -> Self {
        let key = Sha256::new().chain_update(DOMAIN).chain_update(node_key).finalize();
        Self(Arc::new(key.into()))
    }

    /// A token for a call.
    #[must_use]
    pub fn mint(&self, run: &str, step: &str, phase: &str, now: SystemTime) -> String {
        let until = seconds(now + LIFE);
        let text = format!("1:{run}:{step}:{until}:{phase}");
        let digits: String =
            self.mac(&text).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{text}:{digits}")
    }

    /// What a token says.
    ///
    /// # Errors
    /// It was not made here, or its time is over.
    pub fn check(&self, token: &str, now: SystemTime) -> Result<Granted, Refusal> {
        let unfit = |rule: &str| Refusal {
            code: UNFIT,
            rule: rule.to_owned(),
            fix: "use the token of the call that is under way, or none".into(),
        };
        let forged = || unfit("the capability token in _meta was not made by this node");
        let (text, digits) =
            token.rsplit_once(':').filter(|_| token.len() <= BYTES_MAX).ok_or_else(forged)?;
        let mac = unhex(digits).ok_or_else(forged)?;
        self.mac(text).verify_slice(&mac).map_err(|_| forged())?;
        let mut parts = text.splitn(5, ':');
        let mut part = || parts.next().map(str::to_owned).ok_or_else(forged);
        let (_version, run, step, until, phase) = (part()?, part()?, part()?, part()?, part()?);
        if until.parse::<u64>().map_err(|_| forged())? < seconds(now) {
            return Err(unfit("the capability token in _meta is over its time"));
        }
        Ok(Granted { run, step, phase })
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..self.0.len()].copy_from_slice(&*self.0);
        <Hmac<Sha256> as KeyInit>::new(&block).chain_update(DOMAIN).chain_update(text)
    }
}

impl std::fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Capabilities(…)")
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_was_made_for_until_its_time_is_over() {
        let (node, other, now) = (Capabilities::new("k"), Capabilities::new("l"), UNIX_EPOCH + LIFE);
        let token = node.mint("r-1", "s2", "act: now", now);
        let granted = Granted { run: "r-1".into(), step: "s2".into(), phase: "act: now".into() };
        assert_eq!(node.check(&token, now), Ok(granted));
        assert!(node.check(&token, now + LIFE).is_ok());
        let rule = |result: Result<Granted, Refusal>| result.expect_err("refused").rule;
        assert!(rule(node.check(&token, now + LIFE + Duration::from_secs(1))).contains("over its time"));
        assert!(rule(other.check(&token, now)).contains("not made by this node"));
        for bad in [
            "",
            ":",
            "1:r-1",
            &token[1..],
            &token.replace("s2", "s3"),
            &format!("{token}00"),
            &"x".repeat(5_000),
        ] {
            assert!(node.check(bad, now).is_err(), "{bad}");
        }
    }
}
