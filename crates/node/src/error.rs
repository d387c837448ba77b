//! Why a node does not start.

use std::{
    io,
    net::AddrParseError,
    path::{Path, PathBuf},
};

use cella_contract::Diagnostics;
use cella_history::AskError;
use cella_ledger::OpenError;
use cella_workspace::{RecordedError, WorkspaceError};

pub use cella_doorman::SecretError;
use cella_doorman::{UNUSABLE_FILE, unwritten};

/// What stands between a command and a running node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration or a contract is wrong; every mistake is listed.
    #[error("{0}")]
    Config(Diagnostics),
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that the command line names cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Given {
        /// As it was given.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What a server names as its contract cannot be read.
    #[error("{}", contract_unread(.server, .named, .path, .source))]
    Contract {
        /// The server's name.
        server: String,
        /// As the configuration has it.
        named: PathBuf,
        /// Where it was looked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The token or key of the node cannot be used.
    #[error("{path}: {error}", path = path.display())]
    Secret {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        error: SecretError,
    },
    /// What a cell changed in its copies cannot be kept, committed or removed.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A file or directory cannot be made.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The ledger cannot be opened.
    #[error("the ledger cannot be opened: {0}")]
    Ledger(#[from] OpenError),
    /// The first event cannot be written.
    #[error("the ledger cannot be written: {0}")]
    Append(#[from] cella_ledger::AppendError),
    /// A question about the ledger has no answer.
    #[error(transparent)]
    Ask(AskError),
    /// The ledger's writer ended by a fault of its own while the node ran.
    #[error("the node cannot go on: {0}")]
    Unrecordable(cella_ledger::StoreError),
    /// A door ended while the node ran.
    #[error("the node cannot go on: the door at {door} has closed")]
    DoorEnded {
        /// Its address.
        door: String,
    },
    /// The address is not one.
    #[error("`{address}` is not an address")]
    Address {
        /// As written.
        address: String,
        /// Why not.
        source: AddrParseError,
    },
    /// An address that everybody on the network can reach.
    #[error("`{address}` is not a loopback address")]
    Open {
        /// As written.
        address: String,
    },
    /// Somebody else listens there, or may not.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address or path.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A socket from the supervisor that no door can use.
    #[error("the socket `{name}` that the supervisor handed over cannot be used: {why}")]
    Inherited {
        /// Its name, or its number from 0.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The environment asks for traces in a way that is not possible.
    #[error("traces cannot be exported: {why}")]
    Traces {
        /// What is wrong.
        why: String,
    },
    /// A view that cannot be used as written.
    #[error("the view `{name}`: {error}")]
    View {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: cella_catalog::ViewError,
    },
}

impl From<AskError> for StartError {
    fn from(error: AskError) -> Self {
        match error {
            // one error, whoever opens: with the remedy that knows who holds it or what was lost
            AskError::Open(error) => Self::Ledger(error),
            other => Self::Ask(other),
        }
    }
}

impl From<RecordedError> for StartError {
    fn from(error: RecordedError) -> Self {
        match error {
            RecordedError::Workspace(error) => Self::Workspace(error),
            RecordedError::Ledger(error) => Self::Ledger(error),
            RecordedError::Append(error) => Self::Append(error),
            other => Self::Ask(AskError::Question(other.to_string())),
        }
    }
}

impl StartError {
    /// True when another process holds the ledger: a node that runs, or is starting just now.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Ledger(OpenError::Held { .. }))
    }

    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(found) => found.0.first().map_or("CE4100", |d| d.code),
            Self::Read { .. } | Self::Given { .. } | Self::Contract { .. } => cella_history::UNREADABLE,
            Self::Write { .. } => UNUSABLE_FILE,
            Self::Secret { error, .. } => error.code(),
            Self::Workspace(error) => error.code(),
            Self::Ledger(_) => cella_history::UNOPENED,
            Self::Append(_) => crate::dispatch::UNRECORDED,
            Self::Ask(error) => error.code(),
            Self::Unrecordable(_) => "CE4111",
            Self::DoorEnded { .. } => "CE4112",
            Self::Address { .. } => "CE4106",
            Self::Open { .. } => "CE4107",
            Self::Listen { .. } => "CE4108",
            Self::Inherited { .. } => "CE4114",
            Self::Traces { .. } => "CE4115",
            Self::View { .. } => "CE4110",
        }
    }

    /// What happened, in one line.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Config(found) => found.0.first().map_or_else(String::new, |first| {
                format!("{}:{}: {}", first.file, first.line, first.message)
            }),
            other => other.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            Self::Config(_) => return None,
            Self::Workspace(error) => error.fix().to_owned(),
            Self::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
                let path = path.display();
                format!("make it: cella add or cella import; or name another file than {path} with --config")
            }
            Self::Read { path, .. } => format!("make {} readable", path.display()),
            Self::Given { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "give yourself access to it, or run this as the user it belongs to".into()
            }
            Self::Given { .. } => "check the path".into(),
            Self::Contract { server, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                format!("correct `contract` in [servers.{server}]: name a preset, or a file by its path")
            }
            Self::Contract { path, .. } => format!("make {} readable for the user of the node", path.display()),
            Self::Secret { path, error } => error.fix(path),
            Self::Write { path, source } => unwritten(path, source),
            Self::Ledger(OpenError::Damaged { .. } | OpenError::Lost { .. }) => {
                "look at it: cella log verify; restore a backup, or go on without these events: cella up --accept-loss"
                    .into()
            }
            Self::Ledger(OpenError::Held { .. }) => {
                "use the node that runs (cella status), stop it, or give this one another `[ledger] path`".into()
            }
            Self::Ask(error) => error.fix(),
            Self::Ledger(_) | Self::Append(_) => {
                "run: cella log verify".into()
            }
            Self::Unrecordable(_) | Self::DoorEnded { .. } => "start it again, and report this".into(),
            Self::Address { .. } => "write it as 127.0.0.1:7878".into(),
            Self::Open { .. } => {
                "listen on 127.0.0.1 or [::1], and put a reverse proxy with TLS before it for others".into()
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or choose another address with --listen".into()
            }
            Self::Listen { .. } => "choose another address with --listen".into(),
            Self::Inherited { .. } => {
                "correct ListenStream= and FileDescriptorName= (http or local) in the socket unit".into()
            }
            Self::Traces { .. } => "correct the OTEL_ variable, or set OTEL_SDK_DISABLED=true".into(),
            Self::View { name, .. } => format!("correct [views.{name}] in the configuration"),
        })
    }

    /// True when the user's files are at fault.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Read { .. }
                | Self::Contract { .. }
                | Self::Secret { .. }
                | Self::Address { .. }
                | Self::Open { .. }
                | Self::View { .. }
        )
    }
}

