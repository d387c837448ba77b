//! How long calls take, by tool and hour, as a histogram whose buckets are at most a quarter wide: adding up never loses
//! more than that, and quantiles of any span can be read from it.

use std::collections::{BTreeMap, HashMap};

use cella_event::{Event, Kind, Label, Micros};
use rusqlite::{Transaction, params};

use super::{Projections, name, to_sql};
use crate::ReadError;

pub(super) const TABLE: &str = "
CREATE TABLE latency (
  server TEXT NOT NULL, tool TEXT NOT NULL, hour INTEGER NOT NULL, bucket INTEGER NOT NULL, calls INTEGER NOT NULL,
  PRIMARY KEY (server, tool, hour, bucket)
) STRICT, WITHOUT ROWID;";

const ADD: &str = "
INSERT INTO latency VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls";

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// How long the calls of one tool took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyRow {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// Calls that completed or failed.
    pub calls: u64,
    /// Half of them took at most this, in microseconds, rounded up by at most a quarter.
    pub p50_us: u64,
    /// 99 of 100 took at most this.
    pub p99_us: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cell {
    server: Option<Label>,
    tool: Option<Label>,
    hour: i64,
    bucket: u32,
}

#[derive(Debug, Default)]
pub(super) struct Gathered(HashMap<Cell, u64>);

// === impl Gathered ===

impl Gathered {
    pub(super) fn add(&mut self, event: &Event) {
        if !matches!(event.kind, Kind::CallCompleted | Kind::CallFailed) {
            return;
        }
        let Some(micros) = event.body.int("took_us").and_then(|us| u64::try_from(us).ok()) else { return };
        let cell = Cell {
            server: event.server.clone(),
            tool: event.tool.clone(),
            hour: event.time.0.div_euclid(MICROS_PER_HOUR),
            bucket: bucket(micros),
        };
        *self.0.entry(cell).or_default() += 1;
    }

    pub(super) fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add = transaction.prepare_cached(ADD)?;
        for (cell, calls) in self.0 {
            let (server, tool) = (name(cell.server.as_ref()), name(cell.tool.as_ref()));
            add.execute(params![server, tool, cell.hour, cell.bucket, to_sql(calls)])?;
        }
        Ok(())
    }
}

// === impl Projections ===

impl Projections {
    /// How long calls took since a time (rounded down to its hour), by tool.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn latency(&self, since: Micros) -> Result<Vec<LatencyRow>, ReadError> {
        let sql = "SELECT server, tool, bucket, sum(calls) FROM latency WHERE hour >= ?1
                   GROUP BY server, tool, bucket ORDER BY server, tool, bucket";
        let rows = self.rows(sql, [since.0.div_euclid(MICROS_PER_HOUR)], |row| {
            let (server, tool): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(((server, tool), (row.get::<_, u32>(2)?, row.get::<_, i64>(3)?.unsigned_abs())))
        })?;
        let mut tools: BTreeMap<(String, String), Vec<(u32, u64)>> = BTreeMap::new();
        for (tool, cell) in rows {
            tools.entry(tool).or_default().push(cell);
        }
        let row = |((server, tool), cells): ((String, String), Vec<(u32, u64)>)| LatencyRow {
            server,
            tool,
            calls: cells.iter().map(|(_, calls)| calls).sum(),
            p50_us: quantile(&cells, 50),
            p99_us: quantile(&cells, 99),
        };
        Ok(tools.into_iter().map(row).collect())
    }
}

/// Four buckets per power of two.
fn bucket(micros: u64) -> u32 {
    if micros < 4 {
        return u32::try_from(micros).unwrap_or_default();
    }
    let power = micros.ilog2();
    let quarter = u32::try_from((micros >> (power - 2)) & 3).unwrap_or_default();
    power * 4 + quarter - 4
}

/// The greatest value of a bucket.
fn bucket_max(bucket: u32) -> u64 {
    if bucket < 4 {
        return bucket.into();
    }
    let (power, quarter) = ((bucket + 4) / 4, u64::from((bucket + 4) % 4));
    ((5 + quarter) << (power - 2)) - 1
}

fn quantile(cells: &[(u32, u64)], percent: u64) -> u64 {
    let all: u64 = cells.iter().map(|(_, calls)| calls).sum();
    let rank = (all * percent).div_ceil(100);
    let mut seen = 0;
    for (bucket, calls) in cells {
        seen += calls;
        if seen >= rank {
            return bucket_max(*bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::{bucket, bucket_max, quantile};

    #[test]
    fn a_value_lies_in_its_bucket_and_the_bucket_is_at_most_a_quarter_wide() {
        for micros in (0..10_000).chain([1 << 40, (1 << 40) + 12_345]) {
            let max = bucket_max(bucket(micros));
            assert!(max >= micros && max <= micros + micros / 4, "{micros} -> {max}");
            assert!(bucket(micros) == 0 || bucket_max(bucket(micros) - 1) < micros);
        }
    }

    #[test]
    fn quantiles_are_read_from_the_counts() {
        let cells = [(bucket(100), 98), (bucket(5_000), 2)];
        assert_eq!(quantile(&cells, 50), bucket_max(bucket(100)));
        assert_eq!(quantile(&cells, 99), bucket_max(bucket(5_000)));
    }
}
