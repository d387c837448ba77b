//! Reading `npx …` and `uvx …` command lines. Pure.

use std::fmt;

use cella_contract::{InstallConfig, ServerConfig};
use sha2::{Digest, Sha256};

use crate::{InstallError, environment::is_registry};
use cella_contract::Text;

/// Where packages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecosystem {
    /// npm packages, run by Node.
    Npm,
    /// Python packages, run from a virtual environment.
    PyPi,
}

/// What has to be installed, and what of it is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Which installer.
    pub ecosystem: Ecosystem,
    /// Requirements as the installer spells them, the one with the program first.
    pub packages: Vec<String>,
    /// The program within the packages; `None` when the package has just one or one of its own name.
    pub program: Option<String>,
    /// Arguments for the program.
    pub args: Vec<String>,
    /// Where packages are looked for; empty: where the installer's own configuration says.
    pub indexes: Vec<Index>,
    /// The Python that is to run it, as the runner's flag says it: a version, a name or a path.
    pub python: Option<String>,
    /// Addresses of registries from the server's own environment; they take the place of the node's.
    pub registries: Vec<(String, String)>,
    /// What the user allows its installer.
    pub allowed: Allowed,
}

/// What a user allows an installer beyond reaching its registries and unpacking what it gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Code of the package may run, in the installer's cell: install scripts, builds.
    pub build_from_source: bool,
    /// It runs even where not all limits can be enforced.
    pub best_effort: bool,
    /// Hosts and ports that it may reach beside its registries.
    pub egress: Vec<String>,
}

// === impl Allowed ===

impl Allowed {
    /// What a configuration says for one of its servers.
    #[must_use]
    pub fn of(server: &ServerConfig, install: &InstallConfig) -> Self {
        let egress = install.egress.clone();
        Self { build_from_source: server.build_from_source, best_effort: server.best_effort, egress }
    }
}

// === impl Recipe ===

impl Recipe {
    /// The recipe behind a command line; `None` when it is not a package runner.
    ///
    /// # Errors
    /// A runner without a package, one with flags that are not known, or one that starts containers.
    pub fn read(command: &str, args: &[String]) -> Result<Option<Self>, InstallError> {
        let runner = command.rsplit('/').next().unwrap_or(command);
        let line: Vec<&str> = args.iter().map(String::as_str).collect();
        let read = match (runner, line.as_slice()) {
            ("npx" | "bunx", rest) => npx(command, rest),
            ("npm", ["exec" | "x", rest @ ..]) => npx(command, rest),
            ("pnpm" | "yarn", ["dlx", rest @ ..]) => npx(command, rest),
            ("uvx", rest) => uvx(command, rest),
            ("uv", ["tool", "run", rest @ ..] | ["x", rest @ ..]) => uvx(command, rest),
            ("pipx", ["run", rest @ ..]) => uvx(command, rest),
            ("docker" | "podman", ["run", ..]) => {
                return Err(InstallError::Container { command: runner.to_owned() });
            }
            _ => return Ok(None),
        };
        read?.map(Some).ok_or_else(|| InstallError::NoPackage { command: command.to_owned() })
    }

    /// Takes over where the server's own environment says that packages are. What it only points to (a file, a command,
    /// another variable) is a secret, and no installer is told of it; `expand` replaces `${VAR}`, and one that is not set
    /// is no address.
    pub fn take_registries(&mut self, env: &[(String, String)], expand: &dyn Fn(&str) -> Option<String>) {
        let named = env.iter().filter(|(name, _)| is_registry(name));
        let plain = named.filter_map(|(name, value)| match Text::read(value) {
            Text::Plain(text) => Some((name.clone(), expand(&text)?)),
            _ => None,
        });
        self.registries = plain.collect();
        self.registries.sort();
    }

    /// A name for the installation: the same packages from the same place give the same name.
    #[must_use]
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for package in &self.packages {
            hash.update(package.as_bytes());
            hash.update([0]);
        }
        for index in &self.indexes {
            let (kind, url) = match index {
                Index::Instead(url) => ([1], url),
                Index::Before(url) => ([2], url),
            };
            hash.update(kind);
            hash.update(url.as_bytes());
        }
        for (name, value) in &self.registries {
            hash.update([3]);
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update(value.as_bytes());
        }
        if let Some(python) = &self.python {
            hash.update([4]);
            hash.update(python.as_bytes());
        }
        let digest: String = hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect();
        let readable: String =
            self.package_name().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("{}-{}-{digest}", self.ecosystem, readable.trim_matches('-'))
    }

    /// The main package without its version.
    #[must_use]
    pub fn package_name(&self) -> &str {
        let package = &self.packages[0];
        match self.ecosystem {
            // The first character may be the @ of a scope.
            Ecosystem::Npm => {
                package.get(1..).and_then(|p| p.find('@')).map_or(package.as_str(), |at| &package[..=at])
            }
            Ecosystem::PyPi => {
                package.split(['=', '<', '>', '!', '~', '@', '[', ';', ' ']).next().unwrap_or(package)
            }
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Npm => "npm",
            Self::PyPi => "pypi",
        })
    }
}

/// Where a runner's flags say that packages are to be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    /// Instead of the public one.
    Instead(String),
    /// Before the public one: a package that is there is never taken from elsewhere.
    Before(String),
}

