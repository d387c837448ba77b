//! Calls that wait for their client: a server asked, the client was told by `input_required`, and brings the answers by
//! sending the request again (2026-07-28, basic/patterns/mrtr).
//!
//! What the client carries is a sealed ticket, bound to principal, endpoint, method, target and arguments. The call
//! itself stays here, so a ticket works once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_mcp::state::{Digest, Seal};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::super::{
    limits::Limits,
    ticket::{self, Purpose},
};
use cella_transport::{Ask, Exchange, Scope};

/// How our own states begin; the fingerprint of our key and a point follow. Other states pass through: a server's own,
/// and those of another Cella behind this one.
const PREFIX: &str = "cella1.";

/// A call put aside.
pub(super) struct Held {
    pub(super) principal: Arc<str>,
    pub(super) exchange: Exchange,
    pub(super) open: Vec<Open>,
}

/// A question that waits for its answer.
pub(super) struct Open {
    /// The key under which the client answers.
    pub(super) name: Box<str>,
    pub(super) ask: Ask,
}

/// All parked calls.
#[derive(Default)]
pub(in super::super) struct Parked {
    table: Mutex<HashMap<u128, (Instant, Held)>>,
}

impl Open {
    /// Keys are unique within a call, which numbers its questions, and tell the kind for those who read logs.
    pub(super) fn new(ask: Ask) -> Self {
        let kind = ask.method.split('/').next().unwrap_or_default();
        Self { name: format!("{kind}-{}", ask.key.0).into(), ask }
    }
}

impl Parked {
    fn table(&self) -> MutexGuard<'_, HashMap<u128, (Instant, Held)>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call; `None`, and the call is cancelled, when its principal or all together have too many.
    pub(super) fn park(&self, limits: &Limits, held: Held) -> Option<u128> {
        let id = ticket::random();
        let mut table = self.table();
        let of_principal = table.values().filter(|(_, h)| h.principal == held.principal).count();
        if table.len() >= limits.parked || of_principal >= limits.parked_per_principal {
            return None;
        }
        table.insert(id, (Instant::now() + limits.parked_age, held));
        Some(id)
    }

    /// The call, if it still waits. Nobody else gets it then.
    pub(super) fn take(&self, id: u128) -> Option<Held> {
        let (expires, held) = self.table().remove(&id)?;
        (expires > Instant::now()).then_some(held)
    }

    /// Cancels calls that have waited too long.
    pub(in super::super) fn expire(&self) {
        let now = Instant::now();
        let mut late = Vec::new();
        self.table().retain(|_, entry| {
            let keep = entry.0 > now;
            if !keep {
                // dropped outside the lock: cancelling runs other people's code
                late.push(std::mem::replace(&mut entry.1, Held::gone()));
            }
            keep
        });
    }

    /// Cancels all.
    pub(in super::super) fn clear(&self) {
        let all = std::mem::take(&mut *self.table());
        drop(all);
    }
}

impl Held {
    fn gone() -> Self {
        let answer =
            cella_transport::Answer { era: cella_mcp::Era::Modern, outcome: Ok(RawValue::NULL.to_owned()) };
        Self { principal: "".into(), exchange: Exchange::ready(answer), open: Vec::new() }
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parked({})", self.table().len())
    }
}

/// True for a state that this node made, or pretends to be: what follows its mark is still to be opened.
pub(super) fn is_ours(seal: &Seal, state: &str) -> bool {
    sealed_part(seal, state).is_some()
}

fn sealed_part<'a>(seal: &Seal, state: &'a str) -> Option<&'a str> {
    state.strip_prefix(PREFIX)?.strip_prefix(&*seal.fingerprint())?.strip_prefix('.')
}

/// What a state is bound to: endpoint, method, target and arguments. Arguments count by value, since clients may write
/// them anew.
pub(super) fn purpose<'a>(
    principal: &'a str,
    scope: &Scope,
    method: &str,
    params: Option<&RawValue>,
) -> Purpose<'a> {
    Purpose { principal, digest: Digest::of_request(&format!("parked {scope:?} {method}"), params) }
}

/// The state by which the client finds its call again.
pub(super) fn state(seal: &Seal, purpose: &Purpose<'_>, limits: &Limits, id: u128) -> String {
    let fingerprint = seal.fingerprint();
    format!(
        "{PREFIX}{fingerprint}.{}",
        ticket::seal(seal, purpose, limits.parked_age, id.to_be_bytes().into())
    )
}

/// The call that a state stands for.
pub(super) fn read(seal: &Seal, purpose: &Purpose<'_>, state: &str) -> Option<u128> {
    let payload = ticket::open(seal, purpose, sealed_part(seal, state)?)?;
    Some(u128::from_be_bytes(payload.try_into().ok()?))
}
