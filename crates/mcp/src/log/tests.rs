use super::*;

#[test]
fn levels_are_ordered_and_make_the_round() {
    let names = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    let levels: Vec<LogLevel> = names.iter().map(|n| n.parse().unwrap()).collect();
    assert!(levels.is_sorted());
    assert_eq!(levels.iter().map(|l| l.as_str()).collect::<Vec<_>>(), names);
    assert_eq!("warn".parse::<LogLevel>(), Err(UnknownLevel));
}
