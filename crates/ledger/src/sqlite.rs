//! The SQLite storage: one row per block, WAL, every commit synced.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use cella_event::{Hash, Head, Micros, Seq};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use crate::{
    Block, Direction, OpenError, Options, Source, Span, Store, StoreError,
    private::{FILE_MODE, open_file, tighten},
};

/// "Cela" in ASCII: what `file` and `PRAGMA application_id` say of a ledger.
const APPLICATION_ID: u32 = 0x4365_6c61;

/// The newest layout of tables this program knows.
const LAYOUT: u32 = 1;

/// 3.51.3: before it, two connections that checkpoint at once could corrupt the WAL.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Bytes of a page. Larger ones save system calls in large commits, smaller ones save bytes in small commits.
const PAGE_BYTES: &str = "8192";

/// Reading connections kept open. More readers than that open and close their own.
const READERS_KEPT: usize = 4;

const FILE: &str = "ledger.db";

const TABLES: &str = "
CREATE TABLE blocks (
  first_seq INTEGER PRIMARY KEY,
  count     INTEGER NOT NULL,
  since     INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  prev      BLOB NOT NULL,
  last_hash BLOB NOT NULL,
  events    BLOB NOT NULL
) STRICT;
CREATE TABLE payloads (
  first_seq INTEGER PRIMARY KEY,
  records   BLOB NOT NULL
) STRICT;
CREATE TABLE set_aside (
  id        INTEGER PRIMARY KEY,
  first_seq INTEGER NOT NULL,
  reason    TEXT NOT NULL,
  last_hash BLOB NOT NULL,
  events    BLOB NOT NULL,
  records   BLOB
) STRICT;
";

const FORWARD: &str = "
SELECT first_seq, count, since, until, prev, last_hash, events FROM blocks
WHERE first_seq >= ?1 AND until >= ?2 AND since <= ?3
ORDER BY first_seq LIMIT 1";

const BACKWARD: &str = "
SELECT first_seq, count, since, until, prev, last_hash, events FROM blocks
WHERE first_seq <= ?1 AND until >= ?2 AND since <= ?3
ORDER BY first_seq DESC LIMIT 1";

/// The writing connection.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    connection: Connection,
    head: Head,
    wal_bytes: u64,
    wal_bytes_max: u64,
    source: Arc<SqliteSource>,
}

/// A small pool of read-only connections.
#[derive(Debug)]
pub(crate) struct SqliteSource {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// The SQLite storage of a directory, without a ledger around it. For the kit; a ledger opens its own.
///
/// # Errors
/// [`OpenError`].
pub fn sqlite_store(options: &Options) -> Result<Box<dyn Store>, OpenError> {
    Ok(Box::new(SqliteStore::open(options)?))
}

// === impl SqliteStore ===

impl SqliteStore {
    /// Opens the database in a directory, making it when it is absent.
    pub(crate) fn open(options: &Options) -> Result<Self, OpenError> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            return Err(OpenError::SqliteTooOld { got: rusqlite::version() });
        }
        let path = options.dir.join(FILE);
        // Made here, because SQLite would make it readable for others; it gives the WAL the mode of the database.
        drop(open_file(&path)?);
        for part in ["-wal", "-shm"] {
            let mut beside = path.clone().into_os_string();
            beside.push(part);
            tighten(Path::new(&beside), FILE_MODE);
        }
        let connection = Connection::open(&path).map_err(StoreError::database("opening the ledger"))?;
        prepare(&connection, &path)?;
        if let Some(max) = options.database_bytes_max {
            limit(&connection, max).map_err(StoreError::database("limiting the ledger"))?;
        }
        let source = Arc::new(SqliteSource { path, idle: Mutex::new(Vec::new()) });
        let head = read_head(&connection).map_err(StoreError::database("reading the head"))?;
        Ok(Self { connection, head, wal_bytes: 0, wal_bytes_max: options.wal_bytes_max, source })
    }

    fn insert(&mut self, block: &Block) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.prepare_cached("INSERT INTO blocks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![
                to_sql(block.first),
                block.count,
                block.since.0,
                block.until.0,
                block.prev.as_bytes(),
                block.last_hash.as_bytes(),
                block.events,
            ],
        )?;
        if !block.payloads.is_empty() {
            transaction
                .prepare_cached("INSERT INTO payloads VALUES (?1, ?2)")?
                .execute(params![to_sql(block.first), block.payloads])?;
        }
        transaction.commit()
    }
}

impl Store for SqliteStore {
    fn append(&mut self, block: &Block) -> Result<(), StoreError> {
        if block.head() == self.head {
            return Ok(());
        }
        if block.first != self.head.seq.next() || block.prev != self.head.hash {
            return Err(StoreError::NotNext { expected: self.head.seq, got: block.first });
        }
        self.insert(block).map_err(StoreError::database("writing events"))?;
        self.head = block.head();
        self.wal_bytes += (block.events.len() + block.payloads.len()) as u64 + 2 * 8192;
        Ok(())
    }

    fn replace_payloads(&mut self, first: Seq, payloads: &[u8]) -> Result<(), StoreError> {
        self.connection
            .execute(
                "UPDATE payloads SET records = ?2 WHERE first_seq = ?1",
                params![to_sql(first), payloads],
            )
            .map_err(StoreError::database("replacing payloads"))?;
        Ok(())
    }

    fn scrub(&mut self) -> Result<(), StoreError> {
        // secure_delete has overwritten the pages; the old bytes may still stand in the WAL.
        checkpoint(&self.connection, "TRUNCATE").map_err(StoreError::database("clearing the WAL"))
    }

