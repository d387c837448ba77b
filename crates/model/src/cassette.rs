//! A recorded model: answers from a file, for demonstrations and tests that need no key and no network.
//!
//! The file is JSON lines, one answer each, in the order of the questions: `{"answer": {...}}`, with `"digest"` beside it where a
//! question must be exactly the one that was recorded. The run's own answers so far say which line is next, so that a run that is
//! taken up again goes on where it was.

use cella_dialogue::{Answer, Request, Turn};
use serde::{Deserialize, Serialize};

/// Answers in order.
#[derive(Clone, Debug)]
pub struct Cassette {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    answer: Answer,
}

/// Why a recording has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// A line is none.
    #[error("line {line} is no recorded answer: {why}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// More is asked than was recorded.
    #[error("question {asked} is asked, and {recorded} answers are recorded")]
    Over {
        /// Which question.
        asked: usize,
        /// How many answers there are.
        recorded: usize,
    },
    /// Another question is asked than was recorded.
    #[error("question {asked} is not the one that was recorded: expected {expected}, got {got}")]
    Other {
        /// Which question.
        asked: usize,
        /// The digest in the recording.
        expected: String,
        /// The digest of what is asked.
        got: String,
    },
}

impl Cassette {
    /// Reads a recording.
    ///
    /// # Errors
    /// [`CassetteError::Line`].
    pub fn parse(text: &str) -> Result<Self, CassetteError> {
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let parsed = serde_json::from_str(line);
            lines.push(parsed.map_err(|e| CassetteError::Line { line: at + 1, why: e.to_string() })?);
        }
        Ok(Self { lines })
    }

    /// The answer to a request whose digest is this one.
    ///
    /// # Errors
    /// [`CassetteError`].
    pub fn answer(&self, request: &Request, digest: &str) -> Result<Answer, CassetteError> {
        let answered = request.turns.iter().filter(|turn| matches!(turn, Turn::Assistant(_))).count();
        let over = || CassetteError::Over { asked: answered + 1, recorded: self.lines.len() };
        let line = self.lines.get(answered).ok_or_else(over)?;
        match &line.digest {
            Some(expected) if expected != digest => Err(CassetteError::Other {
                asked: answered + 1,
                expected: expected.clone(),
                got: digest.to_owned(),
            }),
            _ => Ok(line.answer.clone()),
        }
    }

    /// One line of a recording.
    #[must_use]
    pub fn line(digest: Option<String>, answer: &Answer) -> String {
        let line = Line { digest, answer: answer.clone() };
        // Our own types have text keys only.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use cella_dialogue::{Assistant, Stop, Usage};

    use super::*;

    fn answer(text: &str) -> Answer {
        let turn = Assistant { text: text.into(), ..Assistant::default() };
        Answer { turn, stop: Stop::End, usage: Usage::default(), model: "m".into() }
    }

    #[test]
    fn the_runs_own_answers_say_which_is_next_and_another_question_is_refused() {
        let text = format!(
            "{}\n\n{}\n",
            Cassette::line(None, &answer("one")),
            Cassette::line(Some("d2".into()), &answer("two"))
        );
        let cassette = Cassette::parse(&text).expect("a recording");
        let mut request = Request::default();
        assert_eq!(cassette.answer(&request, "x"), Ok(answer("one")));
        request.turns.push(Turn::Assistant(Assistant::default()));
        assert_eq!(cassette.answer(&request, "d2"), Ok(answer("two")));
        assert!(matches!(cassette.answer(&request, "x"), Err(CassetteError::Other { asked: 2, .. })));
        request.turns.push(Turn::Assistant(Assistant::default()));
        assert_eq!(cassette.answer(&request, "x"), Err(CassetteError::Over { asked: 3, recorded: 2 }));
        assert!(matches!(Cassette::parse("{}"), Err(CassetteError::Line { line: 1, .. })));
    }
}
