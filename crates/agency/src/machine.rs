//! The time machine: a run done again for nothing, two runs side by side, old runs under new rules. Reads a ledger and nothing else:
//! no node, no network, no clock.

use std::path::Path;

use cella_contract::{AgentConfig, Contract, Hints, Wanted, decide};
use cella_event::{Micros, RunId, Seq};
use cella_kernel::{Divergence, Fact, Intended, Part, What, replay};
use cella_ledger::Reader;
use cella_pursuit::{LoadError, known_runs, load};
use serde_json::{Value, json};

use crate::{Agents, ApiError, told::Teller, view::told};

/// Runs that one backtest looks at. Stops a careless one from reading for hours; that there are more is said.
pub const RUNS_TESTED: usize = 10_000;

/// Replays a run. Blocking.
///
/// # Errors
/// [`LoadError`]: it cannot be read. That it diverges is an answer.
pub fn replayed(reader: &Reader, run: &RunId) -> Result<Value, LoadError> {
    let facts = load(reader, run)?;
    let mut value = json!({ "schema": "cella/v1", "run": run.as_str(), "events": facts.len() });
    match replay(&facts) {
        Ok(replayed) => {
            value["identical"] = true.into();
            value["compared"] = replayed.compared.into();
            value["digest"] = replayed.state.digest().to_string().into();
        }
        Err(divergence) => {
            value["identical"] = false.into();
            value["divergence"] = diverged(&divergence);
        }
    }
    Ok(value)
}

/// Two runs side by side: how much they share, and what each did from there on. Blocking.
///
/// # Errors
/// [`LoadError`].
pub fn compared(reader: &Reader, left: &RunId, right: &RunId) -> Result<Value, LoadError> {
    let (a, b) = (load(reader, left)?, load(reader, right)?);
    let (a, b) = (comparable(&a), comparable(&b));
    let same = a.iter().zip(&b).take_while(|(a, b)| a.what == b.what).count();
    // Steps are counted from the start of the run, so the teller has to hear what both share.
    let tail = |facts: &[Fact]| told(facts).split_off(same.min(facts.len()));
    Ok(json!({
        "schema": "cella/v1",
        "left": left.as_str(),
        "right": right.as_str(),
        "shared": same,
        "last_shared": same.checked_sub(1).map(|at| a[at].seq.0),
        "only_left": tail(&a),
        "only_right": tail(&b),
    }))
}

/// What the calls of old runs would meet under another contract of a server. Blocking.
///
/// # Errors
/// [`LoadError::Read`]. A run that cannot be read is named in the answer.
pub fn under_contract(
    reader: &Reader,
    server: &str,
    contract: &Contract,
    since: Micros,
) -> Result<Value, LoadError> {
    let (mut calls, mut changed) = (0_u64, Vec::new());
    let report = each_run(reader, since, &mut |run, facts| {
        for (seq, intended) in made(facts).filter(|(_, intended)| intended.server == server) {
            calls += 1;
            let wanted = Wanted { tool: Some(&intended.tool), hints: Hints::default(), phase: None };
            let verdict = match decide(contract, wanted) {
                Err(refusal) => json!({ "denied": refusal.rule, "code": refusal.code }),
                Ok(permit) if permit.effect() > intended.effect => {
                    json!({ "effect": permit.effect().as_str(), "was": intended.effect.as_str() })
                }
                Ok(_) => continue,
            };
            let mut line = json!({ "run": run.as_str(), "seq": seq.0, "step": intended.step.to_string(), "tool": intended.tool });
            merge(&mut line, verdict);
            changed.push(line);
        }
    })?;
    let denied = changed.iter().filter(|line| line.get("denied").is_some()).count();
    let mut value = json!({
        "schema": "cella/v1",
        "contract": contract.name(),
        "server": server,
        "calls": calls,
        "denied": denied,
        "changed": changed,
        // What a model would have done instead of a call that is denied, nobody knows.
        "exact": "up to the first denied call of each run",
    });
    merge(&mut value, report);
    Ok(value)
}

