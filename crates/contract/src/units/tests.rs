use std::path::Path;

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;

fn place() -> Place {
    Place::of_file(Path::new("/c/cella.toml"), None)
}

fn parse<T: Word>(text: &str) -> Option<T> {
    T::parse(text, &place()).ok()
}

#[test]
fn sizes_are_binary_or_decimal_by_their_unit() {
    for (text, bytes) in
        [("1B", 1), ("1KiB", 1024), ("64 MiB", 64 << 20), ("1kB", 1000), ("2gb", 2_000_000_000)]
    {
        assert_eq!(parse::<ByteSize>(text), Some(ByteSize(bytes)), "{text}");
    }
    for text in
        ["", "1", "MiB", "-1MiB", "+1MiB", "1.5GiB", "1XiB", "0B", "99999999TiB", "18446744073709551615TiB"]
    {
        assert_eq!(parse::<ByteSize>(text), None, "{text}");
    }
}

#[test]
fn durations_need_a_unit_and_an_end() {
    for (text, millis) in
        [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1m 5s", 65_000)]
    {
        assert_eq!(parse::<Duration>(text), Some(Duration::from_millis(millis)), "{text}");
    }
    for text in
        ["", "30", "s", "0s", "1.5s", "30 sec", "-1s", "99999d", "1h-", "184467440737095516150d", "½s"]
    {
        assert_eq!(parse::<Duration>(text), None, "{text}");
    }
}

#[test]
fn shares_and_rates_are_whole_and_positive() {
    assert_eq!(parse::<CpuShare>("150%"), Some(CpuShare(1500)));
    for text in ["", "50", "0%", "-5%", "1.5%", "99999999%"] {
        assert_eq!(parse::<CpuShare>(text), None, "{text}");
    }
    let rate = |text| parse::<Rate>(text).map(|rate| (rate.count().get(), rate.per().as_secs()));
    assert_eq!(rate("10/s"), Some((10, 1)));
    assert_eq!(rate("100/min"), Some((100, 60)));
    assert_eq!(rate("5/30s"), Some((5, 30)));
    for text in ["", "/s", "0/s", "10", "10/", "10/fortnight", "1/s/s"] {
        assert_eq!(rate(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(bytes in 1..SIZE_MAX, millis in 1..86_400_000_000_u64, count in 1..u32::MAX, percent in 1..CPU_PERCENT_MAX) {
        prop_assert_eq!(parse(&ByteSize(bytes).to_string()), Some(ByteSize(bytes)));
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(parse(&duration_text(duration)), Some(duration));
        let rate = NonZeroU32::new(count).and_then(|count| Rate::new(count, duration));
        prop_assert_eq!(parse(&rate.map(|r| r.to_string()).unwrap_or_default()), rate);
        prop_assert_eq!(parse(&CpuShare(percent * 10).to_string()), Some(CpuShare(percent * 10)));
    }

    #[test]
    fn no_text_makes_them_panic(text in any::<String>()) {
        let _ = (parse::<ByteSize>(&text), parse::<Duration>(&text), parse::<Rate>(&text), parse::<CpuShare>(&text));
    }
}
