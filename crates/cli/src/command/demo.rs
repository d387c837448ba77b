//! `cella demo`: the main job on embedded defaults, in a fresh directory, with real servers and a real client.
//!
//! It uses what a user would use: a configuration file, a node, the MCP client. Its exit status is honest: a step that
//! does not do what it says fails the demo. Then a story of an agent that is killed while it pays.

mod scene;
mod steps;
mod story;

use std::time::Instant;

use crate::{
    args::Demo,
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

use self::{scene::Scene, steps::Tally};

pub(crate) async fn run(args: Demo, printer: Printer) -> Outcome {
    let began = Instant::now();
    let scene = Scene::set(args.offline, printer).await?;
    let options = scene.options();
    let running = cella_node::start(options).await?;
    printer.done(format!("node up at {} and {}", running.url(), running.socket().display()));

    let mut tally = Tally::default();
    let played = steps::play(&scene, &running, printer, &mut tally).await;
    let pids = running.cell_pids();
    let drained = running.drain().await;
    let left = scene::alive(&pids);
    tally.check(
        printer,
        drained && left.is_empty(),
        "node stopped, no process left",
        &format!("still running: {left:?}"),
    );
    played?;
    story::play(scene.dir(), printer, &mut tally).await?;

    let took = began.elapsed().as_secs_f64();
    summary(&args, &scene, &tally, took, printer);
    let passed = tally.failed == 0;
    if args.keep {
        printer.note(format!("kept {}", scene.dir().display()));
    } else {
        scene.strike()?;
    }
    if passed {
        Ok(Code::Ok)
    } else {
        Err(Stop::new(Code::Failed, codes::DEMO, format!("{} of the steps failed", tally.failed))
            .fix("see what this machine can do: cella doctor"))
    }
}

fn summary(args: &Demo, scene: &Scene, tally: &Tally, took: f64, printer: Printer) {
    if printer.is_json() {
        printer.json(&serde_json::json!({
            "schema": "cella/v1", "passed": tally.passed, "failed": tally.failed, "seconds": took,
            "servers": scene.servers(), "left_out": scene.left_out(),
            "directory": args.keep.then(|| scene.dir().display().to_string()),
        }));
        return;
    }
    printer.line("");
    printer.line(format!(
        "{} steps worked, {} failed, in {took:.1} s. Servers: {}.",
        tally.passed,
        tally.failed,
        scene.servers().join(", ")
    ));
    for (what, why) in scene.left_out() {
        printer.line(format!("Left out: {what} ({why})."));
    }
    printer.line("Next: `cella import` takes over the servers you use today, `cella up` starts the node,");
    printer.line("`cella client setup` points your clients at it.");
}
