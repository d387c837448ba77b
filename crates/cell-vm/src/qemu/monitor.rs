//! QEMU's own control socket (QMP): only a machine whose snapshot is to be taken has one.

use std::io;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

/// Bytes of one answer. Stops a broken machine from filling the node's memory; past it the answer cannot be read.
const ANSWER_BYTES: u64 = 64 << 10;

/// A machine under control.
#[derive(Debug)]
pub(super) struct Monitor {
    stream: BufReader<UnixStream>,
}

// === impl Monitor ===

impl Monitor {
    pub(super) async fn over(stream: UnixStream) -> io::Result<Self> {
        let mut monitor = Self { stream: BufReader::new(stream) };
        let _greeting = monitor.line().await?;
        monitor.order("qmp_capabilities", json!({})).await?;
        Ok(monitor)
    }

    /// Gives an order; its answer, or what is wrong with it.
    pub(super) async fn order(&mut self, name: &str, arguments: Value) -> io::Result<Value> {
        let order = json!({ "execute": name, "arguments": arguments }).to_string();
        self.stream.write_all(order.as_bytes()).await?;
        loop {
            let mut answer = self.line().await?;
            if let Some(returned) = answer.get_mut("return") {
                return Ok(returned.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(format!("{name}: {error}")));
            }
            // Everything else is an event.
        }
    }

    async fn line(&mut self) -> io::Result<Value> {
        let mut line = Vec::new();
        (&mut self.stream).take(ANSWER_BYTES).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&line)?)
    }
}