/// The flags of a runner. One that is not here is refused: whether the word after it is its value or the package cannot
/// be known, and what it changes would be lost.
struct Flags {
    /// Without a value, and without an effect on what is installed.
    switches: &'static [&'static str],
    /// With a value, and without an effect on what is installed.
    settings: &'static [&'static str],
    /// Names the package that has the program.
    main: &'static [&'static str],
    /// Names a package that is installed too.
    also: &'static [&'static str],
    instead: &'static [&'static str],
    before: &'static [&'static str],
    /// Names the interpreter.
    python: &'static [&'static str],
}

const NPX: Flags = Flags {
    switches: &[
        "-y",
        "--yes",
        "--no",
        "-q",
        "--quiet",
        "-s",
        "--silent",
        "--verbose",
        "--offline",
        "--prefer-offline",
        "--prefer-online",
        "--ignore-existing",
        "--no-install",
        "--bun",
    ],
    settings: &["--loglevel", "--cache"],
    main: &[],
    also: &["-p", "--package"],
    instead: &["--registry"],
    before: &[],
    python: &[],
};

const UVX: Flags = Flags {
    switches: &[
        "-q",
        "--quiet",
        "-v",
        "--verbose",
        "-n",
        "--no-cache",
        "--no-cache-dir",
        "--refresh",
        "--isolated",
        "--offline",
        "--native-tls",
        "--system-certs",
        "--no-progress",
        "--no-env-file",
        "--managed-python",
        "--no-managed-python",
        "--no-python-downloads",
        "-U",
        "--upgrade",
        "--no-build",
    ],
    settings: &[
        "--python-preference",
        "--refresh-package",
        "-P",
        "--upgrade-package",
        "--cache-dir",
        "--link-mode",
        "--color",
    ],
    main: &["--from", "--spec"],
    also: &["-w", "--with"],
    instead: &["-i", "--index-url", "--default-index"],
    before: &["--index", "--extra-index-url"],
    python: &["-p", "--python"],
};

/// A runner's line: what its flags say, the first plain word, and what follows it.
#[derive(Debug, Default)]
struct Line {
    main: Option<String>,
    also: Vec<String>,
    indexes: Vec<Index>,
    python: Option<String>,
    word: Option<String>,
    args: Vec<String>,
}

impl Line {
    fn read(command: &str, flags: &Flags, words: &[&str]) -> Result<Self, InstallError> {
        let mut line = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if *word == "--" {
                line.word = rest.next().map(|word| (*word).to_owned());
                break;
            }
            if !word.starts_with('-') {
                line.word = Some((*word).to_owned());
                break;
            }
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (*word, None),
            };
            if value.is_none() && flags.switches.contains(&flag) {
                continue;
            }
            let unknown =
                || InstallError::UnknownFlag { command: command.to_owned(), flag: (*word).to_owned() };
            let mut value = || value.or_else(|| rest.next().copied()).map(str::to_owned).ok_or_else(unknown);
            match flag {
                flag if flags.settings.contains(&flag) => drop(value()?),
                flag if flags.main.contains(&flag) => line.main = Some(value()?),
                flag if flags.also.contains(&flag) => line.also.push(value()?),
                flag if flags.instead.contains(&flag) => line.indexes.push(Index::Instead(value()?)),
                flag if flags.python.contains(&flag) => line.python = Some(value()?),
                flag if flags.before.contains(&flag) => line.indexes.push(Index::Before(value()?)),
                _ => return Err(unknown()),
            }
        }
        line.args = rest.map(|word| (*word).to_owned()).collect();
        Ok(line)
    }
}

fn npx(command: &str, words: &[&str]) -> Result<Option<Recipe>, InstallError> {
    let line = Line::read(command, &NPX, words)?;
    // With -p the word is a program of those packages; without, it is the package itself.
    let (packages, program) = match (line.also.is_empty(), line.word) {
        (true, Some(word)) => (vec![word], None),
        (_, word) => (line.also, word),
    };
    Ok((!packages.is_empty()).then_some(Recipe {
        ecosystem: Ecosystem::Npm,
        packages,
        program,
        args: line.args,
        indexes: line.indexes,
        python: line.python,
        registries: Vec::new(),
        allowed: Allowed::default(),
    }))
}

fn uvx(command: &str, words: &[&str]) -> Result<Option<Recipe>, InstallError> {
    let line = Line::read(command, &UVX, words)?;
    let Some(word) = line.word else { return Ok(None) };
    let (main, program) = match line.main {
        Some(package) => (package, Some(word)),
        // `uvx pkg@1.2` means version 1.2; `pkg@latest` means any.
        None => match word.split_once('@') {
            Some((name, "latest")) => (name.to_owned(), None),
            Some((name, version)) => (format!("{name}=={version}"), None),
            None => (word, None),
        },
    };
    // `--with a,b` are two.
    let with = line.also.iter().flat_map(|list| list.split(',')).map(|name| name.trim().to_owned());
    let packages =
        std::iter::once(main).chain(with).filter(|package| !package.is_empty()).collect::<Vec<_>>();
    Ok((!packages.is_empty()).then_some(Recipe {
        ecosystem: Ecosystem::PyPi,
        packages,
        program,
        args: line.args,
        indexes: line.indexes,
        python: line.python,
        registries: Vec::new(),
        allowed: Allowed::default(),
    }))
}

#[cfg(test)]
mod tests;
