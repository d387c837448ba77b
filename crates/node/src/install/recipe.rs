//! Reading `npx …` and `uvx …` command lines. Pure.

use std::fmt;

use sha2::{Digest, Sha256};

use super::InstallError;

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
}

// === impl Recipe ===

impl Recipe {
    /// The recipe behind a command line; `None` when it is not a package runner.
    ///
    /// # Errors
    /// A runner without a package, or one that starts containers.
    pub fn read(command: &str, args: &[String]) -> Result<Option<Self>, InstallError> {
        let runner = command.rsplit('/').next().unwrap_or(command);
        let line: Vec<&str> = args.iter().map(String::as_str).collect();
        let read = match (runner, line.as_slice()) {
            ("npx" | "bunx", rest) => npx(rest),
            ("npm", ["exec" | "x", rest @ ..]) => npx(rest),
            ("pnpm" | "yarn", ["dlx", rest @ ..]) => npx(rest),
            ("uvx", rest) => uvx(rest),
            ("uv", ["tool", "run", rest @ ..] | ["x", rest @ ..]) => uvx(rest),
            ("pipx", ["run", rest @ ..]) => uvx(rest),
            ("docker" | "podman", ["run", ..]) => {
                return Err(InstallError::Container { command: runner.to_owned() });
            }
            _ => return Ok(None),
        };
        read.map(Some).ok_or_else(|| InstallError::NoPackage { command: command.to_owned() })
    }

    /// A name for the installation: the same packages give the same name.
    #[must_use]
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for package in &self.packages {
            hash.update(package.as_bytes());
            hash.update([0]);
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

fn npx(line: &[&str]) -> Option<Recipe> {
    let (mut packages, mut program, mut rest) = (Vec::new(), None, line);
    while let [first, more @ ..] = rest {
        rest = more;
        match (*first, more) {
            ("-p" | "--package", [package, tail @ ..]) => {
                packages.push((*package).to_owned());
                rest = tail;
            }
            ("--", _) => {}
            (flag, _) if flag.strip_prefix("--package=").is_some() => {
                packages.push(flag.trim_start_matches("--package=").to_owned());
            }
            (flag, _) if flag.starts_with('-') => {}
            (word, _) => {
                // With -p the word is a program of those packages; without, it is the package itself.
                if packages.is_empty() {
                    packages.push(word.to_owned())
                } else {
                    program = Some(word.to_owned())
                }
                break;
            }
        }
    }
    let args = rest.iter().map(|s| (*s).to_owned()).collect();
    (!packages.is_empty()).then_some(Recipe { ecosystem: Ecosystem::Npm, packages, program, args })
}

fn uvx(line: &[&str]) -> Option<Recipe> {
    let (mut from, mut with, mut rest) = (None, Vec::new(), line);
    let mut word = None;
    while let [first, more @ ..] = rest {
        rest = more;
        match (*first, more) {
            ("--from" | "--spec", [package, tail @ ..]) => {
                from = Some((*package).to_owned());
                rest = tail;
            }
            ("--with", [package, tail @ ..]) => {
                with.push((*package).to_owned());
                rest = tail;
            }
            // Flags of the runner with a value that does not change what is installed.
            ("--python" | "-p" | "--index-url" | "--refresh-package", [_, tail @ ..]) => rest = tail,
            (flag, _) if flag.starts_with('-') => {}
            (found, _) => {
                word = Some(found.to_owned());
                break;
            }
        }
    }
    let word = word?;
    let (main, program) = match from {
        Some(package) => (package, Some(word)),
        // `uvx pkg@1.2` means version 1.2; `pkg@latest` means any.
        None => match word.split_once('@') {
            Some((name, "latest")) => (name.to_owned(), None),
            Some((name, version)) => (format!("{name}=={version}"), None),
            None => (word, None),
        },
    };
    let packages = std::iter::once(main).chain(with).collect();
    let args = rest.iter().map(|s| (*s).to_owned()).collect();
    Some(Recipe { ecosystem: Ecosystem::PyPi, packages, program, args })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Recipe> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Recipe::read(&words[0], &words[1..]).expect("readable")
    }

    #[test]
    fn npx_lines_name_package_program_and_arguments() {
        let fs = read("npx -y @modelcontextprotocol/server-filesystem@2026.8.31 /data").expect("a recipe");
        assert_eq!(fs.packages, ["@modelcontextprotocol/server-filesystem@2026.8.31"]);
        assert_eq!(fs.package_name(), "@modelcontextprotocol/server-filesystem");
        assert_eq!(fs.args, ["/data"]);
        let tool = read("npx -p typescript -p ts-node tsc --version").expect("a recipe");
        assert_eq!((tool.packages.len(), tool.program.as_deref()), (2, Some("tsc")));
        assert_eq!(tool.args, ["--version"]);
    }

    #[test]
    fn uvx_lines_name_package_program_and_arguments() {
        let sqlite = read("uvx --with mcp<2 mcp-server-sqlite --db-path /x.db").expect("a recipe");
        assert_eq!(sqlite.packages, ["mcp-server-sqlite", "mcp<2"]);
        assert_eq!(sqlite.args, ["--db-path", "/x.db"]);
        let pinned = read("uvx mcp-server-time@2026.10.19").expect("a recipe");
        assert_eq!(
            (pinned.packages[0].as_str(), pinned.package_name()),
            ("mcp-server-time==2026.10.19", "mcp-server-time")
        );
        assert_eq!(read("uvx --from git+x prog").expect("a recipe").program.as_deref(), Some("prog"));
    }

    #[test]
    fn other_commands_are_left_alone_and_containers_refused() {
        assert_eq!(read("node server.js"), None);
        let docker = Recipe::read("docker", &["run".into(), "x".into()]);
        assert!(matches!(docker, Err(InstallError::Container { .. })));
        assert!(matches!(Recipe::read("npx", &["-y".into()]), Err(InstallError::NoPackage { .. })));
    }
}
