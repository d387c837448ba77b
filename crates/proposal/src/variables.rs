//! Which variables of the environment a server says it lacks, as far as that can be read from its standard error. Pure.

/// Words beside which a name in capitals is taken for a variable that is missed.
const COMPLAINTS: [&str; 10] = [
    "environment",
    "env var",
    "not set",
    "must be set",
    "is required",
    "required",
    "missing",
    "undefined",
    "please set",
    "not provided",
];
/// Most names that are reported. Stops a chatty program from filling the screen.
const NAMES_MAX: usize = 10;

/// The names, in the order in which they were said, without those that were given.
pub fn missed(lines: &[String], given: &[(String, String)]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in lines {
        let lower = line.to_ascii_lowercase();
        if !COMPLAINTS.iter().any(|word| lower.contains(word)) {
            continue;
        }
        for word in line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            let known = given.iter().any(|(name, _)| name == word) || found.iter().any(|name| name == word);
            if is_variable(word) && !known && found.len() < NAMES_MAX {
                found.push(word.to_owned());
            }
        }
    }
    found
}

/// Capitals, with a line between two words: what else is written so are codes of errors, which begin with an `E`.
fn is_variable(word: &str) -> bool {
    let capitals = word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    capitals
        && word.contains('_')
        && word.len() > 3
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && !word.starts_with("ERR_")
}

#[cfg(test)]
mod tests {
    use super::missed;

    #[test]
    fn a_variable_is_recognised_where_something_is_said_to_lack() {
        let lines = [
            "Error: GITHUB_TOKEN environment variable is required (ERR_NO_TOKEN)",
            "Please set BRAVE_API_KEY or HOME_DIR",
            "loaded MY_PLUGIN in 3 ms",
        ];
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let given = [("HOME_DIR".to_owned(), "/".to_owned())];
        assert_eq!(missed(&lines, &given), ["GITHUB_TOKEN", "BRAVE_API_KEY"]);
    }
}
