//! `cella stdio`: one client on standard input and output, by way of the running node.
//!
//! The node answers on its unix socket, so the client's file needs no token. When no node runs, one is started for this
//! client alone.

use std::time::Duration;

use cella_door::{DoorOptions, Doors, limits::Limits};

use crate::{
    args::{Global, Stdio},
    exit::{Code, Outcome, Stop},
    mcp_client::McpClient,
    relay::Relay,
    target::{self, Reach},
};

/// Time for calls in progress after the client closed its end.
const DRAIN: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: Stdio, global: &Global) -> Outcome {
    let path = match (&args.server, &args.view) {
        (Some(server), _) => format!("/mcp/servers/{server}"),
        (None, Some(view)) => format!("/mcp/views/{view}"),
        (None, None) => "/mcp".to_owned(),
    };
    if let Some(reach) = target::running(global, &args.target)? {
        return serve(&reach, &path).await;
    }
    let mut options = cella_node::Options::new(target::places(global));
    options.http = false;
    let running = cella_node::start(options).await?;
    let outcome = serve(&Reach::Socket(running.socket().to_path_buf()), &path).await;
    running.drain().await;
    outcome
}

async fn serve(reach: &Reach, path: &str) -> Outcome {
    let (link, events) = McpClient::open(reach, path).await?.into_parts();
    // The door seals nothing that outlives this process, so any key will do.
    let options =
        DoorOptions { hosts: Vec::new(), origins: Vec::new(), key: fresh_key(), limits: Limits::default() };
    let doors = Doors::new(Relay::new(link, events), options);
    let served = doors.serve_stdio(tokio::io::stdin(), tokio::io::stdout(), "local".into()).await;
    doors.drain(DRAIN).await;
    served.map_err(Stop::system("standard input and output"))?;
    Ok(Code::Ok)
}

fn fresh_key() -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let hash = Sha256::new()
        .chain_update(moment.as_nanos().to_le_bytes())
        .chain_update(std::process::id().to_le_bytes());
    hash.finalize().into()
}
