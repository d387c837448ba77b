//! Why a command gets no cell.

use std::path::PathBuf;

use cella_catalog::LaunchError;
use cella_cell::CellError;
use cella_cell_vm::VmError;
use cella_contract::EgressFault;
use cella_egress::{AuthorityError, BrokerError, TrustError};
use cella_transport::FaultKind;
use cella_workspace::WorkspaceError;

/// What stands between a command with its contract and a specification. Codes have a page in `docs/errors`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfineError {
    /// A path of the contract contains a variable that is not set.
    #[error("the variable `{name}` is not set")]
    Unset {
        /// The variable.
        name: String,
    },
    /// The contract grants what is not there.
    #[error("{} of {source_name}: {cause}", path.display())]
    Absent {
        /// As written.
        path: PathBuf,
        /// The contract's name.
        source_name: String,
        /// What the operating system said.
        cause: String,
    },
    /// It would show what is Cella's own.
    #[error("{} lies in {}, which is Cella's own", path.display(), own.display())]
    Own {
        /// What is granted or needed.
        path: PathBuf,
        /// Cella's place.
        own: PathBuf,
    },
    /// A grant leads through a link that a cell may change.
    #[error("{} of {source_name} leads through the link {}, which `{server}` may change", written.display(), link.display())]
    Redirectable {
        /// As written.
        written: PathBuf,
        /// Its real path.
        path: PathBuf,
        /// The contract's name, or "the arguments".
        source_name: String,
        /// The link.
        link: PathBuf,
        /// Whose cell.
        server: String,
    },
    /// A grant leads elsewhere than when the configuration was read.
    #[error("{} of {source_name} now leads to {}, not to {}", written.display(), now.display(), path.display())]
    LedElsewhere {
        /// As written.
        written: PathBuf,
        /// Where it led.
        path: PathBuf,
        /// The contract's name, or "the arguments".
        source_name: String,
        /// Where it leads.
        now: PathBuf,
    },
    /// There is no such program, or no cell for it.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// A kernel of its own that cannot be had here.
    #[error(transparent)]
    Vm(VmError),
    /// An entry of `egress` is none.
    #[error("{0}")]
    Grant(EgressFault),
    /// What stands between the cell and the hosts of its contract does not start.
    #[error(transparent)]
    Broker(BrokerError),
    /// What vouches for the hosts of a cell's secrets cannot be made.
    #[error(transparent)]
    Authority(AuthorityError),
    /// The same, because the operating system gives no randomness.
    #[error("no placeholder for the secret `{secret}`: {cause}")]
    Placeholder {
        /// The secret.
        secret: String,
        /// Why.
        cause: String,
    },
    /// Nobody can vouch for the hosts of a cell's secrets.
    #[error(transparent)]
    Trust(TrustError),
    /// The certificates of a cell cannot be laid out for it.
    #[error("the certificates for the cell cannot be written to {}: {cause}", path.display())]
    Certificates {
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A directory cannot be shown as a copy, or what was changed in it cannot be kept.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A server's entry cannot be turned into a command.
    #[error("{}", .0.message)]
    Server(LaunchError),
}

// === impl ConfineError ===

impl ConfineError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unset { .. } => "CE4121",
            Self::Absent { .. } => "CE4123",
            Self::Own { .. } => "CE4124",
            Self::Redirectable { .. } | Self::LedElsewhere { .. } => "CE4125",
            Self::Cell(error) => error.code(),
            Self::Vm(error) => error.code(),
            Self::Grant(_) => EgressFault::CODE,
            Self::Broker(error) => error.code(),
            Self::Authority(error) => error.code(),
            Self::Placeholder { .. } | Self::Trust(_) => AuthorityError::CODE,
            Self::Certificates { .. } => "CE2364",
            Self::Workspace(error) => error.code(),
            Self::Server(error) => error.code,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::Unset { name } => format!("set {name} for the node, or write ${{{name}:-otherwise}}"),
            Self::Absent { path, .. } => format!("make {}, or take it out of the contract", path.display()),
            Self::Own { .. } => {
                "grant another path, or a directory that contains it: Cella's own places are empty inside"
                    .into()
            }
            Self::Redirectable { path, .. } => format!("grant its real path: {}", path.display()),
            Self::LedElsewhere { .. } => {
                "if you changed it, let the node read its configuration again: kill -HUP, or cella up".into()
            }
            Self::Cell(error) => error.fix(),
            Self::Vm(error) => error.fix(),
            Self::Grant(fault) => fault.fix(),
            Self::Certificates { .. } => "make the directory writable for the user that Cella runs as".into(),
            Self::Broker(_) | Self::Authority(_) | Self::Placeholder { .. } | Self::Trust(_) => {
                "try again; if it stays, report it with the log".into()
            }
            Self::Workspace(error) => error.fix().into(),
            Self::Server(error) => return error.fix.clone(),
        })
    }
}

/// What is wrong in every class in the same way is said in the same way.
impl From<VmError> for ConfineError {
    fn from(error: VmError) -> Self {
        match error {
            VmError::Cell(error) => Self::Cell(error),
            other => Self::Vm(other),
        }
    }
}

impl From<ConfineError> for LaunchError {
    fn from(error: ConfineError) -> Self {
        let (code, message, fix) = (error.code(), error.to_string(), error.fix());
        match error {
            ConfineError::Server(error) => error,
            _ => Self { kind: FaultKind::Unavailable, code, message, fix },
        }
    }
}

impl From<LaunchError> for ConfineError {
    fn from(error: LaunchError) -> Self {
        Self::Server(error)
    }
}
