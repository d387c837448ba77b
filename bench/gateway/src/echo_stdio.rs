//! The echo server on standard input and output.

use std::io::{BufRead, BufReader, Write};

use crate::echo::{Answer, Echo};

/// Serves until its input ends. Blocking on purpose: one reader, one writer, nothing to wait for in between.
pub fn serve(tools: u16) -> Result<(), String> {
    let echo = Echo::new(tools);
    let mut input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let mut output = std::io::stdout().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(|e| e.to_string())? == 0 {
            return Ok(());
        }
        if let Answer::Reply(mut text) | Answer::Session(mut text) = echo.answer(&line) {
            text.push('\n');
            output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|e| e.to_string())?;
        }
    }
}
