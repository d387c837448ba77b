//! What stands in the tables, in a few bytes: to see that a rebuilt table is the one that was dropped.

use cella_event::Hash;
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

use super::Projections;
use crate::{ReadError, StoreError};

/// The folded tables, in the order in which they are reported.
const NAMES: [&str; 4] = ["audit", "calls", "cost", "latency"];

/// One table: how long, and which content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableFacts {
    /// Its name.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over every value of every row, in the order of the keys.
    pub digest: Hash,
}

// === impl Projections ===

impl Projections {
    /// The facts of every table. Reads all of it.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn tables(&self) -> Result<Vec<TableFacts>, ReadError> {
        let facts = NAMES.iter().map(|name| self.table(name)).collect::<rusqlite::Result<_>>();
        Ok(facts.map_err(StoreError::database("reading projections"))?)
    }

    fn table(&self, name: &'static str) -> rusqlite::Result<TableFacts> {
        // No key has more than four columns, and no table fewer.
        let sql = format!("SELECT * FROM {name} ORDER BY 1, 2, 3, 4");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let columns = statement.column_count();
        let (mut found, mut rows, mut hash) = (statement.query([])?, 0, Sha256::new());
        while let Some(row) = found.next()? {
            rows += 1;
            for column in 0..columns {
                add(&mut hash, row.get_ref(column)?);
            }
        }
        Ok(TableFacts { name, rows, digest: Hash::from_bytes(hash.finalize().into()) })
    }
}

/// Type, length and bytes, so that no two rows hash alike by moving a byte from one value to the next.
fn add(hash: &mut Sha256, value: ValueRef<'_>) {
    let number;
    let (kind, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(n) => {
            number = n.to_le_bytes();
            (1, &number)
        }
        ValueRef::Real(n) => {
            number = n.to_le_bytes();
            (2, &number)
        }
        ValueRef::Text(bytes) => (3, bytes),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
