//! What an auditor asks for first: refusals, denials, approvals, changes of rules, starts and stops, deletions. Calls that
//! went their way are left out.

use cella_event::{Event, Kind, Micros, Seq};
use rusqlite::{Transaction, params};

use super::{Projections, name, to_sql};
use crate::ReadError;

pub(super) const TABLE: &str = "
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL,
  principal TEXT NOT NULL, server TEXT NOT NULL, tool TEXT NOT NULL, call TEXT NOT NULL, code TEXT NOT NULL
) STRICT;";

/// One event that matters to an auditor. Absent names are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRow {
    /// The event.
    pub seq: Seq,
    /// When.
    pub time: Micros,
    /// What, by the name of its kind.
    pub kind: String,
    /// Who.
    pub principal: String,
    /// The server concerned.
    pub server: String,
    /// The tool concerned.
    pub tool: String,
    /// The call concerned.
    pub call: String,
    /// The code of a refusal or failure (`CE####`).
    pub code: String,
}

#[derive(Debug, Default)]
pub(super) struct Gathered(Vec<Event>);

// === impl Gathered ===

impl Gathered {
    pub(super) fn add(&mut self, event: &Event) {
        if !is_routine(&event.kind) {
            self.0.push(event.clone());
        }
    }

    pub(super) fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add =
            transaction.prepare_cached("REPLACE INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        for event in self.0 {
            add.execute(params![
                to_sql(event.seq.0),
                event.time.0,
                event.kind.as_str(),
                name(event.principal.as_ref()),
                name(event.server.as_ref()),
                name(event.tool.as_ref()),
                event.call.as_ref().map_or("", |call| call.as_str()),
                event.body.text("code").unwrap_or_default(),
            ])?;
        }
        Ok(())
    }
}

// === impl Projections ===

impl Projections {
    /// The last `limit` rows up to an event, newest first.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn audit(&self, last: Seq, limit: u32) -> Result<Vec<AuditRow>, ReadError> {
        let sql = "SELECT * FROM audit WHERE seq <= ?1 ORDER BY seq DESC LIMIT ?2";
        self.rows(sql, params![to_sql(last.0), limit], |row| {
            Ok(AuditRow {
                seq: Seq(row.get::<_, i64>(0)?.unsigned_abs()),
                time: Micros(row.get(1)?),
                kind: row.get(2)?,
                principal: row.get(3)?,
                server: row.get(4)?,
                tool: row.get(5)?,
                call: row.get(6)?,
                code: row.get(7)?,
            })
        })
    }
}

/// A kind that a later version adds is not routine until somebody has thought about it.
const fn is_routine(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::CallIntended
            | Kind::CallCompleted
            | Kind::CallFailed
            | Kind::CallCancelled
            | Kind::CallAsked
            | Kind::CallAnswered
            | Kind::ServerState
            | Kind::CellStarted
            | Kind::CellExited
            | Kind::CatalogChanged
            | Kind::SessionOpened
            | Kind::SessionClosed
    )
}
