//! From samples to figures.

use crate::load::Sample;

/// What one cell of the table says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Median latency in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// Calls per second.
    pub rate: f64,
    /// CPU milliseconds per call of the tree under test.
    pub cpu_ms: f64,
    /// Calls that went wrong, over all rounds.
    pub wrong: u64,
}

/// One round: its sample and the CPU time the tree spent on it.
#[must_use]
pub fn figures(mut sample: Sample, cpu_ms: f64) -> Figures {
    sample.durations.sort_unstable();
    let calls = sample.durations.len();
    let at = |share: f64| {
        let index = ((calls as f64 * share) as usize).min(calls.saturating_sub(1));
        sample.durations.get(index).map_or(0.0, |ns| *ns as f64 / 1e6)
    };
    Figures {
        p50_ms: at(0.50),
        p99_ms: at(0.99),
        rate: calls as f64 / sample.took.as_secs_f64().max(1e-9),
        cpu_ms: cpu_ms / calls.max(1) as f64,
        wrong: sample.wrong,
    }
}

/// The median of each figure over the rounds: one disturbed round does not count.
#[must_use]
pub fn median(rounds: &[Figures]) -> Figures {
    let of = |pick: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    Figures {
        p50_ms: of(|f| f.p50_ms),
        p99_ms: of(|f| f.p99_ms),
        rate: of(|f| f.rate),
        cpu_ms: of(|f| f.cpu_ms),
        wrong: rounds.iter().map(|f| f.wrong).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn percentiles_and_rate_come_from_all_calls() {
        let durations = (1..=100).map(|ms| ms * 1_000_000).collect();
        let sample = Sample { durations, wrong: 1, took: Duration::from_secs(2) };
        let figures = figures(sample, 50.0);
        assert_eq!((figures.p50_ms, figures.p99_ms), (51.0, 100.0));
        assert_eq!((figures.rate, figures.cpu_ms, figures.wrong), (50.0, 0.5, 1));
    }

    #[test]
    fn one_disturbed_round_does_not_move_the_median() {
        let round = |p50_ms| Figures { p50_ms, ..Figures::default() };
        assert_eq!(median(&[round(1.0), round(90.0), round(2.0)]).p50_ms, 2.0);
    }
}
