//! Which server owns a resource URI?
//!
//! A URI that one server offers passes untouched: tool results, prompts and clients quote it, and rewriting all of that
//! would be wrong sooner or later. When two servers offer the same URI (or the same template), each is listed as
//! `cella+SERVER:URI` and the bare URI is refused with both candidates named. The qualified form is accepted for every
//! URI at any time, so a client can always say which server it means. See `docs/adr/0003-names.md`.

mod template;

pub use template::Template;

use crate::names::scheme_part;

/// Before the server's name in a qualified URI.
pub const QUALIFIER: &str = "cella+";
/// Longest URI that is looked up, in bytes. Stops quadratic work in template matching; past it: not found.
pub const URI_MAX: usize = 8 * 1024;

/// `cella+SERVER:URI`.
#[must_use]
pub fn qualified(server: &str, uri: &str) -> Box<str> {
    format!("{QUALIFIER}{}:{uri}", scheme_part(server)).into()
}

/// Server and own URI of a qualified URI; the server is one of `servers`.
#[must_use]
pub fn split_qualified<'s, 'u>(
    uri: &'u str,
    servers: impl IntoIterator<Item = &'s str>,
) -> Option<(&'s str, &'u str)> {
    if !uri.get(..QUALIFIER.len())?.eq_ignore_ascii_case(QUALIFIER) {
        return None;
    }
    let (part, own) = uri[QUALIFIER.len()..].split_once(':')?;
    let server = servers.into_iter().find(|server| scheme_part(server).eq_ignore_ascii_case(part))?;
    Some((server, own))
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, prop_assume, proptest};

    use super::*;

    #[test]
    fn a_qualified_uri_names_server_and_uri() {
        let uri = qualified("docs", "file:///a/b?c#d");
        assert_eq!(&*uri, "cella+docs:file:///a/b?c#d");
        assert_eq!(split_qualified(&uri, ["other", "docs"]), Some(("docs", "file:///a/b?c#d")));
        assert_eq!(split_qualified("CELLA+Docs:x:y", ["docs"]), Some(("docs", "x:y")));
        assert_eq!(split_qualified("cella+nobody:x:y", ["docs"]), None);
        assert_eq!(split_qualified("cella", ["docs"]), None);
        assert_eq!(split_qualified("cellaé+x:y", ["docs"]), None);
    }

    proptest! {
        #[test]
        fn qualifying_is_reversible(a in ".{1,12}", b in "[A-Za-z_]{1,12}", uri in ".{0,40}") {
            prop_assume!(a != b);
            let listed = qualified(&a, &uri);
            let back = split_qualified(&listed, [b.as_str(), a.as_str()]);
            prop_assert_eq!(back, Some((a.as_str(), uri.as_str())));
        }
    }
}
