//! The table for people and the JSON for scripts.

use serde_json::{Value, json};

use crate::{measure::Figures, peers::Upstream, run, wire::Era};

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// `direct`, `relay`, `cella`, `mcp-proxy`.
    pub target: String,
    /// How the server behind is reached.
    pub upstream: Upstream,
    /// What the client speaks.
    pub era: Era,
    /// How many clients at once.
    pub clients: usize,
    /// Medians over the rounds.
    pub figures: Figures,
}

/// A figure that is not about calls.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// Prints the calls, with what is added to the direct row beside it.
pub fn table(rows: &[Row], facts: &[Fact]) {
    println!(
        "{:<10} {:<8} {:<7} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "target", "upstream", "era", "clients", "p50 ms", "+p50 ms", "p99 ms", "calls/s", "CPU ms", "wrong"
    );
    for row in rows {
        let direct = rows.iter().find(|r| {
            r.target == "direct" && r.upstream == row.upstream && r.era == row.era && r.clients == row.clients
        });
        let added = direct.map_or(0.0, |d| row.figures.p50_ms - d.figures.p50_ms);
        let f = &row.figures;
        println!(
            "{:<10} {:<8} {:<7} {:>7} {:>9.3} {:>9.3} {:>9.3} {:>9.0} {:>9.3} {:>6}",
            row.target,
            row.upstream.name(),
            row.era.name(),
            row.clients,
            f.p50_ms,
            added,
            f.p99_ms,
            f.rate,
            f.cpu_ms,
            f.wrong
        );
    }
    against_peer(rows);
    for fact in facts {
        println!("{:<58} {:>9.3} {}", fact.name, fact.value, fact.unit);
    }
}

/// Cella by the peer, from the same run: below 1 is better for times, above 1 for calls per second.
fn against_peer(rows: &[Row]) {
    let peers = rows.iter().filter(|row| !["direct", run::FLOOR, "cella"].contains(&row.target.as_str()));
    for (n, peer) in peers.enumerate() {
        let own = rows.iter().find(|r| {
            r.target == "cella"
                && r.upstream == peer.upstream
                && r.era == peer.era
                && r.clients == peer.clients
        });
        let Some(own) = own else { continue };
        if n == 0 {
            let title = format!("cella / {}", peer.target);
            println!("{title:<28} {:>7} {:>9} {:>9} {:>9} {:>9}", "clients", "p50", "p99", "calls/s", "CPU");
        }
        let cell = (peer.upstream.name(), peer.era.name(), peer.clients);
        if peer.figures.wrong > 0 {
            println!("{:<10} {:<8} {:<8} {:>7} the peer's answers are wrong", "", cell.0, cell.1, cell.2);
            continue;
        }
        let ratio =
            |pick: fn(&Figures) -> f64| pick(&own.figures) / pick(&peer.figures).max(f64::MIN_POSITIVE);
        println!(
            "{:<10} {:<8} {:<8} {:>7} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            "",
            cell.0,
            cell.1,
            cell.2,
            ratio(|f| f.p50_ms),
            ratio(|f| f.p99_ms),
            ratio(|f| f.rate),
            ratio(|f| f.cpu_ms)
        );
    }
}

/// Everything for a script.
#[must_use]
pub fn json(rows: &[Row], facts: &[Fact]) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|r| {
            json!({
                "target": r.target, "upstream": r.upstream.name(), "era": r.era.name(), "clients": r.clients,
                "p50_ms": r.figures.p50_ms, "p99_ms": r.figures.p99_ms, "calls_per_s": r.figures.rate,
                "cpu_ms_per_call": r.figures.cpu_ms, "wrong": r.figures.wrong,
            })
        })
        .collect();
    let facts: Vec<Value> =
        facts.iter().map(|f| json!({ "name": f.name, "value": f.value, "unit": f.unit })).collect();
    json!({ "schema": "cella-bench-gateway/v1", "calls": rows, "facts": facts })
}
