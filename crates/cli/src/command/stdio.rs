//! `cella stdio`: one client on standard input and output, by way of the running node.
//!
//! The node answers on its unix socket, so the client's file needs no token. When no node runs, one is started for this
//! client alone.

use std::time::Duration;

use cella_door::{DoorOptions, Doors, limits::Limits};

use crate::{
    args::{Global, Stdio},
    codes,
    exit::{Code, Outcome, Stop},
    mcp_client::McpClient,
    relay::Relay,
    target::{self, Reach},
};

/// Time for calls in progress after the client closed its end.
const DRAIN: Duration = Duration::from_secs(2);

/// How often a node that another process starts is looked for: five seconds in all.
const START_LOOKS: u32 = 50;
/// Time between two looks.
const START_LOOK: Duration = Duration::from_millis(100);

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
    let running = match cella_node::start(options).await {
        Ok(running) => running,
        // Several clients that start at once: one of them made the node, and the others use it.
        Err(error) if error.is_held() => return join(&args, global, &path, error).await,
        Err(error) => return Err(error.into()),
    };
    let outcome = serve(&Reach::Socket(running.socket().to_path_buf()), &path).await;
    running.drain().await;
    outcome
}

/// Waits for the node that another process is starting at this moment.
async fn join(args: &Stdio, global: &Global, path: &str, held: cella_node::StartError) -> Outcome {
    for _ in 0..START_LOOKS {
        tokio::time::sleep(START_LOOK).await;
        if let Some(reach) = target::running(global, &args.target)? {
            return serve(&reach, path).await;
        }
    }
    Err(held.into())
}

async fn serve(reach: &Reach, path: &str) -> Outcome {
    let (link, events) = McpClient::open(reach, path).await?.into_parts();
    // The door seals nothing that outlives this process, so any key will do.
    let options =
        DoorOptions { hosts: Vec::new(), origins: Vec::new(), key: fresh_key()?, limits: Limits::default() };
    let doors = Doors::new(Relay::new(link, events), options);
    let served = doors.serve_stdio(tokio::io::stdin(), tokio::io::stdout(), "local".into()).await;
    doors.drain(DRAIN).await;
    served.map_err(Stop::system("standard input and output"))?;
    Ok(Code::Ok)
}

fn fresh_key() -> Result<[u8; 32], Stop> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|e| Stop::new(Code::Failed, codes::SYSTEM, format!("no random numbers: {e}")))?;
    Ok(key)
}
