//! What stands at a key: nothing, something wrong that was already reported, or a value with its place.

use std::ops::Range;

/// A value and the bytes it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// What stands at a key. Something wrong is not nothing: later checks must not complain that it is missing.
#[derive(Clone, Debug, Default)]
pub(crate) enum Slot<T> {
    #[default]
    Absent,
    Broken {
        key: Range<usize>,
    },
    Found {
        key: Range<usize>,
        value: Located<T>,
    },
}

/// An entry of a table whose keys are names: `[servers.NAME]`.
#[derive(Clone, Debug)]
pub(crate) struct Named<K, V> {
    pub(crate) name: Located<K>,
    /// `None`: wrong, and reported.
    pub(crate) value: Option<Located<V>>,
}

// === impl Slot ===

impl<T> Slot<T> {
    /// The place of the key, right or wrong.
    pub(crate) fn key(&self) -> Option<Range<usize>> {
        match self {
            Self::Absent => None,
            Self::Broken { key } | Self::Found { key, .. } => Some(key.clone()),
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub(crate) fn located(&self) -> Option<&Located<T>> {
        match self {
            Self::Found { value, .. } => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.located().map(|l| &l.value)
    }

    pub(crate) fn into_located(self) -> Option<Located<T>> {
        match self {
            Self::Found { value, .. } => Some(value),
            _ => None,
        }
    }

    pub(crate) fn take(self) -> Option<T> {
        self.into_located().map(|l| l.value)
    }
}
