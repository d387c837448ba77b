//! Who used what, by day: calls and how they ended, time, bytes.

use std::collections::HashMap;

use cella_event::{Event, Kind, Label};
use rusqlite::{Transaction, params};

use super::{Projections, name, to_sql};
use crate::ReadError;

pub(super) const TABLE: &str = "
CREATE TABLE cost (
  day TEXT NOT NULL, principal TEXT NOT NULL, server TEXT NOT NULL, tool TEXT NOT NULL,
  calls INTEGER NOT NULL, completed INTEGER NOT NULL, errors INTEGER NOT NULL, failed INTEGER NOT NULL,
  refused INTEGER NOT NULL, cancelled INTEGER NOT NULL,
  took_us INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
  PRIMARY KEY (day, principal, server, tool)
) STRICT, WITHOUT ROWID;";

const ADD: &str = "
INSERT INTO cost VALUES (date(?1 * 86400, 'unixepoch'), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT DO UPDATE SET
  calls = calls + excluded.calls, completed = completed + excluded.completed, errors = errors + excluded.errors,
  failed = failed + excluded.failed, refused = refused + excluded.refused,
  cancelled = cancelled + excluded.cancelled, took_us = took_us + excluded.took_us,
  bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out";

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What one principal used of one tool on one day (UTC). Absent names are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CostRow {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// Who.
    pub principal: String,
    /// Of which server.
    pub server: String,
    /// Which tool.
    pub tool: String,
    /// Calls that were intended.
    pub calls: u64,
    /// Calls with a result.
    pub completed: u64,
    /// Of these, results in which the tool reports an error.
    pub errors: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls that were given up.
    pub cancelled: u64,
    /// Time between intent and outcome, summed, in microseconds.
    pub took_us: u64,
    /// Bytes of the payloads of intents.
    pub bytes_in: u64,
    /// Bytes of the payloads of outcomes.
    pub bytes_out: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Who {
    day: i64,
    principal: Option<Label>,
    server: Option<Label>,
    tool: Option<Label>,
}

#[derive(Debug, Default)]
struct Sums {
    calls: u64,
    completed: u64,
    errors: u64,
    failed: u64,
    refused: u64,
    cancelled: u64,
    took_us: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Debug, Default)]
pub(super) struct Gathered(HashMap<Who, Sums>);

// === impl Gathered ===

impl Gathered {
    pub(super) fn add(&mut self, event: &Event) {
        if !matches!(
            event.kind,
            Kind::CallIntended
                | Kind::CallCompleted
                | Kind::CallFailed
                | Kind::CallRefused
                | Kind::CallCancelled
        ) {
            return;
        }
        let who = Who {
            day: event.time.0.div_euclid(MICROS_PER_DAY),
            principal: event.principal.clone(),
            server: event.server.clone(),
            tool: event.tool.clone(),
        };
        let sums = self.0.entry(who).or_default();
        // Commitments to the same bytes twice (redacted and original) count once: the larger.
        let bytes = event.payloads.iter().map(|payload| payload.bytes).max().unwrap_or(0);
        if event.kind == Kind::CallIntended {
            sums.calls += 1;
            sums.bytes_in += bytes;
            return;
        }
        sums.bytes_out += bytes;
        sums.took_us += event.body.int("took_us").and_then(|us| u64::try_from(us).ok()).unwrap_or(0);
        sums.errors += u64::from(event.body.bool("is_error") == Some(true));
        match event.kind {
            Kind::CallCompleted => sums.completed += 1,
            Kind::CallFailed => sums.failed += 1,
            Kind::CallRefused => sums.refused += 1,
            _ => sums.cancelled += 1,
        }
    }

    pub(super) fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add = transaction.prepare_cached(ADD)?;
        for (who, sums) in self.0 {
            add.execute(params![
                who.day,
                name(who.principal.as_ref()),
                name(who.server.as_ref()),
                name(who.tool.as_ref()),
                to_sql(sums.calls),
                to_sql(sums.completed),
                to_sql(sums.errors),
                to_sql(sums.failed),
                to_sql(sums.refused),
                to_sql(sums.cancelled),
                to_sql(sums.took_us),
                to_sql(sums.bytes_in),
                to_sql(sums.bytes_out),
            ])?;
        }
        Ok(())
    }
}

// === impl Projections ===

impl Projections {
    /// What was used on a day (`YYYY-MM-DD`) and later; on all days with an empty text. In the order of day and names.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn cost(&self, since_day: &str) -> Result<Vec<CostRow>, ReadError> {
        let sql = "SELECT * FROM cost WHERE day >= ?1 ORDER BY day, principal, server, tool";
        self.rows(sql, [since_day], |row| {
            let sum = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
            Ok(CostRow {
                day: row.get(0)?,
                principal: row.get(1)?,
                server: row.get(2)?,
                tool: row.get(3)?,
                calls: sum(4)?,
                completed: sum(5)?,
                errors: sum(6)?,
                failed: sum(7)?,
                refused: sum(8)?,
                cancelled: sum(9)?,
                took_us: sum(10)?,
                bytes_in: sum(11)?,
                bytes_out: sum(12)?,
            })
        })
    }
}
