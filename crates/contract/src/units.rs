//! Durations and sizes as people write them.

use std::time::Duration;

/// Longest duration accepted: ten years. Stops an overflow far away from the place of the mistake.
const DURATION_MAX_SECONDS: u64 = 10 * 366 * 86_400;

/// Reads `250ms`, `30s`, `5m`, `2h`, `1d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3_600)?),
        "d" => Duration::from_secs(number.checked_mul(86_400)?),
        _ => return None,
    };
    (duration.as_secs() <= DURATION_MAX_SECONDS).then_some(duration)
}

/// Reads `512KiB`, `64MiB`, `1GiB`, and their decimal cousins `64MB`; gives bytes.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// So many in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least one.
    pub count: u32,
    /// In each of these.
    pub per: Duration,
}

/// Reads `5/s`, `60/min`, `1000/h`, `10000/d`.
#[must_use]
pub fn parse_rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.trim().split_once('/')?;
    let per = match unit.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let count = count.trim().parse().ok().filter(|count| *count > 0)?;
    Some(Rate { count, per: Duration::from_secs(per) })
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}

/// An amount of money as people write it, in micro-units: `12`, `2.5`, `0.000001`. Without floats, so that what is written is what counts.
///
/// # Errors
/// The text, where it is no amount.
pub(crate) fn money(text: Option<&str>) -> Result<Option<u64>, String> {
    let Some(text) = text else { return Ok(None) };
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return Err(text.to_owned());
    }
    let micros = format!("{whole}{part:0<6}").parse().map_err(|_| text.to_owned())?;
    Ok(Some(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_their_unit() {
        assert_eq!(parse_duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("1 GB"), Some(1_000_000_000));
        for wrong in ["", "90", "s", "-1s", "1.5h", "99999999999d", "1 fortnight"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_size("18446744073709551615TiB"), None);
    }
}
