//! `cella stdio`: one client on standard input and output, by way of the running node.
//!
//! The node answers on its unix socket, so the client's file needs no token. When no node runs, one is started that stays
//! for the next client ([`super::linger`]).

mod starting;

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

/// How often a node is reached for. One that ends for want of clients may take a last one's connection along; past it
/// the client is told.
const REACHED_FOR: u32 = 3;

pub(crate) async fn run(args: Stdio, global: &Global) -> Outcome {
    let path = match (&args.server, &args.view) {
        (Some(server), _) => format!("/mcp/servers/{server}"),
        (None, Some(view)) => format!("/mcp/views/{view}"),
        (None, None) => "/mcp".to_owned(),
    };
    let mut left = REACHED_FOR;
    let client = loop {
        let reach = match target::running(global, &args.target)? {
            Some(reach) => reach,
            None => starting::node(global, &args).await?,
        };
        left -= 1;
        match McpClient::open(&reach, &path).await {
            Ok(client) => break client,
            Err(_) if left > 0 && has_ended(&reach) => {}
            Err(stop) => return Err(stop),
        }
    };
    serve(client).await
}

fn has_ended(reach: &Reach) -> bool {
    matches!(reach, Reach::Socket(socket) if std::os::unix::net::UnixStream::connect(socket).is_err())
}

async fn serve(client: McpClient) -> Outcome {
    let (link, events) = client.into_parts();
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
