//! Help that helps: every verb has an example.

use super::home::Home;

/// The verbs that a help text lists.
fn verbs(help: &str) -> Vec<String> {
    let list = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let lines = list.lines().take_while(|line| !line.is_empty());
    lines
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| Some(l.split_whitespace().next()?.to_owned()))
        .collect()
}

#[test]
fn every_verb_shows_an_example() {
    let home = Home::new();
    let mut to_ask = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(verb) = to_ask.pop() {
        let words: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
        let run = home.cella(&words);
        assert_eq!(run.status, 0, "{run:?}");
        assert!(run.out.contains("Example"), "no example: cella {}", words.join(" "));
        seen += 1;
        to_ask.extend(verbs(&run.out).into_iter().map(|next| [verb.clone(), vec![next]].concat()));
    }
    assert!(seen > 25, "only {seen} verbs were found");
}
