//! Rust source as tokens, with the lines that belong to tests marked.
//!
//! A lexer of our own instead of `syn`: tidy needs words, nesting and line numbers, must read files that do not
//! parse yet, and must itself build in seconds.

use std::ops::RangeInclusive;

/// What a token is. Comments and white space are no tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword, without `r#`.
    Word,
    /// The content of a string literal, escapes left as written.
    Str,
    /// A number, character, byte or lifetime.
    Other,
    /// One character of punctuation.
    Mark(char),
}

/// One token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its kind.
    pub kind: Kind,
    /// Its text; for a string the content between the quotes.
    pub text: String,
    /// First and last line, counted from 1.
    pub lines: RangeInclusive<usize>,
    /// True inside `#[cfg(test)]` items and in test files.
    pub test: bool,
}

/// A function with a body.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Where `fn` stands.
    pub line: usize,
    /// Lines from `fn` to the closing brace that hold code.
    pub code_lines: usize,
    /// True for test code.
    pub test: bool,
}

/// One leaf of a `use` tree.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// `std::fs::File`; a glob ends in `*`.
    pub path: String,
    /// Where it stands.
    pub line: usize,
    /// True for test code.
    pub test: bool,
}

impl Token {
    /// Where the token begins.
    #[must_use]
    pub fn line(&self) -> usize {
        *self.lines.start()
    }

    fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }
}

/// Reads a file. `all_test` marks every token as test code.
#[must_use]
pub fn tokens(text: &str, all_test: bool) -> Vec<Token> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, line: 1, out: Vec::new() };
    lexer.run();
    let mut out = lexer.out;
    if all_test {
        out.iter_mut().for_each(|t| t.test = true);
    } else {
        mark_tests(&mut out);
    }
    out
}

/// Every function with a body, nested ones included.
#[must_use]
pub fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = tokens.get(at + 1).filter(|n| token.is_word("fn") && n.kind == Kind::Word) else {
            continue;
        };
        let Some(open) = item_end(tokens, at).filter(|end| tokens[*end].is('{')) else { continue };
        let close = matching(tokens, open);
        found.push(Function {
            name: name.text.clone(),
            line: token.line(),
            code_lines: code_lines(&tokens[at..=close]),
            test: token.test,
        });
    }
    found
}

/// Every leaf of every `use` declaration.
#[must_use]
pub fn imports(tokens: &[Token]) -> Vec<Import> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        // `use<'a>` in a return type captures lifetimes and imports nothing
        if tokens[at].is_word("use") && !tokens.get(at + 1).is_some_and(|t| t.is('<')) {
            at = use_tree(tokens, at + 1, "", &mut found);
        }
        at += 1;
    }
    found
}

/// How many lines hold code.
#[must_use]
pub fn code_lines(tokens: &[Token]) -> usize {
    let mut count = 0;
    let mut last = 0;
    for token in tokens {
        let from = (*token.lines.start()).max(last + 1);
        let to = *token.lines.end();
        count += (to + 1).saturating_sub(from);
        last = last.max(to);
    }
    count
}

/// The `::`-joined path that begins at `at`, for example `std::fs::read`.
#[must_use]
pub fn path_at(tokens: &[Token], at: usize) -> String {
    let mut path = tokens[at].text.clone();
    let mut next = at + 1;
    while next + 2 < tokens.len()
        && tokens[next].is(':')
        && tokens[next + 1].is(':')
        && tokens[next + 2].kind == Kind::Word
    {
        path.push_str("::");
        path.push_str(&tokens[next + 2].text);
        next += 3;
    }
    path
}

/// True when the token at `at` is the last of the named path segments.
#[must_use]
pub fn ends_path(tokens: &[Token], at: usize, segments: &[&str]) -> bool {
    segments.iter().rev().enumerate().all(|(back, segment)| {
        at.checked_sub(3 * back).is_some_and(|i| {
            let joined = back == 0 || (tokens[i + 1].is(':') && tokens[i + 2].is(':'));
            joined && tokens[i].is_word(segment)
        })
    })
}

/// The index of the bracket that closes the one at `open`; the last token if none does.
fn matching(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('{' | '(' | '[') => depth += 1,
            Kind::Mark('}' | ')' | ']') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len() - 1
}

