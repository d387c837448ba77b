//! Does a URI come from a URI template (RFC 6570)? Matching, not expansion: the owner is looked for, not the values.

use super::URI_MAX;

/// Longest template that is matched, in bytes. Stops a server from making every lookup slow; past it it matches nothing.
const TEMPLATE_MAX: usize = 2 * 1024;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    literals: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<[u8]>),
    /// `{x}` and the like: no `/`, `?`, `#` in the expansion of a simple expression.
    Segment,
    /// `{+x}`, `{#x}`, `{/x}`, `{?x}`, `{&x}`: anything.
    Any,
}

// === impl Template ===

impl Template {
    /// Reads a template; text with unbalanced braces is taken literally, as there is nobody to complain to.
    #[must_use]
    pub fn parse(template: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = if template.len() <= TEMPLATE_MAX { template } else { "" };
        while let Some((literal, expression, after)) = next_expression(rest) {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.as_bytes().into()));
            }
            parts.push(match expression.as_bytes().first() {
                Some(b'+' | b'#' | b'/' | b'?' | b'&') => Part::Any,
                _ => Part::Segment,
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.as_bytes().into()));
        }
        let literals = parts.iter().map(|p| if let Part::Literal(l) = p { l.len() } else { 0 }).sum();
        Self { parts, literals }
    }

    /// How much of the template is fixed text, in bytes: of two templates that match, the one with more is closer.
    #[must_use]
    pub fn literal_len(&self) -> usize {
        self.literals
    }

    /// True when some expansion of the template gives `uri`.
    ///
    /// Walks the set of reachable positions part by part: time is parts x length, whatever the template says.
    #[must_use]
    pub fn matches(&self, uri: &str) -> bool {
        let text = uri.as_bytes();
        if text.len() > URI_MAX || self.parts.is_empty() {
            return false;
        }
        let mut reach = vec![false; text.len() + 1];
        reach[0] = true;
        for part in &self.parts {
            reach = part.advance(text, &reach);
        }
        reach[text.len()]
    }
}

// === impl Part ===

impl Part {
    fn advance(&self, text: &[u8], from: &[bool]) -> Vec<bool> {
        let mut to = vec![false; from.len()];
        match self {
            Self::Literal(literal) => {
                for start in (0..from.len()).filter(|&i| from[i]) {
                    if text[start..].starts_with(literal) {
                        to[start + literal.len()] = true;
                    }
                }
            }
            Self::Segment | Self::Any => {
                let mut open = false;
                for i in 0..from.len() {
                    let stopped =
                        i > 0 && *self == Self::Segment && matches!(text[i - 1], b'/' | b'?' | b'#');
                    open = from[i] || (open && !stopped);
                    to[i] = open;
                }
            }
        }
        to
    }
}

// === free functions ===

fn next_expression(text: &str) -> Option<(&str, &str, &str)> {
    let (literal, from_brace) = text.split_once('{')?;
    let (expression, after) = from_brace.split_once('}')?;
    Some((literal, expression, after))
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    fn fits(template: &str, uri: &str) -> bool {
        Template::parse(template).matches(uri)
    }

    #[test]
    fn simple_expressions_stay_within_a_segment() {
        assert!(fits("test://template/{id}/data", "test://template/123/data"));
        assert!(!fits("test://template/{id}/data", "test://template/1/2/data"));
        assert!(fits("db://{table}/{row}", "db://users/7"));
        assert!(!fits("db://{table}/{row}", "db://users"));
    }

    #[test]
    fn reserved_expressions_match_anything() {
        assert!(fits("file:///{+path}", "file:///a/b/c.txt"));
        assert!(fits("repo://x/contents{/path*}", "repo://x/contents/a/b"));
        assert!(fits("search://all{?q,n}", "search://all?q=a&n=2"));
        assert!(fits("search://all{?q,n}", "search://all"));
    }

    #[test]
    fn text_without_braces_matches_itself_only() {
        assert!(fits("a://b", "a://b"));
        assert!(!fits("a://b", "a://bc"));
        assert!(!fits("", ""));
    }

    proptest! {
        #[test]
        fn hostile_templates_and_uris_never_panic(t in ".{0,60}", u in ".{0,60}") {
            let _either = fits(&t, &u);
        }

        #[test]
        fn an_expansion_matches_its_template(a in "[a-z:/]{0,9}", v in "[a-z0-9]{0,9}", b in "[a-z/]{0,9}") {
            let template = format!("{a}{{x}}{b}");
            let uri = [a, v, b].concat();
            prop_assert!(fits(&template, &uri));
        }
    }
}
