//! A line of a configuration file as it may be shown: diagnostics end up in journals and in the output of builds, and a
//! secret that was written in plain text must not follow them there, whatever the diagnostic is about.

use std::ops::Range;

use crate::text::looks_like_secret;

/// The line with an asterisk in the place of every character of a value that looks like a secret, so that columns stay
/// true.
#[must_use]
pub fn masked_line(line: &str) -> String {
    let (mut key, mut secrets) = ("", Vec::new());
    for word in words(line) {
        let text = &line[word.clone()];
        let after = line[word.end..].trim_start_matches(['"', '\'']).trim_start();
        if after.starts_with('=') {
            key = text;
        } else if looks_like_secret(key, text) {
            secrets.push(word);
        }
    }
    let mut shown = line.to_owned();
    // From the end, so that places before stay where they are.
    for secret in secrets.into_iter().rev() {
        let stars = "*".repeat(line[secret.clone()].chars().count());
        shown.replace_range(secret, &stars);
    }
    shown
}

/// Where quoted texts (without their quotes) and bare words stand. A text without an end goes to the end of the line.
fn words(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let start = at + c.len_utf8();
        at = match c {
            '"' | '\'' => {
                let end = quoted(&line[start..], c).map_or(line.len(), |length| start + length);
                found.push(start..end);
                line.len().min(end + 1)
            }
            _ if is_bare(c) => {
                let end = line[start..].find(|c| !is_bare(c)).map_or(line.len(), |length| start + length);
                found.push(at..end);
                end
            }
            _ => start,
        };
    }
    found
}

/// How long a text is that ends with this quote.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '=' | ',' | '[' | ']' | '{' | '}' | '#' | '"' | '\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_look_like_secrets_are_masked_and_columns_stay() {
        for (line, shown) in [
            (r#"GITHUB_TOKEN = "abcdefgh12""#, r#"GITHUB_TOKEN = "**********""#),
            (
                r#"env = { A_TOKEN = 'abcdefgh', LANG = "C.UTF-8" }"#,
                r#"env = { A_TOKEN = '********', LANG = "C.UTF-8" }"#,
            ),
            (r#"args = ["--token", "sk-0123456789"]"#, r#"args = ["--token", "*************"]"#),
            (r#""Authorization" = "Bearer abc \" d""#, r#""Authorization" = "***************""#),
            (r#"API_KEY = "no end of it"#, r#"API_KEY = "************"#),
            ("PASSWORD = without-quotes", "PASSWORD = **************"),
            (r#"# SECRET = "commented out""#, r#"# SECRET = "*************""#),
            (r#"TOKEN = "env:TOKEN""#, r#"TOKEN = "env:TOKEN""#),
            (r#"command = "npx""#, r#"command = "npx""#),
            ("[servers.token-service]", "[servers.token-service]"),
        ] {
            assert_eq!(masked_line(line), shown);
        }
    }

    #[test]
    fn characters_of_many_bytes_count_once() {
        assert_eq!(
            masked_line("A_TOKEN = \"ääääß\", B_TOKEN = \"ööööö\" # é"),
            "A_TOKEN = \"*****\", B_TOKEN = \"*****\" # é"
        );
    }

    #[test]
    fn no_diagnostic_shows_a_secret_in_plain_text() {
        let secret = "hunter2-hunter2";
        let server = format!("[servers.a]\ncommand = \"x\"\nenv = {{ A_TOKEN = \"{secret}\" }}\n");
        let (_, warnings) = crate::Config::parse("cella.toml", &server).expect("usable");
        let shown = warnings.to_string();
        assert!(shown.contains("CE1011") && shown.contains("A_TOKEN") && !shown.contains(secret), "{shown}");

        for broken in [
            format!("[servers.a]\nA_TOKEN = \"{secret}\n"),
            format!("[servers.a]\nA_TOKEN = \"{secret}\" x\n"),
        ] {
            let errors = crate::Config::parse("cella.toml", &broken).expect_err("refused").to_string();
            assert!(errors.contains("A_TOKEN") && !errors.contains(secret), "{errors}");
        }
    }
}
