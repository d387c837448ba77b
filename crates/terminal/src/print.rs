//! What goes to the terminal: data to stdout, everything else to stderr, colour only where it is wanted.

use std::io::{IsTerminal, Write};

use crate::{
    args::{Color, Global},
    exit::Stop,
};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    json: bool,
    quiet: bool,
    color: bool,
}

// === impl Printer ===

impl Printer {
    /// As the options and the environment say.
    pub fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let set = |key: &str| std::env::var_os(key).is_some_and(|v| !v.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
                !set("NO_COLOR") && (set("CLICOLOR_FORCE") || (std::io::stderr().is_terminal() && !dumb))
            }
        };
        Self { json: global.json, quiet: global.quiet, color }
    }

    /// True when the reader is a program.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// One line of data.
    pub fn line(self, text: impl AsRef<str>) {
        write_all(&mut std::io::stdout().lock(), text.as_ref());
    }

    /// A JSON document. `value` should carry `schema` where it is a contract with scripts.
    pub fn json(self, value: &serde_json::Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.line(text);
    }

    /// A remark for a person.
    pub fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            write_all(&mut std::io::stderr().lock(), text.as_ref());
        }
    }

    /// A line for programs on standard error, where standard output belongs to somebody else.
    pub fn always(self, text: impl AsRef<str>) {
        write_all(&mut std::io::stderr().lock(), text.as_ref());
    }

    /// How far something is: one line of the terminal that the next one replaces, and nothing where nobody watches.
    pub fn passing(self, text: &str) {
        let mut err = std::io::stderr().lock();
        if !self.quiet && !self.json && err.is_terminal() {
            let _closed = write!(err, "\r{text}\u{1b}[K\r").and_then(|()| err.flush());
        }
    }

    /// A step that worked.
    pub fn done(self, text: impl AsRef<str>) {
        self.note(format!("{} {}", self.paint("32", "✓"), text.as_ref()));
    }

    /// Something the user should look at.
    pub fn warn(self, text: impl AsRef<str>) {
        self.note(format!("{} {}", self.paint("33", "!"), text.as_ref()));
    }

    /// An error, with its code, cause and remedy.
    pub fn stop(self, stop: &Stop) {
        if self.json {
            let value = serde_json::json!({
                "schema": "cella/v1",
                "error": { "code": stop.code, "message": stop.message, "fix": stop.fix, "exit": stop.exit.number() },
            });
            self.json(&value);
            return;
        }
        if stop.rendered {
            write_all(&mut std::io::stderr().lock(), &stop.message);
            return;
        }
        let head = self.paint("1;31", &format!("error[{}]", stop.code));
        let mut text = format!("{head}: {}", stop.message);
        if let Some(fix) = &stop.fix {
            text.push_str(&format!("\n   = fix: {fix}"));
        }
        text.push_str(&format!("\n   = more: cella explain {}", stop.code));
        write_all(&mut std::io::stderr().lock(), &text);
    }

    /// Text in a colour (an SGR parameter), where colour is wanted.
    pub fn paint(self, sgr: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Columns, aligned; the first row is the head.
    pub fn table(self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0))
            .collect();
        for row in rows {
            let mut line = String::new();
            for (text, width) in row.iter().zip(&widths) {
                line.push_str(text);
                line.extend(std::iter::repeat_n(' ', width + 2 - text.chars().count().min(*width)));
            }
            self.line(line.trim_end());
        }
    }
}

/// A reader that closed the pipe (`cella log tail | head`) is no error of ours.
fn write_all(out: &mut dyn Write, text: &str) {
    let _closed_pipe = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
}
