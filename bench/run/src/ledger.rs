//! The same run in a ledger on disk.

use std::time::{Duration, Instant};

use cella_event::{Draft, Key, Kind, Label, Map};
use cella_kernel::{Fact, State, What, encode};
use cella_ledger::{Durability, Ledger, Options as Opening, Payload, Projections};

use crate::{Failed, Figure, Options, best, made};

/// Appends of the one-by-one lane: each waits for the disk.
const ONE_BY_ONE: usize = 500;

/// Appends at the same time in the lane of groups.
const GROUP: usize = 64;

pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = tempfile::tempdir_in(&options.dir)?;
    let (ledger, _) = Ledger::open(&Opening::new(dir.path()))?;
    let single = runtime.block_on(one_by_one(&ledger))?;
    let grouped = runtime.block_on(groups(&ledger))?;
    let facts = made::facts(options.events);
    runtime.block_on(written(&ledger, &facts))?;
    let reader = ledger.reader();
    let read = best(3, || {
        let facts = cella_pursuit::load(&reader, &made::run())?;
        let mut state = State::begin(&facts[0])?;
        for fact in &facts[1..] {
            state.apply(fact)?;
        }
        if state.due().is_empty() { Err("nothing is due".into()) } else { Ok(()) }
    })?;
    let mut projections = Projections::open(dir.path(), ledger.reader())?;
    let events = ledger.head().seq.0;
    let rebuilt = best(3, || projections.rebuild(&mut |_| {}).map(drop).map_err(Into::into))?;
    ledger.close()?;
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    Ok(vec![
        Figure {
            name: "ledger: durable events, one by one",
            value: rate(ONE_BY_ONE, single),
            unit: "events/s",
            goal: None,
        },
        Figure {
            name: "ledger: durable events, 64 at the same time",
            value: rate(ONE_BY_ONE * GROUP, grouped),
            unit: "events/s",
            goal: None,
        },
        Figure {
            name: "a run of this many events, from the ledger to what is due",
            value: read.as_secs_f64() * 1_000.0,
            unit: "ms",
            goal: Some("under 100 for 10,000"),
        },
        Figure {
            name: "projections: events folded",
            value: rate(usize::try_from(events)?, rebuilt),
            unit: "events/s",
            goal: Some("200,000"),
        },
    ])
}

fn draft() -> Draft {
    let mut draft = Draft::new(Kind::CallIntended);
    draft.server = Some(Label::clipped("files"));
    draft.tool = Some(Label::clipped("read"));
    draft
        .body(Map::new().with("effect", "read").with("method", "tools/call").with("contract", "c".repeat(64)))
}

async fn one_by_one(ledger: &Ledger) -> Result<Duration, Failed> {
    let began = Instant::now();
    for _ in 0..ONE_BY_ONE {
        ledger.append(&draft(), &[], Durability::Flushed).await?;
    }
    Ok(began.elapsed())
}

async fn groups(ledger: &Ledger) -> Result<Duration, Failed> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..GROUP {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            for _ in 0..ONE_BY_ONE {
                ledger.append(&draft(), &[], Durability::Flushed).await?;
            }
            Ok::<(), cella_ledger::AppendError>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(began.elapsed())
}

/// Puts the run on record as a node would.
async fn written(ledger: &Ledger, facts: &[Fact]) -> Result<(), Failed> {
    for fact in facts {
        let (draft, payloads) = match (&fact.what, encode(&made::run(), &fact.what)) {
            (_, Some(recorded)) => (recorded.draft, recorded.payloads),
            (What::Intended(call), None) => {
                let body = Map::new()
                    .with("effect", "read")
                    .with("method", "tools/call")
                    .with("part", "do")
                    .with("step", call.step.to_string());
                let mut draft = draft().run(made::run()).call(call.call.clone());
                draft.body = body;
                let arguments = call.arguments.as_ref().map_or("{}", |a| a.text());
                (draft, vec![("params", format!(r#"{{"name":"read","arguments":{arguments}}}"#))])
            }
            (What::Done { call, result, .. }, None) => {
                let draft = Draft::new(Kind::CallCompleted).run(made::run()).call(call.clone());
                (draft, vec![("result", result.text().to_owned())])
            }
            _ => continue,
        };
        let mut kept = Vec::new();
        for (name, text) in payloads {
            kept.push(Payload::full(Key::literal(name), text.into_bytes())?);
        }
        ledger.append(&draft, &kept, Durability::Buffered).await?;
    }
    ledger.flush().await?;
    Ok(())
}
