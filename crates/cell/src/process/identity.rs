//! As whom a cell runs, seen from the host.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::order::Identity;
use crate::CellError;

/// First host id for cells of a root node, and how many there are. This range is assigned to nobody: above what systemd
/// gives to containers (up to 1879048191) and within what every tool takes for a positive number. Distribution's subordinate ids
/// (from 100000) are avoided, because their users may signal processes with those ids.
const FIRST: u32 = 1_879_048_192;
const COUNT: u32 = 268_435_456;
/// Lowest id used where a container gives us fewer: below it are accounts.
const LOWEST: u32 = 1000;
/// Draws until a free id is found.
const DRAWS: usize = 64;

/// Gives out host ids; no two living cells of a node have the same.
#[derive(Debug)]
pub(crate) struct Identities {
    range: Option<(u32, u32)>,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

/// One id in use; free again when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) identity: Identity,
    taken: Option<Arc<Mutex<BTreeSet<u32>>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(taken) = &self.taken {
            taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.identity.uid);
        }
    }
}

impl Identities {
    pub(crate) fn of_this_process() -> Self {
        let root = rustix::process::geteuid().is_root();
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self { range: if root { usable_range(&map) } else { None }, taken: Arc::default() }
    }

    /// Whether each cell has an id of its own.
    pub(crate) fn are_private(&self) -> bool {
        self.range.is_some()
    }

    /// An id for one cell. Drawn at random, so that two nodes on one machine need not know of each other.
    pub(crate) fn lease(&self) -> Result<Lease, CellError> {
        let Some((first, count)) = self.range else {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            return Ok(Lease { identity: Identity { uid, gid, privileged: false }, taken: None });
        };
        for _ in 0..DRAWS {
            let drawn = getrandom::u32().map_err(|error| CellError::Launcher { cause: error.to_string() })?;
            let id = first + drawn % count;
            if self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
                let identity = Identity { uid: id, gid: id, privileged: true };
                return Ok(Lease { identity, taken: Some(Arc::clone(&self.taken)) });
            }
        }
        Err(CellError::Launcher { cause: "no unused user id for another cell".into() })
    }
}

/// The largest usable run of ids that this process may give away (`inside outside count` per line).
fn usable_range(map: &str) -> Option<(u32, u32)> {
    let runs = map.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().map(str::parse::<u32>);
        let (inside, _outside, count) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
        let end = inside.saturating_add(count);
        let whole = inside <= FIRST && end >= FIRST + COUNT;
        let first = if whole { FIRST } else { inside.max(LOWEST) };
        let end = if whole { FIRST + COUNT } else { end };
        (end > first).then(|| (first, end - first))
    });
    runs.max_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::{COUNT, FIRST, Identities, usable_range};

    #[test]
    fn real_root_uses_the_unassigned_range() {
        assert_eq!(usable_range("         0          0 4294967295\n"), Some((FIRST, COUNT)));
    }

    #[test]
    fn root_of_a_container_uses_what_it_was_given() {
        assert_eq!(usable_range("0 1000 1\n1 100000 65536\n"), Some((1000, 64_537)));
        assert_eq!(usable_range("0 1000 1\n"), None);
    }

    #[test]
    fn two_cells_never_share_an_id_until_one_is_gone() {
        let identities = Identities { range: Some((5000, 2)), taken: std::sync::Arc::default() };
        let (one, two) = (identities.lease().unwrap(), identities.lease().unwrap());
        assert_ne!(one.identity.uid, two.identity.uid);
        assert!(identities.lease().is_err());
        drop(one);
        assert!(identities.lease().is_ok());
    }
}
