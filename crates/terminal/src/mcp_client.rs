//! An MCP client of the node, by the same links that the node uses towards servers.

use std::sync::Arc;

use cella_link::{Endpoint, Link, LinkEvent, LinkOptions, Wire};
use cella_mcp::{ListKind, Raw, raw_json};
use cella_transport::{Call, Caller, Exchange, Failure, FaultKind, Scope, Step};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    codes,
    exit::{self, Code, Stop},
    target::Reach,
};

/// A connection to one MCP endpoint of the node.
#[derive(Debug)]
pub struct McpClient {
    link: Link,
    /// The server behind the path, or what stands for it in a remedy.
    server: String,
    /// Kept open, because a link whose owner is gone closes.
    events: mpsc::Receiver<LinkEvent>,
}

// === impl McpClient ===

impl McpClient {
    /// Connects to a path of the node, for example `/mcp/servers/time`.
    pub async fn open(reach: &Reach, path: &str) -> Result<Self, Stop> {
        let endpoint = match reach {
            Reach::Socket(socket) => {
                let mut endpoint = Endpoint::new(format!("http://localhost{path}"));
                endpoint.unix = Some(socket.clone());
                endpoint
            }
            Reach::Http { base, token } => {
                let mut endpoint = Endpoint::new(format!("{base}{path}"));
                endpoint.headers.push(("Authorization".into(), format!("Bearer {token}")));
                endpoint
            }
        };
        let (tell, events) = mpsc::channel(8);
        let link = Link::open(Wire::Http(endpoint), LinkOptions::new("cella"), tell).await;
        let link = link.map_err(|e| {
            let exit = match e.kind() {
                FaultKind::AuthRequired => Code::Auth,
                _ => Code::Unavailable,
            };
            Stop::new(exit, e.code(), &e)
                .fix("see which servers there are: cella ls; and how they are: cella status")
        })?;
        let server = path.rsplit_once("/servers/").map_or("SERVER", |(_, server)| server).to_owned();
        Ok(Self { link, server, events })
    }

