//! What a server was given in its environment does not appear in what is shown of its stderr.

use std::fmt;

/// Shortest value that is masked, in bytes: a shorter one is no secret, and would be found in any text.
const VALUE_BYTES_MIN: usize = 6;

/// The values of a server's environment as they were configured for it.
pub(super) struct Masks(Vec<(String, String)>);

impl Masks {
    /// Masks over these names and values.
    pub(super) fn over(environment: &[(String, String)]) -> Self {
        // Output is masked line by line, so a value of several lines is found by each of them.
        let lines = environment
            .iter()
            .flat_map(|(name, value)| value.lines().map(|line| (name.clone(), line.trim_end().to_owned())));
        let mut values: Vec<_> = lines.filter(|(_, value)| value.len() >= VALUE_BYTES_MIN).collect();
        // a value that is part of another must not leave the rest of that one readable
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// The line with the name of the variable in place of each value.
    pub(super) fn mask(&self, line: &str) -> String {
        let masked =
            |line: String, (name, value): &(String, String)| line.replace(value, &format!("[{name}]"));
        self.0.iter().fold(line.to_owned(), masked)
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Masks").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_the_server_prints_is_shown_as_the_name_of_its_variable() {
        let given = [("TOKEN", "hunter2hunter2"), ("PART", "hunter2"), ("LEVEL", "info")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let masks = Masks::over(&given);
        assert_eq!(masks.mask("info: bad token hunter2hunter2"), "info: bad token [TOKEN]");
        assert_eq!(masks.mask("hunter2!"), "[PART]!");
        let masks = Masks::over(&[("KEY".to_owned(), "-----BEGIN X-----\nMIIEabcdef\n".to_owned())]);
        assert_eq!(masks.mask("bad key: MIIEabcdef"), "bad key: [KEY]");
        assert!(!format!("{masks:?}").contains("hunter2"));
    }
}
