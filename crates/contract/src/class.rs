//! Behind which kind of wall a server's program runs.

/// How a program is confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CellClass {
    /// By this machine's own kernel.
    #[default]
    Process,
    /// By a kernel of its own.
    Vm(VmChoice),
}

/// Whose kernel that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VmChoice {
    /// The first that this machine can run.
    #[default]
    Auto,
    /// gVisor's.
    Gvisor,
    /// A Linux in a virtual machine of QEMU.
    Qemu,
}

// === impl CellClass ===

impl CellClass {
    /// The word of `class`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Vm(_) => "vm",
        }
    }
}

// === impl VmChoice ===

impl VmChoice {
    /// The word of `vm`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gvisor => "gvisor",
            Self::Qemu => "qemu",
        }
    }

    /// The choice of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Auto, Self::Gvisor, Self::Qemu].into_iter().find(|choice| choice.as_str() == word)
    }
}
