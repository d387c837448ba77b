//! The plain form of a diagnostic: no colours, no width, the same in a terminal, a log and an HTTP answer.

use std::fmt;

use super::Diagnostic;

/// Characters of a source line that are shown before the marked part; a longer line is cut.
const BEFORE: usize = 60;
/// Characters of a source line that are shown in all.
const WIDTH: usize = 110;

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}[{}]: {}", self.severity.as_str(), self.code, self.message)?;
        writeln!(f, "  --> {}:{}:{}", self.file, self.line, self.column)?;
        let margin = self.line.to_string().len();
        let (shown, indent, marked) = self.window();
        writeln!(f, "{:margin$} |", "")?;
        writeln!(f, "{} | {shown}", self.line)?;
        write!(f, "{:margin$} | {indent}{}", "", "^".repeat(marked))?;
        writeln!(f, "{}{}", if self.label.is_empty() { "" } else { " " }, self.label)?;
        for (name, text) in [("cause", &self.cause), ("fix", &self.fix)] {
            if let Some(text) = text {
                let name = format!("{name}:");
                writeln!(f, "{:margin$} = {name:<7}{text}", "")?;
            }
        }
        Ok(())
    }
}

impl Diagnostic {
    /// The part of the line that is shown, what stands before the carets, and how many carets.
    fn window(&self) -> (String, String, usize) {
        let line: Vec<char> = self.source_line.chars().collect();
        let column = (self.column as usize).saturating_sub(1).min(line.len());
        let start = if line.len() > WIDTH { column.saturating_sub(BEFORE) } else { 0 };
        let end = line.len().min(start + WIDTH);
        let mut shown: String = line[start..end].iter().map(|c| visible(*c)).collect();
        if end < line.len() {
            shown.push('…');
        }
        // A tab stays a tab, else the carets would stand elsewhere.
        let mut indent: String =
            line[start..column].iter().map(|c| if *c == '\t' { '\t' } else { ' ' }).collect();
        if start > 0 {
            shown.insert(0, '…');
            indent.insert(0, ' ');
        }
        let bytes: usize = line[..column].iter().map(|c| c.len_utf8()).sum();
        let rest = &self.source_line[bytes..];
        let marked = rest.char_indices().take_while(|(at, _)| *at < self.span.len()).count();
        (shown, indent, marked.min(end - column).max(1))
    }
}

/// Control characters could move the cursor or colour the terminal.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}
