use super::*;

fn words(text: &str) -> Vec<String> {
    tokens(text, false).into_iter().filter(|t| t.kind == Kind::Word).map(|t| t.text).collect()
}

#[test]
fn comments_and_strings_hold_no_words() {
    let text = "// unsafe\n/* a /* unsafe */ b */ let x = \"unsafe \\\" unsafe\"; let y = r#\"un\"safe\"#;";
    assert_eq!(words(text), ["let", "x", "let", "y"]);
}

#[test]
fn lifetimes_and_characters_do_not_open_strings() {
    assert_eq!(
        words("fn f<'a>(x: &'a str) { g('\"', '\\'', b'x', '\\u{1F600}') }"),
        ["fn", "f", "x", "str", "g", "b"]
    );
}

#[test]
fn string_contents_are_kept_with_their_lines() {
    let all = tokens("a\n\"one\ntwo\" b", false);
    assert_eq!((all[1].text.as_str(), all[1].lines.clone()), ("one\ntwo", 2..=3));
    assert_eq!(all[2].line(), 3);
}

#[test]
fn use_trees_are_spelled_out() {
    let all = tokens("use std::{fs, io::{self, Read as R}, net::*};\npub use crate::x;", false);
    let paths: Vec<_> = imports(&all).into_iter().map(|i| (i.path, i.line)).collect();
    let want =
        [("std::fs", 1), ("std::io::self", 1), ("std::io::Read", 1), ("std::net::*", 1), ("crate::x", 2)];
    assert_eq!(paths, want.map(|(p, l)| (p.to_owned(), l)));
}

#[test]
fn only_items_under_cfg_test_are_test_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n#[cfg(any(test, kit))]\nfn c() {}";
    let found: Vec<_> = functions(&tokens(text, false)).into_iter().map(|f| (f.name, f.test)).collect();
    assert_eq!(found, [("a".to_owned(), false), ("b".to_owned(), true), ("c".to_owned(), false)]);
}

#[test]
fn blank_and_comment_lines_do_not_count() {
    let text = "fn a(\n  x: u8,\n) -> u8 {\n\n  // why\n  x\n}";
    assert_eq!(functions(&tokens(text, false))[0].code_lines, 5);
}

#[test]
fn a_trait_method_without_body_is_no_function() {
    assert!(functions(&tokens("trait T { fn a(&self) -> [u8; 2]; }", false)).is_empty());
}
