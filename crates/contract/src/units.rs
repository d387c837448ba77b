//! Quantities as people write them: each carries its unit, so that nobody has to guess what `30` is.

use std::{fmt, num::NonZeroU32, time::Duration};

use serde_json::{Value, json};

use crate::{
    Code, Place,
    read::{Fault, Word},
};

/// Longest duration that may be written: ten years. A larger one is a slip of the unit.
const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Largest size that may be written: 1 PiB. A larger one is a slip of the unit.
const SIZE_MAX: u64 = 1 << 50;
/// Most processors that a share may name, in per cent of one.
const CPU_PERCENT_MAX: u32 = 102_400;

/// A number of bytes, written `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// A share of processor time in thousandths of one processor, written `150%`: one and a half processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuShare(u32);

/// So many in so long, written `10/s`, `100/min`, `1000/h` or `5/30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

// === impl ByteSize ===

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1,048,576 bytes.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZE_UNITS
            .iter()
            .find(|(name, n)| name.ends_with("iB") && self.0 >= *n && self.0.is_multiple_of(*n));
        let (name, factor) = unit.copied().unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl Word for ByteSize {
    const EXPECTED: &'static str = "a size such as \"64MiB\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let fault = || Fault::new(Code::BAD_QUANTITY, format!("{text:?} is not a size"));
        let (number, unit) =
            split_number(text).ok_or_else(|| fault().fix("a number and a unit: \"512MiB\""))?;
        let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
            return Err(fault().fix("the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB"));
        };
        match number.checked_mul(*factor).filter(|n| *n <= SIZE_MAX) {
            Some(0) => Err(fault().cause("nothing works in zero bytes")),
            Some(bytes) => Ok(Self(bytes)),
            None => Err(fault().cause("it is over 1024TiB")),
        }
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[0-9]+ ?([kKmMgGtT]i?)?[bB]$", "examples": ["64MiB", "1GiB"]})
    }
}

// === impl CpuShare ===

impl CpuShare {
    /// Thousandths of one processor.
    #[must_use]
    pub const fn milli(milli: u32) -> Self {
        Self(milli)
    }

    /// Thousandths of one processor.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CpuShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 / 10)
    }
}

impl Word for CpuShare {
    const EXPECTED: &'static str = "a share of one processor such as \"50%\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let percent = text.strip_suffix('%').and_then(|number| digits(number.trim_end()));
        match percent.and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=CPU_PERCENT_MAX).contains(n)) {
            Some(percent) => Ok(Self(percent * 10)),
            None => Err(Fault::new(Code::BAD_QUANTITY, format!("{text:?} is not a share of processor time"))
                .fix("per cent of one processor, whole numbers: \"50%\", or \"200%\" for two processors")),
        }
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[0-9]+ ?%$", "examples": ["50%", "200%"]})
    }
}

// === impl Rate ===

impl Rate {
    /// `None` when the period is zero.
    #[must_use]
    pub fn new(count: NonZeroU32, per: Duration) -> Option<Self> {
        (!per.is_zero()).then_some(Self { count, per })
    }

    /// How many.
    #[must_use]
    pub const fn count(self) -> NonZeroU32 {
        self.count
    }

    /// In how long.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.per
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per.as_secs() {
            1 if self.per.subsec_nanos() == 0 => write!(f, "{}/s", self.count),
            60 if self.per.subsec_nanos() == 0 => write!(f, "{}/min", self.count),
            3600 if self.per.subsec_nanos() == 0 => write!(f, "{}/h", self.count),
            _ => write!(f, "{}/{}", self.count, duration_text(self.per)),
        }
    }
}

impl Word for Rate {
    const EXPECTED: &'static str = "a rate such as \"100/min\"";

    fn parse(text: &str, place: &Place) -> Result<Self, Fault> {
        let fault = || {
            Fault::new(Code::BAD_QUANTITY, format!("{text:?} is not a rate"))
                .fix("a count, a slash and a period: \"10/s\", \"100/min\", \"1000/h\", \"5/30s\"")
        };
        let (count, per) = text.split_once('/').ok_or_else(fault)?;
        let count = digits(count.trim()).and_then(|n| u32::try_from(n).ok()).and_then(NonZeroU32::new);
        let per = match per.trim() {
            "s" => Duration::from_secs(1),
            "min" | "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            other => Duration::parse(other, place).map_err(|_| fault())?,
        };
        count.and_then(|count| Self::new(count, per)).ok_or_else(fault)
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[0-9]+ ?/ ?(s|m|min|h|d|([0-9]+(ms|s|m|h|d))+)$", "examples": ["100/min"]})
    }
}

// === durations ===

impl Word for Duration {
    const EXPECTED: &'static str = "a duration such as \"30s\"";

    fn parse(text: &str, _: &Place) -> Result<Self, Fault> {
        let fault = || Fault::new(Code::BAD_QUANTITY, format!("{text:?} is not a duration"));
        let units = || fault().fix("numbers and units: \"500ms\", \"30s\", \"5m\", \"1h30m\", \"7d\"");
        let mut rest = text.trim();
        let mut millis = 0_u64;
        if rest.is_empty() {
            return Err(units());
        }
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(units)?;
            let number = digits(&rest[..end]).ok_or_else(units)?;
            rest = &rest[end..];
            let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = rest[..end].trim();
            rest = &rest[end..];
            let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(units)?;
            let part = number.checked_mul(*factor);
            millis = part
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(|| fault().cause("it is over ten years"))?;
        }
        match Self::from_millis(millis) {
            Self::ZERO => Err(fault().cause("nothing happens in no time")),
            long if long > DURATION_MAX => Err(fault().cause("it is over ten years")),
            duration => Ok(duration),
        }
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^ *([0-9]+ *(ms|s|m|h|d) *)+$", "examples": ["30s", "5m", "1h30m"]})
    }
}

/// A duration as it is written in a file, to the millisecond: `1h30m`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in DURATION_UNITS {
        let count = millis / factor;
        millis %= factor;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

// === numbers ===

fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((digits(&text[..end])?, text[end..].trim_start()))
}

/// Only digits: `parse` alone would take a plus sign.
fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
