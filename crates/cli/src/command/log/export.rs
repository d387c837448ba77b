//! `cella log export`: the ledger as a file that anybody can check.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use bytes::Bytes;
use http_body_util::BodyExt;

use super::{Source, source};
use crate::{
    args::{Global, Target},
    codes,
    exit::{Code, Outcome, Stop},
};

/// How the last line of a whole export begins (`spec/event-v1.md`, section 6).
const LAST_LINE: &[u8] = b"{\"head\"";

/// Most of a line that is remembered, in bytes: a reason for breaking off fits, a payload need not.
const REMEMBERED_BYTES: usize = 4096;

/// Writes through, and remembers how the last line begins: without its last line an export was cut off.
struct Lines<W> {
    out: W,
    begun: Vec<u8>,
    ended: bool,
}

pub(super) async fn run(output: Option<PathBuf>, payloads: bool, at: &Target, global: &Global) -> Outcome {
    let name = output.as_ref().map_or_else(|| "standard output".to_owned(), |p| p.display().to_string());
    let out: Box<dyn Write> = match &output {
        Some(path) => Box::new(io::BufWriter::new(std::fs::File::create(path).map_err(Stop::system(&name))?)),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = Lines::new(out);
    match source(at, global)? {
        Source::File(history) => history.export(payloads, &mut out).map_err(Stop::from)?,
        Source::Node(reach) => {
            let path = format!("/api/v1/log/export?payloads={}", u8::from(payloads));
            let mut body = reach.request("GET", &path, Bytes::new()).await?.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| cut_off(out.reason().unwrap_or_else(|| e.to_string())))?;
                out.write_all(frame.data_ref().map_or(&[], |d| &d[..])).map_err(Stop::system(&name))?;
            }
        }
    }
    out.flush().map_err(Stop::system(&name))?;
    if out.is_whole() { Ok(Code::Ok) } else { Err(cut_off("it lacks its last line".into())) }
}

fn cut_off(why: String) -> Stop {
    Stop::new(Code::Failed, codes::BROKE_OFF, format!("the export was cut off: {why}"))
        .fix("see the node's log for the reason, then export again; `cella log verify` names what is damaged")
}

// === impl Lines ===

impl<W: Write> Lines<W> {
    const fn new(out: W) -> Self {
        Self { out, begun: Vec::new(), ended: true }
    }

    fn is_whole(&self) -> bool {
        self.ended && self.begun.starts_with(LAST_LINE)
    }

    /// What the node said when it broke off.
    fn reason(&self) -> Option<String> {
        let line: serde_json::Value = serde_json::from_slice(&self.begun).ok()?;
        line["error"]["message"].as_str().map(str::to_owned)
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        for byte in &bytes[..written] {
            if self.ended {
                self.begun.clear();
            }
            self.ended = *byte == b'\n';
            if self.begun.len() < REMEMBERED_BYTES && !self.ended {
                self.begun.push(*byte);
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_with_its_last_line_is_whole() {
        let whole = |parts: &[&str]| {
            let mut lines = Lines::new(Vec::new());
            for part in parts {
                lines.write_all(part.as_bytes()).expect("written");
            }
            lines.is_whole()
        };
        let (first, event) = ("{\"cella\":\"ledger\"}\n", "{\"event\":{}}\n");
        assert!(whole(&[first, event, "{\"head\":{}}\n"]));
        assert!(whole(&[first, event, "{\"he", "ad\":{}}", "\n"]));
        assert!(!whole(&[first, event]));
        assert!(!whole(&[first, event, "{\"head\":"]));
        assert!(!whole(&[]));
    }

    #[test]
    fn the_reason_for_breaking_off_is_the_last_line() {
        let mut lines = Lines::new(Vec::new());
        lines.write_all(b"{\"event\":{}}\n{\"error\":{\"message\":\"why\"}}\n").expect("written");
        assert_eq!(lines.reason().as_deref(), Some("why"));
    }
}
