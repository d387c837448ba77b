//! What a client can be asked, reduced to what makes a difference to a server.

use serde_json::value::RawValue;

use super::Need;
use crate::{Object, Raw};

/// What a client can be asked. There are 24 of them, so that a legacy session for each is a bounded number of sessions.
///
/// Context inclusion in sampling makes no profile of its own: the specification only advises against it
/// (client/sampling).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskProfile {
    form: bool,
    url: bool,
    sampling: Sampling,
    roots: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sampling {
    No,
    Plain,
    WithTools,
}

impl AskProfile {
    /// What a client with this `capabilities` object can be asked.
    #[must_use]
    pub fn of(capabilities: &RawValue) -> Self {
        let may = |need: Need| need.met_by(capabilities.get());
        let sampling = match (may(Need::Sampling), may(Need::SamplingWithTools)) {
            (_, true) => Sampling::WithTools,
            (true, false) => Sampling::Plain,
            (false, false) => Sampling::No,
        };
        Self { form: may(Need::Form), url: may(Need::Url), sampling, roots: may(Need::Roots) }
    }

    /// The same client when somebody else answers for its directories.
    #[must_use]
    pub const fn with_roots(self) -> Self {
        Self { roots: true, ..self }
    }

    /// What both can be asked.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            form: self.form && other.form,
            url: self.url && other.url,
            sampling: self.sampling.min(other.sampling),
            roots: self.roots && other.roots,
        }
    }

    /// True when it can be asked something.
    #[must_use]
    pub fn can_be_asked(self) -> bool {
        self.form || self.url || self.roots || self.sampling != Sampling::No
    }

    /// `capabilities` with no more to ask than this profile has. What cannot be asked (`extensions`, `experimental`)
    /// stays.
    #[must_use]
    pub fn narrow(self, capabilities: &RawValue) -> Raw {
        let mut narrowed = Object::parse_or_empty(Some(capabilities));
        if !self.roots {
            narrowed.remove("roots");
        }
        match self.sampling {
            Sampling::No => {
                narrowed.remove("sampling");
            }
            Sampling::Plain => narrowed.put("sampling", "{}".into()),
            Sampling::WithTools => narrowed.put("sampling", "{\"tools\":{}}".into()),
        }
        match (self.form, self.url) {
            (false, false) => {
                narrowed.remove("elicitation");
            }
            (true, false) => narrowed.put("elicitation", "{\"form\":{}}".into()),
            (false, true) => narrowed.put("elicitation", "{\"url\":{}}".into()),
            (true, true) => narrowed.put("elicitation", "{\"form\":{},\"url\":{}}".into()),
        }
        narrowed.to_raw()
    }
}
