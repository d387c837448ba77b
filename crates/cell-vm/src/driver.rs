//! What every driver of this class is.

use std::{fmt, future::Future, pin::Pin};

use cella_cell::{Running, Spec};

use crate::VmError;

/// A way to give a program a kernel of its own.
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// Which one this is.
    fn name(&self) -> DriverName;

    /// Whether it can run a cell on this machine, for this user. Blocks for less than a second and starts no guest: what
    /// the machine says of itself is asked, because a machine monitor on a kernel that cannot run guests fails only after
    /// most of a minute.
    fn probe(&self) -> Probe;

    /// Starts a program. The law of [`cella_cell::Cell`] holds from here on.
    fn launch<'a>(&'a self, spec: &'a Spec) -> LaunchFuture<'a>;
}

/// What [`Driver::launch`] gives.
pub type LaunchFuture<'a> = Pin<Box<dyn Future<Output = Result<Running, VmError>> + Send + 'a>>;

/// Whether a driver can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It can; what it is, in words.
    Usable {
        /// Version and way of working.
        how: String,
    },
    /// It cannot.
    Unusable {
        /// What is missing.
        why: String,
        /// What to do about it.
        fix: String,
    },
}

/// The drivers, in the order in which `auto` prefers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DriverName {
    /// gVisor's `runsc`.
    Gvisor,
    /// QEMU with a Linux guest.
    Qemu,
    /// microsandbox (libkrun).
    Microsandbox,
    /// Firecracker.
    Firecracker,
    /// Kata Containers.
    Kata,
}

/// Which driver a contract asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first that is usable.
    #[default]
    Auto,
    /// This one or none.
    Named(DriverName),
}

// === impl Probe ===

impl Probe {
    /// Whether it can be used.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Usable { .. })
    }

    pub(crate) fn unusable(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Unusable { why: why.into(), fix: fix.into() }
    }
}

// === impl DriverName ===

impl DriverName {
    /// The word in contracts and displays.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gvisor => "gvisor",
            Self::Qemu => "qemu",
            Self::Microsandbox => "microsandbox",
            Self::Firecracker => "firecracker",
            Self::Kata => "kata",
        }
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
