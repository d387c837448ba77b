//! `cella status`: what every server is doing.

use serde_json::Value;

use crate::{
    args::{Global, Target},
    exit::{Code, Outcome},
    print::Printer,
    target,
};

pub(crate) async fn run(at: Target, global: &Global, printer: Printer) -> Outcome {
    let reach = target::must_run(global, &at)?;
    let status = reach.get("/api/v1/status").await?;
    let servers = status["servers"].as_array().cloned().unwrap_or_default();
    if printer.is_json() {
        printer.json(&status);
    } else {
        show(&status, &servers, printer);
    }
    let bad = servers
        .iter()
        .any(|s| !matches!(s["status"].as_str(), Some("connected" | "not_tested" | "connecting")));
    let ledger = status["ledger"]["healthy"] != false;
    let refused = !status["configuration"]["refused"].is_null();
    Ok(if bad || refused || !ledger { Code::Degraded } else { Code::Ok })
}

fn show(status: &Value, servers: &[Value], printer: Printer) {
    let node = &status["node"];
    let text = |value: &Value| match value {
        Value::String(s) => s.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    printer.line(format!(
        "node {} pid {} {}",
        text(&node["version"]),
        text(&node["pid"]),
        text(&node["url"])
    ));
    printer.line(format!(
        "ledger {} events, {}",
        text(&status["ledger"]["head"]),
        text(&status["ledger"]["state"])
    ));
    show_refused(&status["configuration"]["refused"], printer);
    let mut rows = vec![
        ["SERVER", "CLASS", "STATUS", "STAGE", "TOOLS", "CALLS", "RESTARTS", "PID"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for server in servers {
        let pids: Vec<String> =
            server["pids"].as_array().into_iter().flatten().map(Value::to_string).collect();
        let mut row: Vec<String> = ["name", "class", "status", "stage", "tools", "calls", "restarts"]
            .iter()
            .map(|k| text(&server[*k]))
            .collect();
        row.push(if pids.is_empty() { "-".into() } else { pids.join(" ") });
        rows.push(row);
    }
    printer.table(&rows);
    if servers.iter().any(|server| server["class"] == "remote") {
        printer.note(super::ls::REMOTE);
    }
    for server in servers {
        let (name, error) = (text(&server["name"]), &server["last_error"]);
        if server["status"] != "connected" && !error.is_null() {
            printer.warn(format!("{name}: [{}] {}", text(&error["code"]), text(&error["message"])));
            if let Some(fix) = error["fix"].as_str() {
                printer.note(format!("    fix: {fix}"));
            }
            let stderr = server["stderr"].as_array().map_or(&[][..], Vec::as_slice);
            for line in &stderr[stderr.len().saturating_sub(3)..] {
                printer.note(format!("    stderr: {}", text(line)));
            }
        }
        for note in server["notes"].as_array().into_iter().flatten() {
            printer.note(format!("  {name}: {}", text(note)));
        }
    }
}

/// An edit that the node did not take.
fn show_refused(refused: &Value, printer: Printer) {
    let Some(code) = refused["code"].as_str() else { return };
    printer.line(format!("configuration: the edit was refused [{code}]; the one before is in use"));
    let message = refused["message"].as_str().unwrap_or_default();
    printer.note(format!("    {}", message.lines().next().unwrap_or_default()));
    printer.note("    fix: cella config validate, correct it, then send the node SIGHUP");
}
