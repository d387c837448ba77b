use std::path::Path;

use super::*;

fn parse(text: &str) -> Option<Result<SecretRef, Code>> {
    let place = Place::of_file(Path::new("/c/cella.toml"), Some(Path::new("/home/ada")));
    SecretRef::parse(text, &place).map(|r| r.map_err(|fault| fault.code))
}

#[test]
fn references_say_where_a_secret_is_kept() {
    assert_eq!(parse("env:TOKEN"), Some(Ok(SecretRef::Env("TOKEN".into()))));
    assert_eq!(parse("file:~/t"), Some(Ok(SecretRef::File("/home/ada/t".into()))));
    assert_eq!(parse("file:./t"), Some(Ok(SecretRef::File("/c/t".into()))));
    let words = vec!["pass".to_owned(), "show".to_owned(), "a b".to_owned()];
    assert_eq!(parse("cmd:pass show 'a b'"), Some(Ok(SecretRef::Command(words))));
    assert_eq!(parse("vault:github"), Some(Err(Code::NOT_YET)));
    assert_eq!(parse("https://example.com"), None);
    assert_eq!(parse("plain"), None);
}

#[test]
fn what_could_be_meant_as_text_is_not_guessed_at() {
    for text in
        ["env:", "env:a-b", "file:test.db", "file:", "file:///etc/passwd", "file:../x", "cmd:", "cmd:a 'b"]
    {
        assert_eq!(parse(text), Some(Err(Code::BAD_SECRET)), "{text}");
    }
}

#[test]
fn known_keys_and_random_values_of_secret_names_are_noticed() {
    let pat = format!("ghp_{}", "a1".repeat(18));
    for (name, text) in
        [("X", pat.as_str()), ("API_KEY", "abc123def456ghi"), ("Authorization", "Bearer abcdefghijklmnop")]
    {
        assert!(looks_secret(name, text), "{name}");
    }
    for (name, text) in [
        ("PATH", "/usr/bin:/bin"),
        ("TOKEN_FILE", "/run/secrets/t0ken1"),
        ("API_KEY", "changeme"),
        ("PASSWORD_URL", "https://x.example/1234567"),
        ("MODE", "abc123def456ghi"),
    ] {
        assert!(!looks_secret(name, text), "{name}");
    }
}

#[test]
fn a_shown_line_keeps_its_columns_and_loses_its_secrets() {
    let line = "env = { TOKEN = \"abc123def456ghi\", MODE = \"abc123def456ghi\" } # \"x";
    assert_eq!(mask(line), "env = { TOKEN = \"***************\", MODE = \"abc123def456ghi\" } # \"x");
    assert_eq!(mask("args = ['--token=abc123def456ghi']"), "args = ['--token=***************']");
    assert_eq!(mask("nothing"), "nothing");
    assert_eq!(mask("é = \"ü\""), "é = \"ü\"");
}
