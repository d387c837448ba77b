//! The table for people and the JSON for scripts.

use serde_json::{Value, json};

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    figures: Figures,
    unit: &'static str,
    goal: Option<Goal>,
}

/// What is to be reached, and whether it is.
#[derive(Debug)]
pub(crate) struct Goal {
    /// In words.
    pub(crate) text: String,
    /// What was compared with it.
    pub(crate) reached: f64,
    /// Whether that is good enough.
    pub(crate) met: bool,
}

/// Of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Figures {
    /// Zeros, if there is nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (values.len() as f64 * share) as usize;
            values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Self { min: at(0.0), median: at(0.5), p99: at(0.99) }
    }
}

impl Goal {
    /// No more than this.
    pub(crate) fn at_most(limit: f64, unit: &str, what: &str, reached: f64) -> Self {
        Self { text: format!("{what} at most {limit} {unit}"), reached, met: reached <= limit }
    }

    /// No less than this.
    pub(crate) fn at_least(limit: f64, unit: &str, what: &str, reached: f64) -> Self {
        Self { text: format!("{what} at least {limit} {unit}"), reached, met: reached >= limit }
    }
}

impl Report {
    /// A series.
    pub(crate) fn series(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        values: Vec<f64>,
        goal: impl FnOnce(Figures) -> Option<Goal>,
    ) -> Figures {
        let figures = Figures::of(values);
        self.rows.push(Row { what: what.into(), figures, unit, goal: goal(figures) });
        figures
    }

    /// One figure.
    pub(crate) fn single(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        value: f64,
        goal: Option<Goal>,
    ) {
        self.series(what, unit, vec![value], |_| goal);
    }

    /// On standard output.
    pub(crate) fn print(&self) {
        println!("{:<50} {:>10} {:>10} {:>10}  {:<8} goal", "", "min", "median", "p99", "unit");
        for row in &self.rows {
            let Figures { min, median, p99 } = row.figures;
            let goal = row.goal.as_ref().map(|goal| {
                let met = if goal.met { "met" } else { "NOT MET" };
                format!("{}: {:.2}, {met}", goal.text, goal.reached)
            });
            println!(
                "{:<50} {min:>10.3} {median:>10.3} {p99:>10.3}  {:<8} {}",
                row.what,
                row.unit,
                goal.unwrap_or_default()
            );
        }
    }

    /// Everything for a script.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let goal = row
                    .goal
                    .as_ref()
                    .map(|goal| json!({ "text": goal.text, "reached": goal.reached, "met": goal.met }));
                json!({
                    "what": row.what, "unit": row.unit, "min": row.figures.min, "median": row.figures.median,
                    "p99": row.figures.p99, "goal": goal,
                })
            })
            .collect();
        json!({ "schema": "cella-bench-cell/v1", "rows": rows })
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, Goal};

    #[test]
    fn a_series_has_its_least_its_middle_and_its_worst_hundredth() {
        let figures = Figures::of((1..=100).rev().map(f64::from).collect());
        assert_eq!(figures, Figures { min: 1.0, median: 51.0, p99: 100.0 });
        assert_eq!(Figures::of(Vec::new()).p99, 0.0);
    }

    #[test]
    fn a_goal_is_met_at_its_limit() {
        assert!(Goal::at_most(4.0, "ms", "x", 4.0).met && !Goal::at_most(4.0, "ms", "x", 4.1).met);
        assert!(Goal::at_least(4.0, "ms", "x", 4.0).met && !Goal::at_least(4.0, "ms", "x", 3.9).met);
    }
}
