//! `cella replay`, and with `--cells` the pure calls of a run once more.

use cella_agency::{self as agency, HeardCall};
use cella_contract::Effect;
use cella_terminal::mcp_client::McpClient;
use serde_json::{Value, json};

use super::{
    read::{named, reader, tell_replay, unreadable},
    session::Session,
};
use crate::{
    args::{Global, Replay},
    exit::{Code, Outcome, Stop},
    print::Printer,
};

/// What of a result is the tool's own word. The rest is what is said about it on the way.
const SAID: [&str; 3] = ["content", "structuredContent", "isError"];

pub(super) async fn replay(args: &Replay, global: &Global, printer: Printer) -> Outcome {
    let (run, mut answer, heard) = {
        let reader = reader(global)?;
        let run = named(&reader, &args.which.run)?;
        let answer = agency::replayed(&reader, &run).map_err(unreadable)?;
        let heard =
            if args.cells { agency::answered(&reader, &run).map_err(unreadable)? } else { Vec::new() };
        (run, answer, heard)
    };
    if !args.cells {
        let identical = tell_replay(run.as_str(), &answer, printer);
        return Ok(if identical { Code::Ok } else { Code::Differs });
    }
    let pure: Vec<&HeardCall> = heard.iter().filter(|heard| heard.call.effect == Effect::Pure).collect();
    let session = Session::open(global, &args.which.target).await?;
    let cells = again(&session, &pure).await;
    session.close().await;
    let cells = cells?;
    let same = cells.iter().all(|cell| cell["identical"] == true);
    answer["cells"] = json!({ "calls": heard.len(), "pure": pure.len(), "compared": cells });
    let identical = tell_replay(run.as_str(), &answer, printer);
    if !printer.is_json() {
        printer.line(format!("{} of {} calls are pure and were made once more", pure.len(), heard.len()));
        for cell in cells.iter().filter(|cell| cell["identical"] != true) {
            let text = |name: &str| cell[name].to_string();
            printer.line(format!("  event {}: {} answers otherwise", cell["seq"], text("tool")));
            printer.line(format!("    recorded: {}", text("recorded")));
            printer.line(format!("    now:      {}", text("now")));
        }
    }
    Ok(if identical && same { Code::Ok } else { Code::Differs })
}

async fn again(session: &Session, pure: &[&HeardCall]) -> Result<Vec<Value>, Stop> {
    let mut cells = Vec::new();
    for HeardCall { seq, call, result } in pure {
        let client = McpClient::of_server(&session.reach, &call.server).await?;
        let arguments = call.arguments.as_ref().map(|arguments| arguments.text()).unwrap_or("{}");
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
        let now = said(client.call(&call.tool, &arguments).await?);
        let recorded = said(serde_json::from_str(result.text()).unwrap_or_default());
        let mut cell = json!({
            "seq": seq.0, "step": call.step.to_string(), "tool": format!("{}.{}", call.server, call.tool),
            "identical": now == recorded,
        });
        if now != recorded {
            cell["recorded"] = recorded;
            cell["now"] = now;
        }
        cells.push(cell);
    }
    Ok(cells)
}

fn said(result: Value) -> Value {
    let Value::Object(mut result) = result else { return result };
    result.retain(|name, _| SAID.contains(&name.as_str()));
    // Not to have failed is said by saying nothing, too.
    if result.get("isError") == Some(&Value::Bool(false)) {
        result.remove("isError");
    }
    Value::Object(result)
}
