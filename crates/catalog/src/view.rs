//! Which part of the catalogue does a curated view show, and under which names?

use std::collections::{BTreeMap, BTreeSet};

use cella_contract::ViewConfig;

use crate::names::{self, SEPARATOR};

/// A curated view (a tool set): what is not allowed is not there, and what is denied is not there either way.
///
/// Patterns are written against names as clients see them without the view, `server__tool`; `*` stands for any text, `?`
/// for one character. They also match the written-out form, so that `git__admin.*` finds a tool whose name had to be
/// shortened, and `docs__file:///public/*` finds resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    servers: Option<BTreeSet<Box<str>>>,
    allow: Option<Vec<Box<str>>>,
    deny: Vec<Box<str>>,
    renames: BTreeMap<Box<str>, Box<str>>,
}

/// Why a view cannot be used as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// CE2101: clients would refuse the name.
    #[error("CE2101: the new name {name:?} of {item} is not 1 to 64 characters of A-Z a-z 0-9 _ -")]
    Name {
        /// The name without the view.
        item: Box<str>,
        /// The name given.
        name: Box<str>,
    },
    /// CE2102: two tools would have one name.
    #[error("CE2102: {first} and {second} are both renamed to {name:?}")]
    Twice {
        /// The name without the view.
        first: Box<str>,
        /// The name without the view.
        second: Box<str>,
        /// The name given.
        name: Box<str>,
    },
}

// === impl View ===

impl View {
    /// The view that a configuration describes.
    ///
    /// # Errors
    /// [`ViewError`] for new names that clients refuse, and for one name given to two tools.
    pub fn new(config: &ViewConfig) -> Result<Self, ViewError> {
        let boxed = |texts: &[String]| texts.iter().map(|t| t.as_str().into()).collect::<Vec<Box<str>>>();
        let renames: BTreeMap<Box<str>, Box<str>> =
            config.rename.iter().map(|(old, new)| (old.as_str().into(), new.as_str().into())).collect();
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (item, name) in &renames {
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
        Ok(Self {
            servers: config.servers.as_deref().map(|names| boxed(names).into_iter().collect()),
            allow: config.allow.as_deref().map(boxed),
            deny: boxed(&config.deny),
            renames,
        })
    }

    /// True when the view shows the item: a tool, prompt, resource or template by its own name or URI.
    #[must_use]
    pub fn shows(&self, server: &str, own: &str) -> bool {
        let (exposed, written_out) = (names::exposed(server, own), format!("{server}{SEPARATOR}{own}"));
        let any = |patterns: &[Box<str>]| patterns.iter().any(|p| glob(p, &exposed) || glob(p, &written_out));
        self.has(server) && self.allow.as_deref().is_none_or(any) && !any(&self.deny)
    }

    /// The name the view gives to a tool or prompt.
    #[must_use]
    pub fn name(&self, server: &str, own: &str) -> Box<str> {
        let exposed = names::exposed(server, own);
        self.renames.get(&exposed).cloned().unwrap_or(exposed)
    }

    /// True when the view may show something of the server: then its absence matters. True in doubt.
    #[must_use]
    pub fn concerns(&self, server: &str) -> bool {
        let start = format!("{server}{SEPARATOR}");
        let may = |pattern: &str| {
            let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
            start.starts_with(fixed) || fixed.starts_with(&start)
        };
        // names of such a server are shortened, so a pattern need not begin with it
        let shortened = *names::exposed(server, "x") != *format!("{start}x");
        self.has(server)
            && (shortened || self.allow.as_ref().is_none_or(|allow| allow.iter().any(|p| may(p))))
    }

    fn has(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.contains(server))
    }
}

// === free functions ===

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

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|t| (*t).to_owned()).collect()
    }

    fn view(allow: &[&str], deny: &[&str]) -> View {
        View::new(&ViewConfig { allow: Some(texts(allow)), deny: texts(deny), ..ViewConfig::default() })
            .unwrap()
    }

    #[test]
    fn denial_wins_over_permission() {
        let view = view(&["git__*", "time__get_*"], &["*__*delete*"]);
        assert!(view.shows("git", "status"));
        assert!(!view.shows("git", "force_delete_all"));
        assert!(view.shows("time", "get_now"));
        assert!(!view.shows("time", "set_now"));
        assert!(!view.shows("gitlab", "status"));
    }

    #[test]
    fn shortened_names_and_uris_are_found_as_they_are_written_out() {
        let view = view(&["git__admin.tools.*", "docs__file:///public/*"], &[]);
        assert!(view.shows("git", "admin.tools.list"));
        assert!(!view.shows("git", "admin.users.list"));
        assert!(view.shows("docs", "file:///public/a"));
        assert!(!view.shows("docs", "file:///private/a"));
    }

    #[test]
    fn only_the_servers_named_are_shown_and_matter() {
        let config = ViewConfig { servers: Some(texts(&["git"])), ..ViewConfig::default() };
        let by_server = View::new(&config).unwrap();
        assert!(by_server.shows("git", "status") && by_server.concerns("git"));
        assert!(!by_server.shows("time", "now") && !by_server.concerns("time"));
        let by_pattern = view(&["git__status"], &[]);
        assert!(by_pattern.concerns("git") && by_pattern.concerns("my server"));
        assert!(!by_pattern.concerns("time") && !by_pattern.concerns("gitlab"));
        assert!(view(&["*"], &[]).concerns("time"));
        assert!(!view(&[], &[]).shows("git", "status"));
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
    fn a_new_name_must_be_acceptable_and_unique() {
        let mut config = ViewConfig::default();
        config.rename.insert("git__status".into(), "look".into());
        assert_eq!(&*View::new(&config).unwrap().name("git", "status"), "look");
        config.rename.insert("svn__status".into(), "look".into());
        assert!(matches!(View::new(&config), Err(ViewError::Twice { .. })));
        config.rename.insert("svn__status".into(), "not this.".into());
        assert!(matches!(View::new(&config), Err(ViewError::Name { .. })));
    }
}
