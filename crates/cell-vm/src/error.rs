//! Why a cell of this class did not start.

use cella_cell::CellError;

use crate::DriverName;

/// A refusal to run, or a failure to. Each has a code (`docs/errors/`), a cause (its text) and a fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// The contract leaves the choice, and there is nothing to choose from.
    #[error("nothing on this machine can run a cell of class vm: {}", reasons(.tried))]
    NoDriver {
        /// Each driver and what it lacks.
        tried: Vec<(DriverName, String)>,
        /// What to do for the first of them.
        fix: String,
    },
    /// The driver that the contract names cannot be used here.
    #[error("{driver} cannot run a cell on this machine: {why}")]
    Unusable {
        /// Which.
        driver: DriverName,
        /// What is missing.
        why: String,
        /// What to do about it.
        fix: String,
    },
    /// The contract grants hosts, or a port inside is to be reached, and this driver has no network.
    #[error("a cell of class vm under {driver} has no way to the network on this machine; {}", wanted(.hosts))]
    NoEgress {
        /// Which.
        driver: DriverName,
        /// What the contract grants.
        hosts: Vec<String>,
    },
    /// Something that was written down and that this driver cannot enforce here.
    #[error("{driver} cannot enforce the {what} on this machine: {why}")]
    Unenforceable {
        /// Which driver.
        driver: DriverName,
        /// What was asked.
        what: String,
        /// Why not.
        why: String,
        /// What to do about it.
        fix: String,
    },
    /// The sandbox came to an end before the program began.
    #[error("{driver} could not set up the sandbox: {cause}")]
    NotSetUp {
        /// Which driver.
        driver: DriverName,
        /// What it said.
        cause: String,
    },
    /// As in every class.
    #[error(transparent)]
    Cell(#[from] CellError),
}

// === impl VmError ===

impl VmError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoDriver { .. } => "CE2050",
            Self::Unusable { .. } => "CE2051",
            Self::NoEgress { .. } => "CE2052",
            Self::Unenforceable { .. } => "CE2053",
            Self::NotSetUp { .. } => "CE2054",
            Self::Cell(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::NoDriver { fix, .. } | Self::Unusable { fix, .. } | Self::Unenforceable { fix, .. } => {
                fix.clone()
            }
            Self::NoEgress { .. } => {
                "write vm = \"gvisor\", take `egress` out of the contract, use `class = \"process\"`, or set \
                 `best_effort = true` to run without the network"
                    .into()
            }
            Self::NotSetUp { .. } => {
                "run `cella doctor`; if the driver is called usable, report this with what it said".into()
            }
            Self::Cell(error) => error.fix(),
        }
    }

    /// Whether this machine cannot do it, rather than the contract being wrong or the program missing.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Cell(_))
    }
}

impl From<std::io::Error> for VmError {
    fn from(error: std::io::Error) -> Self {
        Self::Cell(error.into())
    }
}

/// For those who know the class by its law alone.
impl From<VmError> for CellError {
    fn from(error: VmError) -> Self {
        match error {
            VmError::Cell(error) => error,
            other => Self::Wall { wall: "own kernel".into(), cause: other.to_string() },
        }
    }
}

// === free functions ===

fn wanted(hosts: &[String]) -> String {
    if hosts.is_empty() {
        return "a port inside is to be reached".into();
    }
    format!("granted: {}", hosts.join(", "))
}

fn reasons(tried: &[(DriverName, String)]) -> String {
    tried.iter().map(|(driver, why)| format!("{driver}: {why}")).collect::<Vec<_>>().join("; ")
}
