//! What a cell enforces, as data for `cella status` and the ledger.

use serde::{Deserialize, Serialize};

/// What holds a program, and what was asked and is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Class of the cell.
    pub class: String,
    /// What is in force.
    pub enforced: Vec<Wall>,
    /// What was asked and is not, or not fully, in force. Empty under strict enforcement unless only preferred.
    pub degraded: Vec<Shortfall>,
}

impl Report {
    /// What holds of a server that somebody else runs ([`crate::Class::Remote`]), and what nobody here can enforce.
    #[must_use]
    pub fn remote() -> Self {
        let wall = |what: &str, how: &str| Wall { what: what.into(), how: how.into() };
        let missing = |what: &str, why: &str, fix: &str| Shortfall {
            what: what.into(),
            why: why.into(),
            fix: fix.into(),
        };
        Self {
            class: crate::Class::Remote.as_str().into(),
            enforced: vec![
                wall("contract", "checked at each call, before anything is sent"),
                wall("transport", "TLS, the server's name verified"),
                wall("machine", "nothing of it is given: no file, no process, no environment"),
            ],
            degraded: vec![
                missing(
                    "confinement",
                    "the server runs on its owner's machine; what it does with a call's arguments is not seen",
                    "run the server here if its owner is not trusted with the arguments",
                ),
                missing(
                    "limits",
                    "its memory, processor and files are its owner's; only a call's time and size are bounded",
                    "run the server here",
                ),
            ],
        }
    }
}

/// One thing in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Which: `namespaces`, `root`, `landlock`, `seccomp`, `memory`, ...
    pub what: String,
    /// By which mechanism, with its figures: `cgroup v1, 512 MiB`.
    pub how: String,
}

/// One thing asked and not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Which, as in [`Wall::what`].
    pub what: String,
    /// What this machine lacks.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn a_remote_server_is_said_not_to_be_confined() {
        let report = Report::remote();
        assert_eq!(report.class, "remote");
        assert!(report.enforced.iter().any(|wall| wall.what == "contract"));
        assert!(report.degraded.iter().any(|short| short.what == "confinement" && !short.fix.is_empty()));
    }
}
