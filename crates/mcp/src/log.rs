//! Levels of log messages (RFC 5424, as MCP uses them in both eras).

use std::str::FromStr;

use serde_json::value::RawValue;

use crate::{object, text};

/// The severity of a `notifications/message`, least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Detailed debugging information.
    Debug,
    /// General information.
    Info,
    /// Normal but significant.
    Notice,
    /// Warning conditions.
    Warning,
    /// Error conditions.
    Error,
    /// Critical conditions.
    Critical,
    /// Action must be taken at once.
    Alert,
    /// The system is unusable.
    Emergency,
}

/// A text that names no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no log level of RFC 5424")]
#[non_exhaustive]
pub struct UnknownLevel;

impl LogLevel {
    const NAMES: [(&'static str, Self); 8] = [
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("critical", Self::Critical),
        ("alert", Self::Alert),
        ("emergency", Self::Emergency),
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, level)| *level == self).map_or("debug", |(name, _)| name)
    }

    /// The level of a `notifications/message`.
    #[must_use]
    pub fn of_message(params: Option<&RawValue>) -> Option<Self> {
        text::unescape(object::member_text(params?.get(), "level")?)?.parse().ok()
    }
}

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, level)| *level).ok_or(UnknownLevel)
    }
}

#[cfg(test)]
mod tests;
