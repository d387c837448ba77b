//! Asking the person at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use crate::exit::{Code, Stop};

/// A yes-or-no question. Without a terminal nobody can answer, and that is an error rather than a silent no.
pub(crate) fn confirm(question: &str) -> Result<bool, Stop> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Stop::new(Code::Usage, format!("{question} There is no terminal to ask on")).fix("add --yes")
        );
    }
    let mut err = std::io::stderr().lock();
    let _best_effort = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}
