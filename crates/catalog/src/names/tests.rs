use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest, strategy::Strategy};

use super::*;

#[test]
fn a_usual_name_is_server_two_underscores_tool() {
    assert_eq!(&*exposed("github", "create_issue"), "github__create_issue");
    assert_eq!(split_plain("github__create_issue"), Some(("github", "create_issue")));
    assert_eq!(split_plain("a___b"), Some(("a", "_b")));
}

#[test]
fn forms_are_frozen() {
    // allow-lists, pins and recorded runs hold these names: a change here breaks users
    assert_eq!(&*exposed("git", "admin.tools.list"), "git__admin_tools_list_xqx7fc4cf");
    assert_eq!(
        &*exposed("playwright", "a_tool_name_that_is_far_too_long_for_any_model_api"),
        "playwright__a_tool_name_that_is_far_too_xtbsgla5l"
    );
    assert_eq!(&*exposed("my server", "run"), "my_server__run_xqozh6xfk");
    assert_eq!(&*scheme_part("My_Server"), "my-server-xgc3lsbak");
}

#[test]
fn a_tool_cannot_take_the_short_name_of_another() {
    let victim = exposed("git", "admin.tools.list");
    let (_, own) = victim.split_once("__").unwrap();
    assert_ne!(exposed("git", own), victim);
}

#[test]
fn server_and_tool_are_told_apart_whatever_underscores_they_hold() {
    let pairs = [("a", "b__c"), ("a__b", "c"), ("a_", "b"), ("a", "_b"), ("a_", "_b"), ("a", "__b")];
    let (table, collisions) = NameTable::build(pairs.iter().map(|(s, n)| (exposed(s, n), *s, *n)));
    assert!(collisions.is_empty());
    for (s, n) in pairs {
        assert_eq!(table.owner(&exposed(s, n)), Some((s, n)));
    }
}

#[test]
fn a_collision_refuses_both_sides_whatever_the_order() {
    let one = [("x".into(), "b", "t"), ("x".into(), "a", "t"), ("y".into(), "a", "u")];
    let other = [one[2].clone(), one[1].clone(), one[0].clone()];
    let (table, collisions) = NameTable::build(one);
    let (_, same) = NameTable::build(other);
    assert_eq!(collisions, same);
    assert_eq!(table.owner("x"), None);
    assert_eq!(table.owner("y"), Some(("a", "u")));
    assert_eq!(collisions[0].sides, [("a".into(), "t".into()), ("b".into(), "t".into())]);
}

fn any_part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_-]{1,12}",
        "[a-zA-Z0-9_.-]{1,80}",
        "[a-z_]{0,6}_x[a-z2-7]{8}",
        "_{0,3}[a-c]{0,2}_{0,3}",
        ".{0,20}",
    ]
}

proptest! {
    #[test]
    fn every_name_is_acceptable_and_leaves_room_for_the_clients_prefix(s in any_part(), n in any_part()) {
        let name = exposed(&s, &n);
        prop_assert!(is_acceptable(&name), "{name}");
        prop_assert!(name.len() <= EXPOSED_MAX);
        prop_assert!("mcp__cella__".len() + name.len() <= NAME_MAX);
    }

    #[test]
    fn names_are_a_bijection(pairs in proptest::collection::hash_set((any_part(), any_part()), 0..40)) {
        let (table, collisions) =
            NameTable::build(pairs.iter().map(|(s, n)| (exposed(s, n), s.as_str(), n.as_str())));
        prop_assert!(collisions.is_empty());
        for (s, n) in &pairs {
            prop_assert_eq!(table.owner(&exposed(s, n)), Some((s.as_str(), n.as_str())));
        }
    }

    #[test]
    fn a_plain_name_splits_back_and_only_a_plain_one(s in any_part(), n in any_part()) {
        match split_plain(&exposed(&s, &n)) {
            Some(parts) => prop_assert_eq!(parts, (s.as_str(), n.as_str())),
            None => prop_assert!(!is_plain(&s, &n)),
        }
    }

    #[test]
    fn a_scheme_part_survives_lower_casing(s in any_part()) {
        let part = scheme_part(&s);
        prop_assert_eq!(part.to_ascii_lowercase(), part.to_string());
    }
}
