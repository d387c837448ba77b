//! Names with `*` in them, as `[tools."delete_*"]`.

/// How a pattern fits a name. The greater the more specific: a name written out, then the most letters that are not `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// A pattern, with so many characters beside its `*`.
    Pattern(usize),
    /// The name itself.
    Exact,
}

/// How specifically the pattern fits, if it does. `*` stands for any number of characters, none included.
pub(crate) fn fit(pattern: &str, name: &str) -> Option<Fit> {
    if pattern == name {
        return Some(Fit::Exact);
    }
    let mut parts = pattern.split('*');
    let first = parts.next()?;
    let mut rest = name.strip_prefix(first)?;
    let mut parts: Vec<&str> = parts.collect();
    // Without a `*` there is no last part, and only the name itself would have fitted.
    let last = parts.pop()?;
    for part in parts {
        rest = &rest[rest.find(part)? + part.len()..];
    }
    rest.ends_with(last).then(|| Fit::Pattern(pattern.chars().filter(|c| *c != '*').count()))
}

/// Whether a pattern, in which `*` stands for any number of characters, fits a name.
#[must_use]
pub fn fits_pattern(pattern: &str, name: &str) -> bool {
    fit(pattern, name).is_some()
}

#[cfg(test)]
mod tests {
    use super::{Fit, fit};

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "x", true),
            ("delete_*", "delete_all", true),
            ("delete_*", "delete_", true),
            ("delete_*", "undelete_all", false),
            ("*_all", "delete_all", true),
            ("d*_*l", "delete_all", true),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("delete", "delete_all", false),
            ("**", "x", true),
        ] {
            assert_eq!(fit(pattern, name).is_some(), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn the_more_is_written_out_the_more_specific() {
        assert!(fit("a", "a") > fit("*a", "a") && fit("*a", "a") > fit("*", "a"));
        assert_eq!(fit("a*é", "axé"), Some(Fit::Pattern(2)));
    }
}
