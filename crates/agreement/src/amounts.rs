//! What can be spent.

use std::fmt;

use cella_event::{Int, Map};

/// Amounts of everything that can be spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Micro-units of the currency: a millionth of a dollar, for example.
    pub money_micros: u64,
    /// Tokens of models, input and output together.
    pub tokens: u64,
    /// Calls of tools.
    pub calls: u64,
    /// Microseconds of processor time of cells.
    pub cpu_us: u64,
    /// Bytes that cells sent to hosts.
    pub egress_bytes: u64,
}

/// Most of each; `None`: no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Micro-units of the currency.
    pub money_micros: Option<u64>,
    /// Tokens of models.
    pub tokens: Option<u64>,
    /// Calls of tools.
    pub calls: Option<u64>,
    /// Microseconds of processor time.
    pub cpu_us: Option<u64>,
    /// Bytes sent.
    pub egress_bytes: Option<u64>,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Money.
    Money,
    /// Tokens.
    Tokens,
    /// Calls.
    Calls,
    /// Processor time.
    Cpu,
    /// Bytes sent.
    Egress,
}

// === impl Amounts ===

impl Amounts {
    /// Nothing.
    pub const ZERO: Self = Self { money_micros: 0, tokens: 0, calls: 0, cpu_us: 0, egress_bytes: 0 };

    /// The amount of one resource.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Money => self.money_micros,
            Resource::Tokens => self.tokens,
            Resource::Calls => self.calls,
            Resource::Cpu => self.cpu_us,
            Resource::Egress => self.egress_bytes,
        }
    }

    /// Both together; what does not fit stays at the most that does, which is past every limit.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            money_micros: self.money_micros.saturating_add(other.money_micros),
            tokens: self.tokens.saturating_add(other.tokens),
            calls: self.calls.saturating_add(other.calls),
            cpu_us: self.cpu_us.saturating_add(other.cpu_us),
            egress_bytes: self.egress_bytes.saturating_add(other.egress_bytes),
        }
    }

    /// What is left of it without the other, never less than nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            money_micros: self.money_micros.saturating_sub(other.money_micros),
            tokens: self.tokens.saturating_sub(other.tokens),
            calls: self.calls.saturating_sub(other.calls),
            cpu_us: self.cpu_us.saturating_sub(other.cpu_us),
            egress_bytes: self.egress_bytes.saturating_sub(other.egress_bytes),
        }
    }

    /// As it stands in an event: zero is left out.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let mut map = Map::new();
        for resource in Resource::ALL {
            let amount = self.of(resource);
            if amount > 0 {
                map.insert(cella_event::Key::literal(resource.field()), Int::saturating(amount));
            }
        }
        map
    }

    /// From an event. What is missing, or is less than nothing, is zero.
    #[must_use]
    pub fn from_map(map: &Map) -> Self {
        let read = |resource: Resource| {
            map.int(resource.field()).and_then(|amount| u64::try_from(amount).ok()).unwrap_or_default()
        };
        Self {
            money_micros: read(Resource::Money),
            tokens: read(Resource::Tokens),
            calls: read(Resource::Calls),
            cpu_us: read(Resource::Cpu),
            egress_bytes: read(Resource::Egress),
        }
    }
}

// === impl Limits ===

impl Limits {
    /// The limit of one resource.
    #[must_use]
    pub const fn of(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::Money => self.money_micros,
            Resource::Tokens => self.tokens,
            Resource::Calls => self.calls,
            Resource::Cpu => self.cpu_us,
            Resource::Egress => self.egress_bytes,
        }
    }

    /// As it stands in an event: no limit is left out.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let mut map = Map::new();
        for resource in Resource::ALL {
            if let Some(limit) = self.of(resource) {
                map.insert(cella_event::Key::literal(resource.field()), Int::saturating(limit));
            }
        }
        map
    }

    /// From an event.
    #[must_use]
    pub fn from_map(map: &Map) -> Self {
        let read = |resource: Resource| map.int(resource.field()).and_then(|limit| u64::try_from(limit).ok());
        Self {
            money_micros: read(Resource::Money),
            tokens: read(Resource::Tokens),
            calls: read(Resource::Calls),
            cpu_us: read(Resource::Cpu),
            egress_bytes: read(Resource::Egress),
        }
    }
}

// === impl Resource ===

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 5] = [Self::Calls, Self::Cpu, Self::Egress, Self::Money, Self::Tokens];

    /// Its field in events, with the unit.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Money => "money_micros",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
            Self::Cpu => "cpu_us",
            Self::Egress => "egress_bytes",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Money => "money (millionths)",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
            Self::Cpu => "processor time (microseconds)",
            Self::Egress => "egress (bytes)",
        })
    }
}
