//! `cella call SERVER TOOL JSON`: one call, by way of the running node or, when none runs, of one started for it.

use std::{io::Read, time::Duration};

use serde_json::Value;

use crate::{
    args::{Call, Global},
    codes,
    exit::{self, Code, Outcome, Stop},
    mcp_client::McpClient,
    print::Printer,
    single_keys, target,
};

pub(crate) async fn run(args: Call, global: &Global, printer: Printer) -> Outcome {
    let arguments = arguments(&args.arguments)?;
    let limit = Duration::from_secs(args.timeout);
    if let Some(reach) = target::running(global, &args.target)? {
        let client = McpClient::of_server(&reach, &args.server).await?;
        return call(&client, &args.tool, &arguments, limit, printer).await;
    }
    let places = target::places(global);
    if !places.config.is_file() {
        target::must_run(global, &args.target)?;
    }
    // No node: one is started for this call alone, with its ledger, and stopped again.
    let mut options = cella_node::Options::new(places);
    options.http = false;
    let running = cella_node::start(options).await?;
    let reach = target::Reach::Socket(running.socket().to_path_buf());
    let outcome = match McpClient::of_server(&reach, &args.server).await {
        Ok(client) => call(&client, &args.tool, &arguments, limit, printer).await,
        Err(stop) => Err(stop),
    };
    running.drain().await;
    outcome
}

async fn call(
    client: &McpClient,
    tool: &str,
    arguments: &Value,
    limit: Duration,
    printer: Printer,
) -> Outcome {
    let answer = tokio::time::timeout(limit, client.call(tool, arguments)).await.map_err(|_| {
        Stop::new(Code::TimedOut, codes::TIMED_OUT, format!("no answer within {} s", limit.as_secs()))
            .fix("give it more: --timeout SECONDS")
    })??;
    let failed = answer["isError"] == true;
    let fault = &answer["_meta"]["dev.cella/fault"];
    let exit = exit::of_kind(fault["kind"].as_str().filter(|_| failed));
    if failed && fault["code"].is_string() && !printer.is_json() {
        return Err(not_made(&answer, fault, exit));
    }
    if printer.is_json() {
        printer.json(&answer);
    } else {
        for part in answer["content"].as_array().into_iter().flatten() {
            printer.line(shown(part));
        }
    }
    Ok(if failed { exit } else { Code::Ok })
}

/// A call that Cella did not make or could not finish; what the tool itself reports is data and not an error of ours.
fn not_made(answer: &Value, fault: &Value, exit: Code) -> Stop {
    let text = answer["content"][0]["text"].as_str().unwrap_or("the call was not made");
    let code = fault["code"].as_str().unwrap_or(codes::PEER);
    let message = text.lines().next().unwrap_or(text).replace(&format!(" [{code}]"), "");
    let stop = Stop::new(exit, code, message);
    match fault["fix"].as_str() {
        Some(fix) => stop.fix(fix),
        None => stop.fix("see how the server is: cella status"),
    }
}

fn arguments(text: &str) -> Result<Value, Stop> {
    let text = if text == "-" {
        let mut read = String::new();
        std::io::stdin().read_to_string(&mut read).map_err(Stop::system("standard input"))?;
        read
    } else {
        text.to_owned()
    };
    let usage = |what: String| {
        Stop::new(Code::Usage, codes::ARGUMENTS, what)
            .fix("write them as a JSON object: '{\"path\": \"/tmp\"}'")
    };
    let value: Value =
        serde_json::from_str(&text).map_err(|e| usage(format!("the arguments are not JSON: {e}")))?;
    if !value.is_object() {
        return Err(usage("the arguments are not a JSON object".into()));
    }
    single_keys::check(&text).map_err(|e| {
        Stop::new(Code::Usage, codes::ARGUMENTS, format!("the arguments are not clear: {e}"))
            .fix("keep one of the two; a list of values is written [1, 2]")
    })?;
    Ok(value)
}

/// One part of a result for a person: text as it is, anything else by its kind and size.
fn shown(part: &Value) -> String {
    match (part["text"].as_str(), part["type"].as_str()) {
        (Some(text), _) => text.to_owned(),
        (None, Some("resource")) => part["resource"]["text"].as_str().unwrap_or("[resource]").to_owned(),
        (None, Some("resource_link")) => format!("[resource {}]", part["uri"].as_str().unwrap_or("?")),
        (None, kind) => {
            let bytes = part["data"].as_str().map_or(0, |d| d.len() / 4 * 3);
            format!(
                "[{} {} of about {bytes} bytes]",
                kind.unwrap_or("?"),
                part["mimeType"].as_str().unwrap_or("")
            )
        }
    }
}
