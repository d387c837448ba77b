//! Asking the person at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use crate::{
    codes,
    exit::{Code, Stop},
};

/// A yes-or-no question. Without a terminal nobody can answer, and that is an error rather than a silent no.
pub(crate) fn confirm(question: &str) -> Result<bool, Stop> {
    if !std::io::stdin().is_terminal() {
        return Err(Stop::new(
            Code::Usage,
            codes::NO_TERMINAL,
            format!("\"{question}\" cannot be asked: standard input is no terminal"),
        )
        .fix("add --yes to go ahead, or --dry-run to look first"));
    }
    let mut err = std::io::stderr().lock();
    let _best_effort = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Stop::system("standard input"))?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}
