//! Asking the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Stdin, Write};

use cella_vault::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{
    codes,
    exit::{Code, Stop},
};

/// A yes-or-no question. Without a terminal nobody can answer, and that is an error rather than a silent no.
pub fn confirm(question: &str) -> Result<bool, Stop> {
    if !io::stdin().is_terminal() {
        return Err(Stop::new(
            Code::Usage,
            codes::NO_TERMINAL,
            format!("\"{question}\" cannot be asked: standard input is no terminal"),
        )
        .fix("add --yes to go ahead, or --dry-run to look first"));
    }
    let mut err = io::stderr().lock();
    let _best_effort = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Stop::system("standard input"))?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// What a person says to a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it is.
    Yes,
    /// Not at all, or no clear answer.
    No,
    /// Changed first.
    Edit,
}

/// True when somebody is there who can be asked.
pub fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Asks whether something is to be taken as it is, changed first, or left. Anything else than a clear answer leaves it.
pub fn choose(question: &str) -> Result<Answer, Stop> {
    let mut err = io::stderr().lock();
    let _best_effort = write!(err, "{question} [y/N/edit] ").and_then(|()| err.flush());
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Stop::system("standard input"))?;
    Ok(match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        "e" | "edit" => Answer::Edit,
        _ => Answer::No,
    })
}

/// A line that is typed at the terminal, which shows nothing of it. It stops showing before it asks: who pastes at once
/// would see the value otherwise.
pub fn hidden(question: &str) -> io::Result<Secret> {
    let stdin = io::stdin();
    let hidden = Hidden::begin(&stdin)?;
    let mut err = io::stderr().lock();
    write!(err, "{question}: ").and_then(|()| err.flush())?;
    // In one piece from the start: a text that grows leaves copies of itself behind.
    let mut line = String::with_capacity(cella_vault::VALUE_BYTES_MAX);
    let read = stdin.lock().read_line(&mut line);
    drop(hidden);
    let _best_effort = writeln!(err);
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    read.map(|_| Secret::from(line))
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

// === impl Hidden ===

impl<'a> Hidden<'a> {
    fn begin(terminal: &'a Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ECHO);
        // What was typed before the question is no answer to it.
        tcsetattr(terminal, OptionalActions::Flush, &now)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _gone_with_the_terminal = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
