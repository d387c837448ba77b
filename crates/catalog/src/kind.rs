//! What the four lists have to do with changes and places.

use cella_mcp::ListKind;
use cella_transport::Change;

/// What clients are told when the list changes. Templates have no notification of their own.
pub(crate) const fn change_of(kind: ListKind) -> Change {
    match kind {
        ListKind::Tools => Change::Tools,
        ListKind::Prompts => Change::Prompts,
        ListKind::Resources | ListKind::ResourceTemplates => Change::Resources,
    }
}

/// The lists that a change makes stale.
pub(crate) const fn changed_by(change: &Change) -> &'static [ListKind] {
    match change {
        Change::Tools => &[ListKind::Tools],
        Change::Prompts => &[ListKind::Prompts],
        Change::Resources => &[ListKind::Resources, ListKind::ResourceTemplates],
        Change::Updated { .. } | Change::Told(_) => &[],
    }
}

/// Place of a list in an array of all four.
pub(crate) const fn index_of(kind: ListKind) -> usize {
    match kind {
        ListKind::Tools => 0,
        ListKind::Prompts => 1,
        ListKind::Resources => 2,
        ListKind::ResourceTemplates => 3,
    }
}
