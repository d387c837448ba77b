//! Which tools does Cella bring along? `files`, `time` and `fetch`, as ordinary MCP servers on standard input and output; and
//! two that play along in the demo's story.
//!
//! They know nothing of the rest of Cella and enjoy no privilege: the node starts them in a cell under a contract like
//! anybody else's server. What a built-in may touch is the contract's business; the checks in here only make for better
//! messages.

mod fetch;
mod files;
mod page;
mod play;
mod time;

pub use fetch::Fetch;
pub use files::Files;
pub use play::{Bank, Mail};
pub use time::Time;

use std::path::PathBuf;

use rmcp::{ServiceExt, transport::stdio};

/// The names of the built-in servers, as `command = "builtin:NAME"` and `cella serve NAME` spell them.
pub const NAMES: [&str; 3] = ["fetch", "files", "time"];

/// Why a built-in server could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No built-in server has this name.
    #[error("there is no built-in server `{0}`; there are {names}", names = NAMES.join(", "))]
    Unknown(String),
    /// The MCP connection could not be set up or broke.
    #[error("the connection to the client failed: {0}")]
    Connection(String),
    /// No runtime could be started.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Serves one built-in server on standard input and output until the client closes it.
///
/// `args` are the server's own: for `files` the directories it offers.
///
/// # Errors
/// An unknown name, or a connection that fails before it is established.
pub fn serve(name: &str, args: &[String]) -> Result<(), ServeError> {
    // One thread is enough for a server with one client, and costs the least memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        match name {
            "files" => run(Files::new(args.iter().map(PathBuf::from).collect())).await,
            "time" => run(Time::new()).await,
            "fetch" => run(Fetch::new()).await,
            // Not among the names: they are of use in the demo alone.
            "play-bank" => run(Bank::new(args.first().map(PathBuf::from).unwrap_or_default())).await,
            "play-mail" => run(Mail::new(args.first().map(PathBuf::from).unwrap_or_default())).await,
            other => Err(ServeError::Unknown(other.to_owned())),
        }
    });
    // A read of standard input may still be blocked; it ends with the process.
    runtime.shutdown_background();
    served
}

async fn run<S: rmcp::ServerHandler>(server: S) -> Result<(), ServeError> {
    let broken = |e: &dyn std::fmt::Display| ServeError::Connection(e.to_string());
    let running = server.serve(stdio()).await.map_err(|e| broken(&e))?;
    running.waiting().await.map_err(|e| broken(&e))?;
    Ok(())
}