    /// Connects to one server's endpoint. When that fails because there is no such server, the answer says which there
    /// are.
    pub async fn of_server(reach: &Reach, server: &str) -> Result<Self, Stop> {
        let stop = match Self::open(reach, &format!("/mcp/servers/{server}")).await {
            Ok(client) => return Ok(client),
            Err(stop) => stop,
        };
        let Ok(status) = reach.get("/api/v1/status").await else { return Err(stop) };
        let servers = status["servers"].as_array().into_iter().flatten();
        let names: Vec<&str> = servers.filter_map(|s| s["name"].as_str()).collect();
        if names.contains(&server) {
            return Err(stop);
        }
        let fix = if names.is_empty() {
            "the configuration has none: cella add, or cella import".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        Err(Stop::new(Code::Usage, codes::SERVER_NAME, format!("there is no server `{server}`")).fix(fix))
    }

    /// The link, and what it tells.
    pub fn into_parts(self) -> (Link, mpsc::Receiver<LinkEvent>) {
        (self.link, self.events)
    }

    /// The tools, each as the node offers it.
    pub async fn tools(&self) -> Result<Vec<Value>, Stop> {
        Ok(self.tools_and_missing().await?.0)
    }

    /// The tools, and what is missing of them and why.
    pub async fn tools_and_missing(&self) -> Result<(Vec<Value>, Value), Stop> {
        let (mut tools, mut cursor, mut missing) = (Vec::new(), None::<String>, Value::Null);
        loop {
            let params = cursor.as_ref().map_or_else(|| json!({}), |c| json!({ "cursor": c }));
            let page = self.request(ListKind::Tools.method(), &params).await?;
            tools.extend(page["tools"].as_array().cloned().unwrap_or_default());
            if !page["_meta"]["dev.cella/missing"].is_null() {
                missing = page["_meta"]["dev.cella/missing"].clone();
            }
            match page["nextCursor"].as_str() {
                Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
                _ => return Ok((tools, missing)),
            }
        }
    }

    /// Calls a tool; a tool's own error is a result with `isError`.
    pub async fn call(&self, tool: &str, arguments: &Value) -> Result<Value, Stop> {
        let params = json!({ "name": tool, "arguments": arguments });
        self.send("tools/call", &params).await?.map_err(|failure| match failure {
            Failure::Fault(fault) if fault.kind == FaultKind::Crashed => node_ended_in(tool, fault.in_doubt),
            other => self.stop(other),
        })
    }

    async fn request(&self, method: &str, params: &Value) -> Result<Value, Stop> {
        self.send(method, params).await?.map_err(|failure| self.stop(failure))
    }

    async fn send(&self, method: &str, params: &Value) -> Result<Result<Value, Failure>, Stop> {
        let params: Raw = raw_json(params.to_string()).map_err(|e| {
            Stop::new(Code::Usage, codes::ARGUMENTS, format!("the arguments cannot be sent: {e:?}"))
                .fix("write them as a JSON object: '{\"path\": \"/tmp\"}'")
        })?;
        let call = Call {
            scope: Scope::All,
            id: None,
            method: method.into(),
            params: Some(params),
            caller: Arc::new(Caller::cella()),
            param_headers: Vec::new(),
            own_headers: Vec::new(),
        };
        match finish(self.link.call(call).await).await {
            Ok(result) => serde_json::from_str(result.get()).map(Ok).map_err(|e| {
                Stop::new(Code::Failed, codes::PEER, format!("the server's answer cannot be read: {e}"))
                    .fix("look at it as it came: cella log tail, then cella log show NUMBER")
            }),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// A failure as the user sees it. The peer of this link is the node: what ends it, is the node's end.
    fn stop(&self, failure: Failure) -> Stop {
        match failure {
            Failure::Peer(error) => {
                let data: Value =
                    error.data.as_ref().and_then(|d| serde_json::from_str(d.get()).ok()).unwrap_or_default();
                let exit = exit::of_kind(data["kind"].as_str());
                // An error of the server itself passes through and has no code of Cella's.
                let stop = Stop::new(exit, data["code"].as_str().unwrap_or(codes::PEER), error.message);
                match data["fix"].as_str() {
                    Some(fix) => stop.fix(fix),
                    None => stop.fix(format!("see what the server offers: cella tools {}", self.server)),
                }
            }
            Failure::Fault(fault) if fault.kind == FaultKind::Crashed => {
                Stop::new(Code::Unavailable, codes::NODE_ENDED, "the node ended before it answered")
                    .fix("start it: cella up")
            }
            Failure::Fault(fault) => {
                let stop = Stop::new(Code::Unavailable, fault.code, &fault.message);
                match fault.fix {
                    Some(fix) => stop.fix(fix),
                    None => stop,
                }
            }
        }
    }
}

/// The node's end in the middle of a call. Its ledger knows more than the connection that broke.
fn node_ended_in(tool: &str, in_doubt: bool) -> Stop {
    if !in_doubt {
        return Stop::new(Code::Unavailable, codes::NODE_ENDED, "the node ended before it had the call")
            .fix("start it: cella up; then call again");
    }
    let message = "the node ended; whether the call took effect is unknown";
    Stop::new(Code::Unavailable, codes::NODE_ENDED, message)
        .fix(format!("start `cella up`, then `cella log query --tool {tool}` and `cella log why N`"))
}

async fn finish(mut exchange: Exchange) -> Result<Raw, Failure> {
    loop {
        match exchange.next().await {
            Step::Notify(_) => {}
            Step::Ask(ask) => {
                // Cella's command line declares no such capability, so a server that asks anyway is told.
                let refusal = cella_mcp::RpcError {
                    code: -32601,
                    message: "nobody is here to answer".into(),
                    data: None,
                };
                exchange.answer(ask.key, Err(refusal));
            }
            Step::Done(answer) => return answer.outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_node_in_a_call_leaves_its_effect_open() {
        let stop = node_ended_in("pay", true);
        assert_eq!((stop.exit, stop.code.as_str()), (Code::Unavailable, "CE6021"));
        assert!(stop.message.contains("unknown"), "{stop:?}");
        assert!(stop.fix.is_some_and(|fix| fix.contains("--tool pay")));
        assert!(!node_ended_in("pay", false).message.contains("unknown"));
    }
}
