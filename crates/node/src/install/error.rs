//! Why a package could not be installed.

use std::path::PathBuf;

use super::Ecosystem;

/// Failures of reading a command line or installing what it names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// `npx` or `uvx` without the name of a package.
    #[error("`{command}` names no package")]
    NoPackage {
        /// The command as configured.
        command: String,
    },
    /// A runner whose packages cannot be put into a cell.
    #[error("`{command}` starts a container, and a container is not confined by Cella")]
    Container {
        /// `docker` or `podman`.
        command: String,
    },
    /// The tool that installs such packages is missing.
    #[error("`{tool}` is not on this machine")]
    NoInstaller {
        /// `npm` or `python3`.
        tool: &'static str,
        /// How to get it.
        fix: &'static str,
    },
    /// The Python that a runner's flag asks for is missing.
    #[error("the Python `{asked}` is not on this machine")]
    NoPython {
        /// As the flag says it.
        asked: String,
    },
    /// The installer ran and failed.
    #[error("{ecosystem} could not install `{package}`: {said}")]
    Failed {
        /// Which package world.
        ecosystem: Ecosystem,
        /// The package asked for.
        package: String,
        /// The installer's last words.
        said: String,
    },
    /// Nothing can be installed without running the package's own code.
    #[error("there is no package, or no wheel, for `{package}` and what it needs: {said}")]
    NoWheel {
        /// The package asked for.
        package: String,
        /// The installer's last words.
        said: String,
    },
    /// A flag before the package whose meaning is not known.
    #[error("`{command}` has the flag `{flag}`, which Cella does not know")]
    UnknownFlag {
        /// The command as configured.
        command: String,
        /// The flag.
        flag: String,
    },
    /// The package has no program of that name.
    #[error("`{package}` has no program `{wanted}`; it has: {offered}")]
    NoProgram {
        /// The package asked for.
        package: String,
        /// The program asked for.
        wanted: String,
        /// The programs it has.
        offered: String,
    },
    /// The store cannot be written or read.
    #[error("{path}: {source}", path = path.display())]
    Store {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl InstallError {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoPackage { .. } => "CE2201",
            Self::Container { .. } => "CE2202",
            Self::NoInstaller { .. } => "CE2203",
            Self::Failed { .. } => "CE2204",
            Self::NoProgram { .. } => "CE2205",
            Self::Store { .. } => "CE2206",
            Self::NoWheel { .. } => "CE2207",
            Self::UnknownFlag { .. } => "CE2208",
            Self::NoPython { .. } => "CE2209",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::NoPackage { command } => {
                format!("write the package after the command: args = [\"PACKAGE\"] for `{command}`")
            }
            Self::Container { .. } => {
                "run the program itself (npx, uvx or its path), or reach the container by url".into()
            }
            Self::NoInstaller { fix, .. } => (*fix).into(),
            Self::NoPython { asked } => format!(
                "install Python {asked}, or uv, which fetches it; or take the flag --python out to use the python3 that is here"
            ),
            Self::Failed { package, .. } => {
                format!("check the name `{package}` and the connection to the registry, then run: cella add")
            }
            Self::NoProgram { package, .. } => {
                format!("name the program: npx -p {package} PROGRAM, or uvx --from {package} PROGRAM")
            }
            Self::NoWheel { package, .. } => format!(
                "check the name; if `{package}` must be built, its code runs outside of any cell: to allow that, set \
                 build_from_source = true under its [servers.NAME], or add it with --build-from-source"
            ),
            Self::UnknownFlag { flag, .. } => format!(
                "take `{flag}` out, write it after the package if it is for the program, or install the package yourself \
                 and name its program"
            ),
            Self::Store { path, .. } => format!("make {} writable, or set XDG_DATA_HOME", path.display()),
        }
    }
}