/// Where old runs of an agent would go another way under another manifest of it. Blocking.
///
/// # Errors
/// The ledger cannot be read, or a file that the agent's names.
pub fn under_config(
    reader: &Reader,
    config: &AgentConfig,
    dir: &Path,
    since: Micros,
) -> Result<Value, ApiError> {
    let agents = Agents::new(dir.to_path_buf(), []);
    let (mut runs, mut wrong) = (Vec::new(), None);
    let report = each_run(reader, since, &mut |run, facts| {
        let Some(What::Started(started)) = facts.first().map(|fact| &fact.what) else { return };
        if started.agent.name != config.name {
            return;
        }
        let mut other = facts.to_vec();
        let mut begun = started.clone();
        match agents.over(config, &started.agent) {
            Ok(agent) => begun.agent = agent,
            Err(fault) => {
                wrong = Some(fault);
                return;
            }
        }
        other[0].what = What::Started(begun);
        runs.push(match replay(&other) {
            Ok(replayed) => json!({ "run": run.as_str(), "identical": true, "events": replayed.facts }),
            Err(divergence) => {
                json!({ "run": run.as_str(), "identical": false, "divergence": diverged(&divergence) })
            }
        });
    })?;
    if let Some(fault) = wrong {
        return Err(fault.into());
    }
    let mut value = json!({
        "schema": "cella/v1",
        "agent": config.name,
        "runs": runs,
        "exact": "up to the first event at which a run diverges",
    });
    merge(&mut value, report);
    Ok(value)
}

/// Goes through the runs that began since then; says how many, and which cannot be read.
fn each_run(
    reader: &Reader,
    since: Micros,
    each: &mut dyn FnMut(&RunId, &[Fact]),
) -> Result<Value, LoadError> {
    let known = known_runs(reader, RUNS_TESTED + 1)?;
    let more = known.len() > RUNS_TESTED;
    let (mut count, mut unreadable) = (0_u64, Vec::new());
    for (run, first) in known.iter().take(RUNS_TESTED) {
        if first.time < since {
            continue;
        }
        count += 1;
        match load(reader, run) {
            Ok(facts) => each(run, &facts),
            Err(error) => unreadable.push(json!({ "run": run.as_str(), "why": error.to_string() })),
        }
    }
    Ok(json!({ "runs_tested": count, "more": more, "unreadable": unreadable }))
}

/// Calls that a model wanted in a run of its own, with their places: what a fork shares with its original was made once.
fn made(facts: &[Fact]) -> impl Iterator<Item = (Seq, &Intended)> {
    let own = facts.iter().rposition(|fact| matches!(fact.what, What::Forked(_))).unwrap_or_default();
    facts[own..].iter().filter_map(|fact| match &fact.what {
        What::Intended(intended) if intended.part == Part::Do => Some((fact.seq, &**intended)),
        _ => None,
    })
}

/// Facts without what is another in every run: names of runs and calls, keys, and times that were waited for.
fn comparable(facts: &[Fact]) -> Vec<Fact> {
    let same = cella_event::CallId::new("call");
    let strip = |fact: &Fact| {
        let mut fact = fact.clone();
        match (&mut fact.what, &same) {
            (What::Intended(intended), Ok(same)) => {
                intended.call = same.clone();
                intended.key = None;
            }
            (What::Done { call, .. } | What::Failed { call, .. } | What::Refused { call, .. }, Ok(same)) => {
                *call = same.clone();
            }
            (What::Woken { until }, _) => *until = Micros(0),
            _ => {}
        }
        fact
    };
    facts.iter().filter(|fact| !matches!(fact.what, What::Forked(_) | What::Resumed)).map(strip).collect()
}

fn diverged(divergence: &Divergence) -> Value {
    match divergence {
        Divergence::Other { fact, recorded, due } => {
            json!({ "seq": fact.seq.0, "recorded": recorded, "due": due, "fact": Teller::default().tell(fact) })
        }
        other => json!({ "why": other.to_string() }),
    }
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
