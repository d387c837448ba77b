//! Each call from its intent to its outcome: what a replay walks through, and which calls are in doubt.

use std::collections::HashMap;

use cella_event::{CallId, Event, Kind, Micros, RunId, Seq};
use rusqlite::{Row, Transaction, params, types::Type};

use super::{Projections, name, to_sql};
use crate::ReadError;

pub(super) const TABLE: &str = "
CREATE TABLE calls (
  call TEXT PRIMARY KEY, run TEXT, parent TEXT, principal TEXT NOT NULL, server TEXT NOT NULL, tool TEXT NOT NULL,
  effect TEXT, intended_seq INTEGER, intended_time INTEGER,
  outcome TEXT, outcome_seq INTEGER, outcome_time INTEGER, asked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_run ON calls (run, intended_seq) WHERE run IS NOT NULL;
CREATE INDEX calls_in_doubt ON calls (intended_seq) WHERE outcome IS NULL;";

/// The first intent and the last outcome stand.
const ADD: &str = "
INSERT INTO calls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT DO UPDATE SET
  effect = CASE WHEN intended_seq IS NULL THEN excluded.effect ELSE effect END,
  intended_seq = coalesce(intended_seq, excluded.intended_seq),
  intended_time = coalesce(intended_time, excluded.intended_time),
  outcome = coalesce(excluded.outcome, outcome),
  outcome_seq = coalesce(excluded.outcome_seq, outcome_seq),
  outcome_time = coalesce(excluded.outcome_time, outcome_time),
  asked = asked + excluded.asked";

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// With a result.
    Completed,
    /// With an error of the server, or on the way.
    Failed,
    /// It was never made.
    Refused,
    /// The asker gave it up.
    Cancelled,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallRow {
    /// The call.
    pub call: CallId,
    /// Its run.
    pub run: Option<RunId>,
    /// The call that caused it.
    pub parent: Option<CallId>,
    /// Who asked. Absent names are empty.
    pub principal: String,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The effect class by which it was treated.
    pub effect: Option<String>,
    /// Its intent; absent for a call that was refused at once.
    pub intended: Option<(Seq, Micros)>,
    /// Its outcome; absent while it runs, and for ever when the node died before it came: then it is in doubt.
    pub outcome: Option<(Outcome, Seq, Micros)>,
    /// How often the server asked the client back.
    pub asked: u64,
}

#[derive(Debug, Default)]
struct Part {
    run: Option<RunId>,
    parent: Option<CallId>,
    who: [String; 3],
    effect: Option<String>,
    intended: Option<(Seq, Micros)>,
    outcome: Option<(Outcome, Seq, Micros)>,
    asked: u64,
}

#[derive(Debug, Default)]
pub(super) struct Gathered(HashMap<CallId, Part>);

// === impl Outcome ===

impl Outcome {
    /// `completed`, `failed`, `refused` or `cancelled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Completed, Self::Failed, Self::Refused, Self::Cancelled]
            .into_iter()
            .find(|o| o.as_str() == text)
    }

    const fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::CallCompleted => Some(Self::Completed),
            Kind::CallFailed => Some(Self::Failed),
            Kind::CallRefused => Some(Self::Refused),
            Kind::CallCancelled => Some(Self::Cancelled),
            _ => None,
        }
    }
}

// === impl Gathered ===

impl Gathered {
    pub(super) fn add(&mut self, event: &Event) {
        let outcome = Outcome::of(&event.kind);
        if outcome.is_none() && !matches!(event.kind, Kind::CallIntended | Kind::CallAsked) {
            return;
        }
        let Some(call) = &event.call else { return };
        // What names the call is taken from its first event, as in the table.
        let part = self.0.entry(call.clone()).or_insert_with(|| Part {
            run: event.run.clone(),
            parent: event.parent.clone(),
            who: [&event.principal, &event.server, &event.tool].map(|l| name(l.as_ref()).to_owned()),
            ..Part::default()
        });
        if event.kind == Kind::CallIntended && part.intended.is_none() {
            part.intended = Some((event.seq, event.time));
            part.effect = event.body.text("effect").map(str::to_owned);
        }
        part.asked += u64::from(event.kind == Kind::CallAsked);
        if let Some(outcome) = outcome {
            part.outcome = Some((outcome, event.seq, event.time));
        }
    }

    pub(super) fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add = transaction.prepare_cached(ADD)?;
        for (call, part) in self.0 {
            let [principal, server, tool] = part.who;
            add.execute(params![
                call.as_str(),
                part.run.as_ref().map(RunId::as_str),
                part.parent.as_ref().map(CallId::as_str),
                principal,
                server,
                tool,
                part.effect,
                part.intended.map(|(seq, _)| to_sql(seq.0)),
                part.intended.map(|(_, time)| time.0),
                part.outcome.map(|(outcome, ..)| outcome.as_str()),
                part.outcome.map(|(_, seq, _)| to_sql(seq.0)),
                part.outcome.map(|(.., time)| time.0),
                to_sql(part.asked),
            ])?;
        }
        Ok(())
    }
}

// === impl Projections ===

impl Projections {
    /// The calls of a run, in the order of their intents.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn calls_of_run(&self, run: &RunId) -> Result<Vec<CallRow>, ReadError> {
        self.rows("SELECT * FROM calls WHERE run = ?1 ORDER BY intended_seq", [run.as_str()], read_row)
    }

    /// One call.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn call(&self, call: &CallId) -> Result<Option<CallRow>, ReadError> {
        Ok(self.rows("SELECT * FROM calls WHERE call = ?1", [call.as_str()], read_row)?.pop())
    }

    /// Calls that were intended and have no outcome. Right after a node started, these are in doubt; later, those that
    /// run are among them.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn without_outcome(&self) -> Result<Vec<CallRow>, ReadError> {
        let sql =
            "SELECT * FROM calls WHERE outcome IS NULL AND intended_seq IS NOT NULL ORDER BY intended_seq";
        self.rows(sql, [], read_row)
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    // Only this module writes the table; a text that is no id means that somebody else did.
    let foreign = |column| move || rusqlite::Error::InvalidColumnType(column, "id".into(), Type::Text);
    let id = |column: usize| -> rusqlite::Result<Option<CallId>> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| CallId::new(text).ok().ok_or_else(foreign(column))).transpose()
    };
    let place = |seq: usize, time: usize| -> rusqlite::Result<Option<(Seq, Micros)>> {
        let (seq, time): (Option<i64>, Option<i64>) = (row.get(seq)?, row.get(time)?);
        Ok(seq.zip(time).map(|(seq, time)| (Seq(seq.unsigned_abs()), Micros(time))))
    };
    let outcome = row.get::<_, Option<String>>(9)?.and_then(|text| Outcome::parse(&text));
    Ok(CallRow {
        call: id(0)?.ok_or_else(foreign(0))?,
        run: row.get::<_, Option<String>>(1)?.and_then(|text| RunId::new(text).ok()),
        parent: id(2)?,
        principal: row.get(3)?,
        server: row.get(4)?,
        tool: row.get(5)?,
        effect: row.get(6)?,
        intended: place(7, 8)?,
        outcome: outcome.zip(place(10, 11)?).map(|(outcome, (seq, time))| (outcome, seq, time)),
        asked: row.get::<_, i64>(12)?.unsigned_abs(),
    })
}
