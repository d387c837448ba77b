//! Which part of the catalogue does a curated view show, and under which names?

use std::collections::BTreeMap;

use cella_mcp::ListKind;

use crate::names;

/// A curated view (a tool set): what is not allowed is not there, and what is denied is not there either way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Which tools are shown.
    pub tools: Filter,
    /// Which prompts are shown.
    pub prompts: Filter,
    /// Which resources and templates are shown; patterns match the server and the whole URI.
    pub resources: Filter,
    /// New names, by `server/tool`.
    pub renames: BTreeMap<Box<str>, Box<str>>,
}

/// Patterns over `server/name`. `*` stands for any text, `?` for one character; a pattern without `/` means everything
/// of the servers that it matches. Denial wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Shown when one matches. Empty: nothing is shown.
    pub allow: Vec<Box<str>>,
    /// Not shown when one matches.
    pub deny: Vec<Box<str>>,
}

/// Why a view cannot be used as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// CE2101: clients would refuse the name.
    #[error("CE2101: the new name {name:?} of {item} is not 1 to 64 characters of A-Z a-z 0-9 _ -")]
    Name {
        /// `server/tool`
        item: Box<str>,
        /// The name given.
        name: Box<str>,
    },
    /// CE2102: two tools would have one name.
    #[error("CE2102: {first} and {second} are both renamed to {name:?}")]
    Twice {
        /// `server/tool`
        first: Box<str>,
        /// `server/tool`
        second: Box<str>,
        /// The name given.
        name: Box<str>,
    },
}

// === impl View ===

impl View {
    /// Refuses names that clients refuse, and one name for two tools.
    pub fn check(&self) -> Result<(), ViewError> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (item, name) in &self.renames {
            if !names::is_acceptable(name) {
                return Err(ViewError::Name { item: item.clone(), name: name.clone() });
            }
            if let Some(first) = seen.insert(name, item) {
                return Err(ViewError::Twice {
                    first: first.into(),
                    second: item.clone(),
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }

    /// The filter that a list goes through.
    #[must_use]
    pub fn filter(&self, kind: ListKind) -> &Filter {
        match kind {
            ListKind::Tools => &self.tools,
            ListKind::Prompts => &self.prompts,
            ListKind::Resources | ListKind::ResourceTemplates => &self.resources,
        }
    }

    /// True when the view may show something of the server: its absence then matters.
    #[must_use]
    pub fn concerns(&self, server: &str) -> bool {
        [&self.tools, &self.prompts, &self.resources].into_iter().any(|filter| filter.concerns(server))
    }

    /// The name the view gives to a tool of a server.
    #[must_use]
    pub fn tool_name(&self, server: &str, tool: &str) -> Box<str> {
        let item = format!("{server}/{tool}");
        self.renames.get(item.as_str()).cloned().unwrap_or_else(|| names::exposed(server, tool))
    }
}

// === impl Filter ===

impl Filter {
    /// Everything of every server.
    #[must_use]
    pub fn everything() -> Self {
        Self { allow: vec!["*".into()], deny: Vec::new() }
    }

    /// True when the item is shown.
    #[must_use]
    pub fn shows(&self, server: &str, name: &str) -> bool {
        let any = |patterns: &[Box<str>]| patterns.iter().any(|p| pattern_matches(p, server, name));
        any(&self.allow) && !any(&self.deny)
    }

    /// True when the view may show something of the server: its absence then matters.
    #[must_use]
    pub fn concerns(&self, server: &str) -> bool {
        self.allow.iter().any(|p| glob(p.split_once('/').map_or(p, |(s, _)| s), server))
    }
}

// === free functions ===

fn pattern_matches(pattern: &str, server: &str, name: &str) -> bool {
    match pattern.split_once('/') {
        Some((server_glob, name_glob)) => glob(server_glob, server) && glob(name_glob, name),
        None => glob(pattern, server),
    }
}

/// `*` and `?`, nothing else. Remembers only the last star, so it is linear for each one: patterns are the owner's, names
/// are hostile.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: &[&str], deny: &[&str]) -> Filter {
        let boxed = |list: &[&str]| list.iter().map(|p| (*p).into()).collect();
        Filter { allow: boxed(allow), deny: boxed(deny) }
    }

    #[test]
    fn an_empty_view_shows_nothing() {
        assert!(!Filter::default().shows("git", "status"));
    }

    #[test]
    fn denial_wins_over_permission() {
        let f = filter(&["git", "time/get_*"], &["*/*delete*"]);
        assert!(f.shows("git", "status"));
        assert!(!f.shows("git", "force_delete_all"));
        assert!(f.shows("time", "get_now"));
        assert!(!f.shows("time", "set_now"));
        assert!(!f.shows("gitlab", "status"));
    }

    #[test]
    fn a_view_is_concerned_with_servers_it_may_show() {
        let f = filter(&["git/status"], &[]);
        assert!(f.concerns("git"));
        assert!(!f.concerns("time"));
    }

    #[test]
    fn stars_match_any_text_and_question_marks_one_character() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*b*c", "a12b3c", true),
            ("a*b", "abab", true),
            ("a?c", "ac", false),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rename_must_be_acceptable_and_unique() {
        let mut view = View::default();
        view.renames.insert("git/status".into(), "look".into());
        assert_eq!(view.check(), Ok(()));
        assert_eq!(&*view.tool_name("git", "status"), "look");
        view.renames.insert("svn/status".into(), "look".into());
        assert!(matches!(view.check(), Err(ViewError::Twice { .. })));
        view.renames.insert("svn/status".into(), "not this.".into());
        assert!(matches!(view.check(), Err(ViewError::Name { .. })));
    }
}
