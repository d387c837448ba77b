//! What happens in the demo, step by step, each checked.

use cella_node::Running;
use serde_json::{Value, json};

use crate::{exit::Stop, mcp_client::McpClient, print::Printer, target::Reach};

use super::scene::Scene;

/// How many steps worked.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: u32,
    pub(super) failed: u32,
}

// === impl Tally ===

impl Tally {
    /// Counts one step and says how it went.
    pub(super) fn check(&mut self, printer: Printer, worked: bool, what: &str, otherwise: &str) {
        if worked {
            self.passed += 1;
            printer.done(what);
        } else {
            self.failed += 1;
            printer.warn(format!("{what}: FAILED: {otherwise}"));
        }
    }
}

/// Plays all steps. An error means that the demo could not go on; a failed check only counts.
pub(super) async fn play(
    scene: &Scene,
    running: &Running,
    printer: Printer,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let reach = Reach::Socket(running.socket().to_path_buf());
    let client = McpClient::open(&reach, "/mcp").await?;
    list(scene, &client, printer, tally).await?;
    calls(scene, &client, printer, tally).await?;
    confinement(scene, &client, printer, tally).await?;
    ledger(&reach, printer, tally).await
}

async fn list(scene: &Scene, client: &McpClient, printer: Printer, tally: &mut Tally) -> Result<(), Stop> {
    let tools = client.tools().await?;
    let names: Vec<&str> = tools.iter().filter_map(|t| t["name"].as_str()).collect();
    for server in scene.servers() {
        let count = names.iter().filter(|n| n.starts_with(&format!("{server}__"))).count();
        tally.check(
            printer,
            count > 0,
            &format!("{server}: {count} tools, in a cell of its own"),
            "no tools listed",
        );
    }
    Ok(())
}

async fn calls(scene: &Scene, client: &McpClient, printer: Printer, tally: &mut Tally) -> Result<(), Stop> {
    let tokyo = client.call("time__get_current_time", &json!({ "timezone": "Asia/Tokyo" })).await?;
    let text = said(&tokyo);
    tally.check(
        printer,
        text.contains("+09:00"),
        &format!("time__get_current_time → {}", short(&text)),
        &text,
    );
    let path = scene.dir().join("invoices/2026-11.txt").display().to_string();
    let text = said(&client.call("files__read_file", &json!({ "path": path })).await?);
    tally.check(printer, text.contains("1234.50"), &format!("files__read_file → {}", short(&text)), &text);
    if scene.servers().iter().any(|s| s == "memory") {
        let text = said(&client.call("memory__read_graph", &json!({})).await?);
        tally.check(
            printer,
            text.contains("entities"),
            &format!("memory__read_graph (npm) → {}", short(&text)),
            &text,
        );
    }
    if scene.servers().iter().any(|s| s == "clock") {
        let text =
            said(&client.call("clock__get_current_time", &json!({ "timezone": "Europe/Paris" })).await?);
        tally.check(
            printer,
            text.contains("Paris"),
            &format!("clock__get_current_time (PyPI) → {}", short(&text)),
            &text,
        );
    }
    Ok(())
}

async fn confinement(
    scene: &Scene,
    client: &McpClient,
    printer: Printer,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let write = json!({ "path": scene.dir().join("invoices/new.txt"), "content": "x" });
    let answer = client.call("files__write_file", &write).await?;
    let refused = answer["isError"] == true && !scene.dir().join("invoices/new.txt").exists();
    tally.check(
        printer,
        refused,
        &format!("files__write_file refused by its contract: {}", short(&said(&answer))),
        &said(&answer),
    );
    let fetched = client.call("fetch__fetch", &json!({ "url": "http://127.0.0.1:9/" })).await?;
    tally.check(
        printer,
        fetched["isError"] == true,
        &format!("fetch reaches no host that its contract does not grant: {}", short(&said(&fetched))),
        &said(&fetched),
    );
    Ok(())
}

async fn ledger(reach: &Reach, printer: Printer, tally: &mut Tally) -> Result<(), Stop> {
    let tail = reach.get("/api/v1/log/tail?n=12").await?;
    let events: &[Value] = tail["events"].as_array().map_or(&[], Vec::as_slice);
    printer.note("  the ledger's newest events:");
    for event in events {
        printer.note(format!("    {}", crate::command::log::line(event)));
    }
    tally.check(printer, !events.is_empty(), "every call is in the ledger", "the ledger is empty");
    let report = reach.post("/api/v1/log/verify", &json!({})).await?;
    let good = report["ok"] == true;
    tally.check(
        printer,
        good,
        &format!("ledger verified: {} events, chain whole", report["events"]),
        &report.to_string(),
    );
    Ok(())
}

fn said(result: &Value) -> String {
    let parts = result["content"].as_array().into_iter().flatten();
    parts.filter_map(|c| c["text"].as_str()).collect::<Vec<_>>().join(" ")
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 100 { line.chars().take(99).chain(['…']).collect() } else { line }
}
