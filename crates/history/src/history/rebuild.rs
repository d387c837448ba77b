//! Dropping the projections and folding the whole ledger again.

use std::time::Instant;

use cella_ledger::{Projections, TableFacts};
use serde_json::{Value, json};

use super::History;
use crate::AskError;

/// What each table answers, by its name in the file.
const ANSWERS: [(&str, &str); 4] =
    [("audit", "audit"), ("calls", "replay"), ("cost", "cost"), ("latency", "analytics")];

// === impl History ===

impl History {
    /// Drops the projections (cost, audit, replay, analytics) and builds them again from the ledger. `progress` hears how
    /// many events are folded, and of how many. Blocking.
    ///
    /// When the tables stood at the head of the ledger before, the answer says whether the new ones are identical.
    ///
    /// # Errors
    /// The ledger cannot be read, or the tables cannot be written; they are rebuilt by the next attempt then.
    pub fn rebuild(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Value, AskError> {
        let began = Instant::now();
        let head = self.reader.head()?;
        let mut projections = Projections::open(&self.dir, self.reader.clone())?;
        let before = if projections.at()? == head { Some(projections.tables()?) } else { None };
        progress(0, head.seq.0);
        let at = projections.rebuild(&mut |at| progress(at.seq.0, head.seq.0.max(at.seq.0)))?;
        let after = projections.tables()?;
        // Events that came meanwhile are in the new tables, and were not in the old ones.
        let identical = before.filter(|_| at == head).map(|before| before == after);
        Ok(json!({
            "schema": "cella/v1",
            "events": at.seq.0,
            "head": at.hash.to_string(),
            "tables": after.iter().map(table).collect::<Vec<_>>(),
            "identical": identical,
            "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }))
    }
}

fn table(facts: &TableFacts) -> Value {
    let answers = ANSWERS.iter().find(|(name, _)| *name == facts.name).map(|(_, answers)| *answers);
    json!({ "name": facts.name, "answers": answers, "rows": facts.rows, "digest": facts.digest.to_string() })
}
