//! Why a package could not be installed.

use std::path::PathBuf;

use crate::Ecosystem;

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
    /// The installer wanted a host that neither its settings nor the configuration name.
    #[error("installing `{package}` needs {host}, which it may not reach: {why}; it said: {said}")]
    Denied {
        /// The package asked for.
        package: String,
        /// The entry of `egress` that would allow it.
        host: String,
        /// Why it was refused.
        why: String,
        /// The installer's last words.
        said: String,
    },
    /// A registry does not answer.
    #[error("installing `{package}`: {host} cannot be reached: {cause}")]
    Unreachable {
        /// The package asked for.
        package: String,
        /// The host.
        host: String,
        /// From the operating system.
        cause: String,
    },
    /// The registry does not let this user in.
    #[error("the registry refuses `{package}`: {said}")]
    Refused {
        /// The package asked for.
        package: String,
        /// The installer's last words.
        said: String,
    },
    /// The installer used more than it may.
    #[error("installing `{package}` took more {what} than an installer may")]
    Limit {
        /// The package asked for.
        package: String,
        /// `disk` or `memory`.
        what: &'static str,
    },
    /// The installer took too long.
    #[error("installing `{package}` came to no end in time")]
    Time {
        /// The package asked for.
        package: String,
    },
    /// The registry has not what the lock says.
    #[error("`{package}` cannot be installed as `cella.lock` says: {said}")]
    NotAsLocked {
        /// The package asked for.
        package: String,
        /// What is different.
        said: String,
    },
    /// The installer does not say which registries it would ask.
    #[error("which registries `{tool}` asks cannot be found out: {why}")]
    NoRegistry {
        /// `npm` or `pip`.
        tool: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The lock cannot be used.
    #[error("{path}: {why}", path = path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The installed files are not those that were installed.
    #[error("the installed files of `{package}` in {directory} have changed since they were installed", directory = directory.display())]
    Changed {
        /// The package.
        package: String,
        /// Where it is.
        directory: PathBuf,
    },
    /// There is no cell for the installer.
    #[error("the installer of `{package}` gets no cell: {said}")]
    Cell {
        /// The package asked for.
        package: String,
        /// Code of the refusal.
        code: &'static str,
        /// Why.
        said: String,
        /// What to do about it.
        fix: Option<String>,
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
    pub fn code(&self) -> &'static str {
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
            Self::Changed { .. } => "CE4131",
            Self::Denied { .. } => "CE4132",
            Self::Unreachable { .. } => "CE4133",
            Self::Refused { .. } => "CE4134",
            Self::Limit { .. } => "CE4135",
            Self::Time { .. } => "CE4136",
            Self::NotAsLocked { .. } => "CE4137",
            Self::NoRegistry { .. } => "CE4138",
            Self::Lock { .. } => "CE4139",
            Self::Cell { code, .. } => code,
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
                "install Python {asked}, or take the flag --python out to use the python3 that is here"
            ),
            Self::Failed { package, .. } => {
                format!("check the name `{package}` and the connection to the registry, then run: cella add")
            }
            Self::NoProgram { package, .. } => {
                format!("name the program: npx -p {package} PROGRAM, or uvx --from {package} PROGRAM")
            }
            Self::NoWheel { package, .. } => format!(
                "check the name; if `{package}` must be built, its code runs in the installer's cell: to allow that, set \
                 build_from_source = true under its [servers.NAME], or add it with --build-from-source"
            ),
            Self::UnknownFlag { flag, .. } => format!(
                "take `{flag}` out, write it after the package if it is for the program, or install the package yourself \
                 and name its program"
            ),
            Self::Denied { host, .. } => {
                format!("if the host is meant, add to cella.toml: [install] egress = [\"{host}\"]")
            }
            Self::Unreachable { host, .. } => {
                format!("see whether this machine reaches {host}; behind a proxy, set HTTPS_PROXY for Cella")
            }
            Self::Refused { .. } => {
                "see the credentials in the installer's own settings (.npmrc, pip.conf)".into()
            }
            Self::Limit { .. } | Self::Time { .. } => {
                "install it yourself, outside of Cella, and name its program as `command`".into()
            }
            Self::NotAsLocked { .. } => {
                "if another version is wanted, take the package out of cella.lock and run \
                 cella add again; the lock may also be of another kind of machine"
                    .into()
            }
            Self::NoRegistry { .. } => "correct the address in the installer's own settings".into(),
            Self::Lock { path, .. } => {
                format!("take it from your version control, or remove {} and run: cella add", path.display())
            }
            Self::Changed { directory, .. } => {
                format!("see who changed it; to install it anew, remove {}", directory.display())
            }
            Self::Cell { fix, .. } => fix.clone().unwrap_or_default(),
            Self::Store { path, .. } => format!("make {} writable, or set XDG_DATA_HOME", path.display()),
        }
    }
}
