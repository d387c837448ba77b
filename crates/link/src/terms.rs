//! What was agreed with a server.

use std::sync::Arc;

use cella_mcp::{Era, Revision, ServerFacts, offers};

/// The outcome of a negotiation. Holds for the life of a process, or until an HTTP server behaves differently.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) revision: Revision,
    pub(super) facts: Arc<ServerFacts>,
}

impl Terms {
    pub(super) fn new(revision: Revision, facts: ServerFacts) -> Self {
        Self { revision, facts: Arc::new(facts) }
    }

    pub(super) const fn era(&self) -> Era {
        self.revision.era()
    }

    pub(super) fn offers(&self, capability: &str) -> bool {
        offers(&self.facts.capabilities, capability)
    }
}
