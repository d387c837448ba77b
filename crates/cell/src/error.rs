//! Why a cell did not start: what is wrong, and what to do about it.

use std::{io, path::PathBuf};

/// A refusal to run, or a failure to. Each has a code (`docs/errors/`), a cause (its text) and a fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// No such command.
    #[error("program `{command}` was not found{}", hint_text(hint))]
    ProgramNotFound {
        /// As written in the configuration.
        command: String,
        /// Where one of that name is, if somewhere.
        hint: Option<String>,
    },
    /// The program or what it needs to start is not visible in the cell.
    #[error("`{}` is missing in the cell{}", path.display(), hint_text(hint))]
    MissingInside {
        /// The path that was not found.
        path: PathBuf,
        /// What it probably is.
        hint: Option<String>,
    },
    /// The kernel lets this user make no user namespaces, or none with capabilities.
    #[error("this machine forbids user namespaces, so nothing can be confined: {cause}")]
    UserNamespaces {
        /// What the kernel said.
        cause: String,
        /// The setting that forbids it.
        fix: String,
    },
    /// No Landlock in this kernel.
    #[error("this kernel has no Landlock: {cause}")]
    Landlock {
        /// What the kernel said.
        cause: String,
    },
    /// A limit that only a control group can enforce.
    #[error("the {limit} limit cannot be enforced: {cause}")]
    Limit {
        /// Which limit.
        limit: &'static str,
        /// Why not.
        cause: String,
        /// How to allow it.
        fix: String,
    },
    /// A declared mount cannot be made.
    #[error("`{}` cannot be mounted: {cause}", path.display())]
    Mount {
        /// Host path.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A writable mount on a filesystem without idmapped mounts, under a root node.
    #[error("`{}` cannot be made writable: its filesystem has no idmapped mounts ({cause})", path.display())]
    Idmap {
        /// Host path.
        path: PathBuf,
        /// What the kernel said.
        cause: String,
    },
    /// A directory of which this kernel makes no copy-on-write view.
    #[error("`{}` cannot be shown as a copy: {cause}", path.display())]
    Overlay {
        /// Host path.
        path: PathBuf,
        /// What the kernel said.
        cause: String,
    },
    /// A wall that is never given up could not be put up.
    #[error("the cell's {wall} could not be set up: {cause}")]
    Wall {
        /// Which wall.
        wall: String,
        /// What the kernel said.
        cause: String,
    },
    /// The program is there but cannot be executed.
    #[error("`{}` cannot be executed: {cause}", path.display())]
    Exec {
        /// The executable.
        path: PathBuf,
        /// What the kernel said.
        cause: String,
    },
    /// A directory that is no root filesystem.
    #[error("the image `{}` cannot be used: {cause}", path.display())]
    Image {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The specification contradicts itself.
    #[error("the cell's specification is not usable: {what}")]
    Spec {
        /// What is wrong.
        what: String,
    },
    /// The process that makes cells cannot be started, or died.
    #[error("the cell launcher failed: {cause}")]
    Launcher {
        /// What happened.
        cause: String,
    },
    /// The node itself lacks descriptors, memory or processes.
    #[error("the node has no resources for another cell: {source}")]
    Resources {
        /// From the operating system.
        #[from]
        source: io::Error,
    },
}

impl CellError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProgramNotFound { .. } => "CE2001",
            Self::MissingInside { .. } => "CE2002",
            Self::UserNamespaces { .. } => "CE2003",
            Self::Landlock { .. } => "CE2004",
            Self::Limit { .. } => "CE2005",
            Self::Mount { .. } => "CE2006",
            Self::Idmap { .. } => "CE2007",
            Self::Wall { .. } => "CE2008",
            Self::Exec { .. } => "CE2009",
            Self::Spec { .. } => "CE2010",
            Self::Launcher { .. } => "CE2011",
            Self::Resources { .. } => "CE2012",
            Self::Image { .. } => "CE2013",
            Self::Overlay { .. } => "CE2015",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::ProgramNotFound { .. } => "install it, or write its absolute path as `command`".into(),
            Self::MissingInside { path, .. } => {
                format!("declare it in the contract: [[files]] path = \"{}\", mode = \"read\"", path.display())
            }
            Self::UserNamespaces { fix, .. } | Self::Limit { fix, .. } => fix.clone(),
            Self::Landlock { .. } => {
                "boot with `lsm=landlock,...` on Linux 5.13 or newer, or set `best_effort = true`".into()
            }
            Self::Mount { .. } => "correct the path in the contract's [[files]]".into(),
            Self::Idmap { .. } => {
                "keep the directory on ext4, xfs, btrfs or tmpfs, run the node as the directory's owner, or set \
                 `best_effort = true`"
                    .into()
            }
            Self::Overlay { .. } => {
                "grant a directory without other mounts in it, on Linux 5.19 or newer (5.11 for a plain user), with \
                 Cella's state on ext4, xfs, btrfs or tmpfs; or write mode = \"write\" or \"read\""
                    .into()
            }
            Self::Wall { .. } => "run `cella doctor`: it says what this machine can enforce".into(),
            Self::Exec { .. } => "check that it is executable by every user and built for this machine".into(),
            Self::Image { .. } => "name a directory with a root filesystem in it".into(),
            Self::Spec { .. } => "correct the server's entry in cella.toml or its contract".into(),
            Self::Launcher { .. } => "start the server again; if it persists, run `cella doctor`".into(),
            Self::Resources { .. } => "raise the node's limits (ulimit -n, -u), or stop servers".into(),
        }
    }
}

fn hint_text(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
}
