//! Protocol revisions and the two eras they fall into.

/// The two ways MCP connections live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2024-11-05 … 2025-11-25: `initialize` handshake, sessions, requests from server to client.
    Legacy,
    /// 2026-07-28: stateless, `server/discover`, input by retry, `subscriptions/listen`.
    Modern,
}

/// A published protocol revision that Cella speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Revision {
    /// 2024-11-05
    V2024_11_05,
    /// 2025-03-26
    V2025_03_26,
    /// 2025-06-18
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
    /// 2026-07-28
    V2026_07_28,
}

impl Revision {
    /// Every revision, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];
    /// The newest revision of the legacy era.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;
    /// The newest revision of the modern era.
    pub const NEWEST_MODERN: Self = Self::V2026_07_28;

    /// The date by which the specification names this revision.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision of that date, if Cella speaks it.
    #[must_use]
    pub fn parse(date: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == date)
    }

    /// The era this revision belongs to.
    #[must_use]
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Modern,
            _ => Era::Legacy,
        }
    }

    /// True when a message may be a JSON-RPC batch: in one revision only.
    #[must_use]
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// True when HTTP requests after the handshake carry `MCP-Protocol-Version`.
    #[must_use]
    pub const fn has_version_header(self) -> bool {
        !matches!(self, Self::V2024_11_05 | Self::V2025_03_26)
    }

    /// True when an SSE stream may start with an event of an id and empty data, so that the client can reconnect.
    /// Clients of earlier revisions fail on empty data, and the modern era has no resumption.
    #[must_use]
    pub const fn primes_streams(self) -> bool {
        matches!(self, Self::V2025_11_25)
    }
}
