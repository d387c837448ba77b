//! `cella tools`: what clients see.

use serde_json::json;

use crate::{
    args::{Global, Tools},
    exit::{Code, Outcome},
    mcp_client::McpClient,
    print::Printer,
    target,
};

pub(crate) async fn run(args: Tools, global: &Global, printer: Printer) -> Outcome {
    let reach = target::must_run(global, &args.target)?;
    let client = match (&args.server, &args.view) {
        (Some(server), _) => McpClient::of_server(&reach, server).await?,
        (None, Some(view)) => McpClient::open(&reach, &format!("/mcp/views/{view}")).await?,
        (None, None) => McpClient::open(&reach, "/mcp").await?,
    };
    let (tools, missing) = client.tools_and_missing().await?;
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "tools": tools, "missing": missing }));
    } else {
        let mut rows = vec![["TOOL", "WHAT IT DOES"].map(str::to_owned).to_vec()];
        for tool in &tools {
            let text = tool["description"].as_str().unwrap_or_default();
            let line = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
            let short: String = line.chars().take(90).collect();
            rows.push(vec![tool["name"].as_str().unwrap_or_default().to_owned(), short]);
        }
        printer.table(&rows);
    }
    for gap in missing.as_array().into_iter().flatten() {
        let text = |key: &str| gap[key].as_str().unwrap_or_default().to_owned();
        printer.warn(format!("{} is missing ({}): {}", text("server"), text("status"), text("error")));
    }
    let whole = missing.as_array().is_none_or(Vec::is_empty);
    Ok(if whole { Code::Ok } else { Code::Degraded })
}