/// The `;` or `{` at which the head of the item at `from` ends.
fn item_end(tokens: &[Token], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Mark(';' | '{') => return Some(at),
            Kind::Mark('(' | '[') => at = matching(tokens, at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn use_tree(tokens: &[Token], from: usize, prefix: &str, found: &mut Vec<Import>) -> usize {
    let mut path = prefix.to_owned();
    let mut at = from;
    let leaf = |path: &str, at: usize, found: &mut Vec<Import>| {
        if path != prefix {
            found.push(Import { path: path.to_owned(), line: tokens[at].line(), test: tokens[at].test });
        }
    };
    while let Some(token) = tokens.get(at) {
        match &token.kind {
            Kind::Mark('{') => {
                let mut inner = use_tree(tokens, at + 1, &path, found);
                while tokens.get(inner).is_some_and(|t| t.is(',')) {
                    inner = use_tree(tokens, inner + 1, &path, found);
                }
                return inner + 1;
            }
            Kind::Mark(';' | ',' | '}') => {
                leaf(&path, at - 1, found);
                return at;
            }
            Kind::Mark(':') => {}
            Kind::Word if token.text == "as" => at += 1,
            _ => {
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(&token.text);
            }
        }
        at += 1;
    }
    at
}

/// Marks the items under `#[cfg(test)]`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at + 1 < tokens.len() {
        if !(tokens[at].is('#') && tokens[at + 1].is('[')) {
            at += 1;
            continue;
        }
        let close = matching(tokens, at + 1);
        let attribute = &tokens[at + 2..close];
        let word = |w: &str| attribute.iter().any(|t| t.is_word(w));
        let only_test = attribute.first().is_some_and(|t| t.is_word("cfg"))
            && word("test")
            && !word("any")
            && !word("not");
        if !only_test {
            at = close + 1;
            continue;
        }
        let end = match item_end(tokens, close + 1) {
            Some(end) if tokens[end].is('{') => matching(tokens, end),
            Some(end) => end,
            None => tokens.len() - 1,
        };
        tokens[at..=end].iter_mut().for_each(|t| t.test = true);
        at = end + 1;
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    out: Vec<Token>,
}

impl Lexer {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.skip_line(),
                '/' if self.peek(1) == Some('*') => self.skip_block(),
                '"' => self.string(0),
                'r' | 'b' | 'c' if self.string_prefix().is_some() => self.prefixed_string(),
                '\'' => self.quote(),
                c if c.is_alphabetic() || c == '_' => self.word(),
                c if c.is_ascii_digit() => self.number(),
                c if c.is_whitespace() => self.bump(),
                c => {
                    self.push(Kind::Mark(c), c.to_string(), self.line);
                    self.bump();
                }
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn bump(&mut self) {
        if self.peek(0) == Some('\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn push(&mut self, kind: Kind, text: String, from: usize) {
        self.out.push(Token { kind, text, lines: from..=self.line, test: false });
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.bump(),
            }
        }
    }

    /// For `r"`, `r#"`, `b"`, `br#"`, `c"`: the length of the prefix and the number of hashes.
    fn string_prefix(&self) -> Option<(usize, usize)> {
        let mut len = 1;
        if self.peek(0) != Some('r') && self.peek(1) == Some('r') {
            len = 2;
        }
        let raw = self.peek(len - 1) == Some('r');
        let mut hashes = 0;
        while raw && self.peek(len + hashes) == Some('#') {
            hashes += 1;
        }
        (self.peek(len + hashes) == Some('"')).then_some((len, if raw { hashes + 1 } else { 0 }))
    }

    fn prefixed_string(&mut self) {
        if let Some((len, raw)) = self.string_prefix() {
            self.at += len;
            self.string(raw);
        }
    }

    /// `raw` is 0 for a string with escapes, else 1 + the number of hashes.
    fn string(&mut self, raw: usize) {
        let from = self.line;
        let hashes = raw.saturating_sub(1);
        self.at += hashes + 1;
        let start = self.at;
        while let Some(c) = self.peek(0) {
            if raw == 0 && c == '\\' {
                self.bump();
            } else if c == '"' && (1..=hashes).all(|n| self.peek(n) == Some('#')) {
                break;
            }
            self.bump();
        }
        let end = self.at.min(self.chars.len());
        let text = self.chars[start.min(end)..end].iter().collect();
        self.at += hashes + 1;
        self.push(Kind::Str, text, from);
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        let from = self.line;
        self.at += 1;
        if self.peek(0) == Some('\\') {
            self.at += 2;
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.bump();
            }
            self.at += 1;
        } else if self.peek(1) == Some('\'') {
            self.bump();
            self.at += 1;
        } else {
            while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
                self.at += 1;
            }
        }
        self.push(Kind::Other, String::new(), from);
    }

    fn word(&mut self) {
        if self.peek(0) == Some('r') && self.peek(1) == Some('#') {
            self.at += 2;
        }
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let text = self.chars[start..self.at].iter().collect();
        self.push(Kind::Word, text, self.line);
    }

    fn number(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let text = self.chars[start..self.at].iter().collect();
        self.push(Kind::Other, text, self.line);
    }
}

#[cfg(test)]
mod tests;
