//! The placeholders of all cells of a node.

use std::sync::Arc;

use crate::{Placeholder, patterns::Patterns};

/// Whose placeholder is whose. A foreign one in a request says that a cell got hold of what another was given, so all of
/// a node are looked for. To be made anew when a cell starts or ends, and shared.
#[derive(Clone, Debug)]
pub struct PlaceholderIndex {
    pub(crate) patterns: Arc<Patterns>,
    owners: Arc<[Owner]>,
}

/// Whose a placeholder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) cell: Arc<str>,
    pub(crate) secret: Arc<str>,
}

// === impl PlaceholderIndex ===

impl PlaceholderIndex {
    /// Takes in placeholders, each with its cell and the name of its secret.
    #[must_use]
    pub fn new<'a>(placeholders: impl IntoIterator<Item = (&'a str, &'a str, &'a Placeholder)>) -> Self {
        let mut owners = Vec::new();
        let mut texts = Vec::new();
        for (cell, secret, placeholder) in placeholders {
            owners.push(Owner { cell: cell.into(), secret: secret.into() });
            texts.push(placeholder.as_str().as_bytes());
        }
        Self { patterns: Arc::new(Patterns::new(texts)), owners: owners.into() }
    }

    pub(crate) fn owner(&self, subject: usize) -> &Owner {
        &self.owners[subject]
    }
}
