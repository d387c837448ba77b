//! Answers that need more than a search: tables folded from the ledger into a file of their own, which can be dropped and
//! rebuilt at any time. Nothing is folded on the writing path; catching up happens when somebody asks.
//!
//! The fold is a function of the events alone: rebuilt tables are identical to those that grew step by step.

mod analytics;
mod audit;
mod calls;
mod cost;
mod facts;

use std::path::Path;

use cella_event::{Event, Hash, Head, Label, Seq};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::{ReadError, Reader, StoreError, private::open_file};

pub use self::{
    analytics::LatencyRow,
    audit::AuditRow,
    calls::{CallRow, Outcome},
    cost::CostRow,
    facts::TableFacts,
};

/// The layout of the tables. Another one found on disk is dropped and rebuilt.
const LAYOUT: i64 = 1;

/// Events folded in one transaction: enough to spread its cost, few enough to keep its memory small.
const FOLD_EVENTS: usize = 20_000;

const FILE: &str = "projections.db";

const TABLES: &[&str] = &[cost::TABLE, audit::TABLE, calls::TABLE, analytics::TABLE];

const AT_TABLE: &str = "CREATE TABLE at (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;";

/// The folded tables of a ledger.
#[derive(Debug)]
pub struct Projections {
    connection: Connection,
    reader: Reader,
}

/// What one batch of events adds, gathered in memory first: most rows are touched many times.
#[derive(Debug, Default)]
struct Batch {
    cost: cost::Gathered,
    audit: audit::Gathered,
    calls: calls::Gathered,
    analytics: analytics::Gathered,
}

// === impl Projections ===

impl Projections {
    /// Opens the tables beside a ledger, making them when they are absent. They are empty until [`Projections::catch_up`].
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn open(dir: &Path, reader: Reader) -> Result<Self, ReadError> {
        let connection = open(&dir.join(FILE)).map_err(StoreError::database("opening projections"))?;
        Ok(Self { connection, reader })
    }

    /// Folds what the ledger has and the tables have not. Tables of another ledger, or of one that was cut, are rebuilt.
    ///
    /// # Errors
    /// [`ReadError`]; the tables stand at an earlier event then.
    pub fn catch_up(&mut self) -> Result<Head, ReadError> {
        let at = self.at()?;
        if at != Head::GENESIS && self.reader.get(at.seq)?.is_none_or(|entry| entry.hash != at.hash) {
            return self.rebuild(&mut |_| {});
        }
        self.fold_all(&mut |_| {})
    }

    /// Drops the tables and folds the whole ledger again. `progress` hears the event that was folded last, batch by batch.
    ///
    /// # Errors
    /// As [`Projections::catch_up`].
    pub fn rebuild(&mut self, progress: &mut dyn FnMut(Head)) -> Result<Head, ReadError> {
        create(&self.connection).map_err(StoreError::database("clearing projections"))?;
        self.fold_all(progress)
    }

    /// The last event that is folded in.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn at(&self) -> Result<Head, ReadError> {
        Ok(read_at(&self.connection).map_err(StoreError::database("reading projections"))?)
    }

    fn fold_all(&mut self, progress: &mut dyn FnMut(Head)) -> Result<Head, ReadError> {
        loop {
            let folded = self.fold()?;
            let at = self.at()?;
            progress(at);
            if folded < FOLD_EVENTS {
                return Ok(at);
            }
        }
    }

    /// Folds one batch; returns how many events it had.
    fn fold(&mut self) -> Result<usize, ReadError> {
        let doing = "writing projections";
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let transaction =
            self.connection.transaction_with_behavior(behavior).map_err(StoreError::database(doing))?;
        // Read inside the transaction: another process may have folded meanwhile.
        let at = read_at(&transaction).map_err(StoreError::database(doing))?;
        let (mut batch, mut head, mut folded) = (Batch::default(), at, 0);
        for entry in self.reader.range(at.seq.next(), Seq(i64::MAX.unsigned_abs())).take(FOLD_EVENTS) {
            let entry = entry?;
            batch.add(&entry.event);
            head = Head { seq: entry.event.seq, hash: entry.hash };
            folded += 1;
        }
        batch
            .write(&transaction)
            .and_then(|()| write_at(&transaction, head))
            .and_then(|()| transaction.commit())
            .map_err(StoreError::database(doing))?;
        Ok(folded)
    }

    fn rows<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ReadError> {
        let read = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(sql)?.query_map(parameters, row)?.collect()
        };
        Ok(read().map_err(StoreError::database("reading projections"))?)
    }
}

// === impl Batch ===

impl Batch {
    fn add(&mut self, event: &Event) {
        self.cost.add(event);
        self.audit.add(event);
        self.calls.add(event);
        self.analytics.add(event);
    }

    fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        self.cost.write(transaction)?;
        self.audit.write(transaction)?;
        self.calls.write(transaction)?;
        self.analytics.write(transaction)
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    // Made here, because SQLite would make it readable for others. What is wrong with it, SQLite says.
    let _made_or_not = open_file(path).is_ok();
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What is lost by a crash is folded again.
    connection.pragma_update(None, "synchronous", "OFF")?;
    let layout: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if layout != LAYOUT {
        create(&connection)?;
    }
    Ok(connection)
}

/// Drops every table that is there, of whatever layout, and makes the tables of this one.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let drops: String = names.iter().map(|name| format!("DROP TABLE \"{name}\";")).collect();
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {drops} {AT_TABLE} {} PRAGMA user_version = {LAYOUT}; COMMIT;",
        TABLES.concat()
    ))
}

fn read_at(connection: &Connection) -> rusqlite::Result<Head> {
    let mut statement = connection.prepare_cached("SELECT seq, hash FROM at")?;
    let at = statement.query_row([], |row| {
        let (seq, hash): (i64, [u8; 32]) = (row.get(0)?, row.get(1)?);
        Ok(Head { seq: Seq(seq.unsigned_abs()), hash: Hash::from_bytes(hash) })
    });
    Ok(at.optional()?.unwrap_or(Head::GENESIS))
}

fn write_at(connection: &Connection, head: Head) -> rusqlite::Result<()> {
    let row = params![to_sql(head.seq.0), head.hash.as_bytes()];
    connection.prepare_cached("REPLACE INTO at (one, seq, hash) VALUES (1, ?1, ?2)")?.execute(row)?;
    Ok(())
}

/// Counts, sizes and sequence numbers end long before 2^63.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A name as it stands in a key column, which must not be NULL.
fn name(label: Option<&Label>) -> &str {
    label.map_or("", Label::as_str)
}