    fn set_aside(&mut self, first: Seq, reason: &str) -> Result<(), StoreError> {
        let doing = "setting a damaged block aside";
        let transaction = self.connection.transaction().map_err(StoreError::database(doing))?;
        let moved = transaction
            .execute(
                "INSERT INTO set_aside (first_seq, reason, last_hash, events, records)
                 SELECT b.first_seq, ?2, b.last_hash, b.events, p.records
                 FROM blocks b LEFT JOIN payloads p USING (first_seq) WHERE b.first_seq = ?1",
                params![to_sql(first), reason],
            )
            .and_then(|_| transaction.execute("DELETE FROM payloads WHERE first_seq = ?1", [to_sql(first)]))
            .and_then(|_| transaction.execute("DELETE FROM blocks WHERE first_seq = ?1", [to_sql(first)]))
            .and_then(|_| transaction.commit());
        moved.map_err(StoreError::database(doing))?;
        self.head = read_head(&self.connection).map_err(StoreError::database("reading the head"))?;
        Ok(())
    }

    fn tidy(&mut self) {
        if self.wal_bytes < self.wal_bytes_max {
            return;
        }
        self.wal_bytes = 0;
        // A reader in the way, or a full disk, leaves the work for the next time: nothing is lost by waiting.
        if let Err(error) = checkpoint(&self.connection, "PASSIVE") {
            tracing::debug!(%error, "checkpoint put off");
        }
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source) as Arc<dyn Source>
    }
}

// === impl SqliteSource ===

impl SqliteSource {
    /// Reads a ledger that another process may be writing.
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        let source = Self { path: dir.join(FILE), idle: Mutex::new(Vec::new()) };
        source.with("opening the ledger", |connection| identify(connection, &source.path))??;
        Ok(source)
    }

    fn with<T>(&self, doing: &'static str, read: impl FnOnce(&Connection) -> T) -> Result<T, StoreError> {
        let kept = self.lock().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => open_reader(&self.path).map_err(StoreError::database(doing))?,
        };
        let result = read(&connection);
        let mut idle = self.lock();
        if idle.len() < READERS_KEPT {
            idle.push(connection);
        }
        Ok(result)
    }

    fn query<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(doing, read)?.map_err(StoreError::database(doing))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for SqliteSource {
    fn head(&self) -> Result<Head, StoreError> {
        self.query("reading the head", read_head)
    }

    fn block(&self, from: Seq, direction: Direction, span: Span) -> Result<Option<Block>, StoreError> {
        self.query("reading events", |connection| {
            let sql = match direction {
                Direction::Forward => FORWARD,
                Direction::Backward => BACKWARD,
            };
            let key = params![to_sql(from), span.since.0, span.until.0];
            connection.prepare_cached(sql)?.query_row(key, read_block).optional()
        })
    }

    fn payloads(&self, first: Seq) -> Result<Vec<u8>, StoreError> {
        self.query("reading payloads", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT records FROM payloads WHERE first_seq = ?1")?;
            let records = statement.query_row([to_sql(first)], |row| row.get(0)).optional()?;
            Ok(records.unwrap_or_default())
        })
    }
}

fn prepare(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let doing = "preparing the ledger";
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(StoreError::database(doing))?;
    let fresh: bool = connection
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
        .map_err(StoreError::database(doing))?;
    if !fresh {
        identify(connection, path)?;
    }
    for (pragma, value) in [
        ("page_size", PAGE_BYTES),
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("secure_delete", "ON"),
        ("foreign_keys", "OFF"),
        // The writer moves the WAL itself, after acknowledgements are out.
        ("wal_autocheckpoint", "0"),
        ("journal_size_limit", "67108864"),
        ("cache_size", "-2048"),
    ] {
        connection.pragma_update(None, pragma, value).map_err(StoreError::database(doing))?;
    }
    if fresh {
        connection
            .execute_batch(&format!(
                "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT}; COMMIT;"
            ))
            .map_err(StoreError::database(doing))?;
    }
    Ok(())
}

fn identify(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let pragma = |name| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map_err(StoreError::database("identifying the ledger"))
    };
    let application = u32::try_from(pragma("application_id")?).unwrap_or(u32::MAX);
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned(), got: application });
    }
    let got = u32::try_from(pragma("user_version")?).unwrap_or(u32::MAX);
    if got > LAYOUT {
        return Err(OpenError::Newer { known: LAYOUT, got });
    }
    Ok(())
}

fn limit(connection: &Connection, bytes_max: u64) -> rusqlite::Result<()> {
    let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let pages = (bytes_max / page.unsigned_abs().max(1)).max(1);
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

fn read_head(connection: &Connection) -> rusqlite::Result<Head> {
    let mut statement = connection.prepare_cached(
        "SELECT first_seq + count - 1, last_hash FROM blocks ORDER BY first_seq DESC LIMIT 1",
    )?;
    let head =
        statement.query_row([], |row| Ok(Head { seq: seq(row, 0)?, hash: hash(row, 1)? })).optional()?;
    Ok(head.unwrap_or(Head::GENESIS))
}

fn read_block(row: &Row<'_>) -> rusqlite::Result<Block> {
    Ok(Block {
        first: seq(row, 0)?,
        count: row.get(1)?,
        since: Micros(row.get(2)?),
        until: Micros(row.get(3)?),
        prev: hash(row, 4)?,
        last_hash: hash(row, 5)?,
        events: row.get(6)?,
        payloads: Vec::new(),
    })
}

fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    Ok(Seq(row.get::<_, i64>(column)?.unsigned_abs()))
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    Ok(Hash::from_bytes(row.get(column)?))
}

fn to_sql(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}
