use std::{convert::Infallible, path::Path};

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;

fn place() -> Place {
    Place::of_file(Path::new("/c/cella.toml"), Some(Path::new("/home/ada")))
}

fn filled(text: &str) -> Option<String> {
    let variable = |name: &str| match name {
        "HOME" => Some("/home/ada".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let secret = |reference: &SecretRef| Ok::<_, Infallible>(format!("<{reference}>"));
    Template::parse_value(text, &place()).ok()?.fill(variable, secret).ok().map(Filled::into_text)
}

#[test]
fn holes_are_filled_and_other_dollars_stay() {
    for (text, value) in [
        ("plain $HOME $5 $", "plain $HOME $5 $"),
        ("${HOME}/x", "/home/ada/x"),
        ("${NONE:-a b}", "a b"),
        ("${EMPTY:-default}", "default"),
        ("[${EMPTY}]", "[]"),
        ("$${HOME}", "${HOME}"),
        ("Bearer ${env:TOKEN}!", "Bearer <env:TOKEN>!"),
        ("env:TOKEN", "<env:TOKEN>"),
        ("text:env:TOKEN", "env:TOKEN"),
        ("text:${HOME}", "/home/ada"),
        ("", ""),
    ] {
        assert_eq!(filled(text).as_deref(), Some(value), "{text}");
    }
    assert_eq!(filled("${NONE}"), None);
}

#[test]
fn malformed_holes_are_refused() {
    for text in ["${", "${}", "${a-b}", "${input:token}", "${A:+x}", "x${HOME", "${vault:x}"] {
        assert!(Template::parse(text, &place()).is_err(), "{text}");
    }
}

#[test]
fn a_filled_text_with_a_secret_is_not_shown() {
    let template = Template::parse("Bearer ${env:T}", &place()).ok();
    let filled = template.and_then(|t| t.fill(|_| None, |_| Ok::<_, Infallible>("s3cret".to_owned())).ok());
    let filled = filled.expect("filled");
    assert_eq!(format!("{filled:?}"), "[secret]");
    assert_eq!(filled.secrets().collect::<Vec<_>>(), ["s3cret"]);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(text in any::<String>()) {
        if let Ok(template) = Template::parse_value(&text, &place()) {
            prop_assert_eq!(&Template::parse_value(&template.value_text(), &place()).ok(), &Some(template.clone()));
            prop_assert_eq!(Template::parse(&template.to_string(), &place()).ok(), Some(template));
        }
    }

    #[test]
    fn any_literal_can_be_written(text in "[a-z$:{}]{0,12}") {
        let template = Template::literal(&text);
        prop_assert_eq!(Template::parse_value(&template.value_text(), &place()).ok(), Some(template));
    }
}
