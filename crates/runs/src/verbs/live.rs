//! Verbs that move a run.

use std::io::Read as _;

use serde_json::{Value, json};

use super::{session::Session, watch::watch};
use crate::{
    args::{Fork, Global, Resolve, Resume, Run, Step, Target, Which},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

pub(super) async fn begin(args: Run, global: &Global, printer: Printer) -> Outcome {
    let task = if args.task == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Stop::system("standard input"))?;
        text
    } else {
        args.task
    };
    let mut body = json!({ "agent": args.agent, "task": task });
    if let Some(account) = args.account {
        body["account"] = account.into();
    }
    pursued(&args.target, args.detach, global, printer, async |session| session.post("", &body).await).await
}

pub(super) async fn resume(args: Resume, global: &Global, printer: Printer) -> Outcome {
    let path = format!("/{}/resume", args.which.run);
    let order = async |session: &Session| session.post(&path, &json!({})).await;
    pursued(&args.which.target, args.detach, global, printer, order).await
}

/// Another model at the same task, with the answers of then.
pub(super) async fn rehearse(which: &Which, model: &str, global: &Global, printer: Printer) -> Outcome {
    let path = format!("/{}/replay", which.run);
    let body = json!({ "model": model });
    pursued(&which.target, false, global, printer, async |session| session.post(&path, &body).await).await
}

pub(super) async fn fork(args: Fork, global: &Global, printer: Printer) -> Outcome {
    let (run, at) = match args.from.split_once('@') {
        Some((run, at)) => {
            let at: u64 = at.parse().map_err(|_| {
                Stop::new(Code::Usage, codes::USAGE, format!("`{at}` is no event"))
                    .fix("write RUN@SEQ; the numbers of events: cella show RUN")
            })?;
            (run.to_owned(), Some(at))
        }
        None => (args.from, None),
    };
    let mut body = json!({});
    let pairs = [
        ("at", at.map(Value::from)),
        ("say", args.say.map(Value::from)),
        ("agent", args.agent.map(Value::from)),
        ("without_files", args.without_files.then_some(Value::from(true))),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    let path = format!("/{run}/fork");
    let order = async |session: &Session| session.post(&path, &body).await;
    pursued(&args.target, args.detach, global, printer, order).await
}

pub(super) async fn approve(args: Step, global: &Global, printer: Printer) -> Outcome {
    decided(&args, "approve", &json!({ "step": args.step }), global, printer).await
}

pub(super) async fn deny(args: Step, why: &str, global: &Global, printer: Printer) -> Outcome {
    decided(&args, "deny", &json!({ "step": args.step, "why": why }), global, printer).await
}

pub(super) async fn resolve(args: Resolve, global: &Global, printer: Printer) -> Outcome {
    let verdict = match (args.happened, args.did_not_happen) {
        (true, _) => "happened",
        (_, true) => "not_happened",
        _ => "given_up",
    };
    let body = json!({ "step": args.step.step, "verdict": verdict, "result": args.result });
    decided(&args.step, "resolve", &body, global, printer).await
}

pub(super) async fn cancel(args: Which, global: &Global, printer: Printer) -> Outcome {
    let path = format!("/{}/cancel", args.run);
    pursued(&args.target, false, global, printer, async |session| session.post(&path, &json!({})).await).await
}

/// A decision. A node of our own has to go on with the run, or nobody does; a running one does by itself.
async fn decided(args: &Step, order: &str, body: &Value, global: &Global, printer: Printer) -> Outcome {
    let path = format!("/{}/{order}", args.run);
    let session = Session::open(global, &args.target).await?;
    let outcome = match session.post(&path, body).await {
        Ok(answer) if session.is_own() => watch(&session, &answer, printer).await,
        Ok(answer) => {
            told(&answer, printer);
            Ok(Code::Ok)
        }
        Err(stop) => Err(stop),
    };
    session.close().await;
    outcome
}

/// Gives an order that concerns one run, and watches it.
async fn pursued(
    at: &Target,
    detach: bool,
    global: &Global,
    printer: Printer,
    order: impl AsyncFnOnce(&Session) -> Result<Value, Stop>,
) -> Outcome {
    let session = Session::open(global, at).await?;
    let outcome = match order(&session).await {
        Ok(_) if detach && session.is_own() => Err(Stop::new(
            Code::Usage,
            codes::NOT_RUNNING,
            "no node is running that the run could be left to",
        )
        .fix("start one: cella up; or leave --detach out")),
        Ok(answer) if detach => {
            told(&answer, printer);
            Ok(Code::Ok)
        }
        Ok(answer) => watch(&session, &answer, printer).await,
        Err(stop) => Err(stop),
    };
    session.close().await;
    outcome
}

fn told(answer: &Value, printer: Printer) {
    if printer.is_json() {
        printer.json(answer);
    } else {
        printer.line(answer["run"].as_str().unwrap_or_default());
    }
}