fn contract_unread(server: &str, named: &Path, path: &Path, source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::NotFound {
        return format!(
            "the contract of `{server}`: `{}` is neither a preset (untrusted, semi-trusted, trusted) nor a file beside \
             cella.toml",
            named.display()
        );
    }
    format!("the contract of `{server}`: {}: {source}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_that_is_neither_names_the_server_and_the_presets() {
        let error = StartError::Contract {
            server: "files".into(),
            named: "trustd".into(),
            path: "/etc/cella/trustd".into(),
            source: io::ErrorKind::NotFound.into(),
        };
        let said = error.to_string();
        assert!(
            said.contains("`files`") && said.contains("`trustd`") && said.contains("semi-trusted"),
            "{said}"
        );
        assert!(error.fix().is_some_and(|fix| fix.contains("[servers.files]")));
        assert!(error.is_config());
    }

    #[test]
    fn a_file_that_was_given_is_not_the_configuration() {
        let error = StartError::Given { path: "/nope".into(), source: io::ErrorKind::NotFound.into() };
        assert_eq!(error.fix().as_deref(), Some("check the path"));
    }

    #[test]
    fn a_read_only_file_system_is_left_by_the_variable() {
        assert!(
            unwritten(Path::new("/x"), &io::ErrorKind::ReadOnlyFilesystem.into()).contains("XDG_STATE_HOME")
        );
    }
}
