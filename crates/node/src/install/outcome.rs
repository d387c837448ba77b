//! How one step of an installation ended, and what went wrong. Pure.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use cella_cell::{Exit, LimitHit};
use cella_egress::{Denial, Ending, Record, Subject, Verdict};

use super::{InstallError, Recipe};
use crate::confine::Sink;

/// Refusals kept of one step. Stops package code from growing the node; the first are the ones that matter.
const TROUBLES_MAX: usize = 64;

/// Lines of an installer's output kept for an error message.
const SAID_LINES: usize = 6;

/// What installers say when a registry wants other credentials, or none of this kind.
const REFUSED: [&str; 8] = [
    "E401",
    "E403",
    "ENEEDAUTH",
    "401 Error",
    "403 Client Error",
    "401 Unauthorized",
    "403 Forbidden",
    "407 Proxy",
];

/// What they say when nothing fits the digests of a lock.
const OTHER: [&str; 5] = [
    "EINTEGRITY",
    "DO NOT MATCH THE HASHES",
    "Hash mismatch",
    "can only install packages when your package.json",
    "EUSAGE",
];

/// What pip and uv say when there are only sources, or nothing at all; they do not tell the two apart.
const NO_WHEEL: [&str; 5] = [
    "No matching distribution",
    "Could not find a version",
    "no usable wheels",
    "has no wheels",
    "no wheels with",
];

/// A connection that did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Denied(Subject, Denial),
    Unreachable { host: String, cause: String },
}

/// Keeps the troubles of one step, and passes everything on.
#[derive(Debug)]
pub(super) struct Watch {
    next: Arc<dyn Sink>,
    troubles: Mutex<Vec<Trouble>>,
}

/// How a step ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) out: String,
    pub(super) err: String,
    pub(super) troubles: Vec<Trouble>,
    /// It filled the disk up to the limit.
    pub(super) full: bool,
}

/// What a step was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It finds what fits.
    Find,
    /// It is to come to what a lock says.
    Exact,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(next: Arc<dyn Sink>) -> Self {
        Self { next, troubles: Mutex::default() }
    }

    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for Watch {
    fn told(&self, cell: &str, record: &Record) {
        self.next.told(cell, record);
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.len() < TROUBLES_MAX {
            let news = trouble(record).filter(|trouble| !troubles.contains(trouble));
            troubles.extend(news);
        }
    }
}

fn trouble(record: &Record) -> Option<Trouble> {
    let unreachable = |cause: &str| {
        let name = record.subject.name.as_ref().map(ToString::to_string);
        let host = name.or_else(|| record.subject.destination.map(|to| to.ip().to_string()));
        Trouble::Unreachable { host: host.unwrap_or_default(), cause: cause.to_owned() }
    };
    match &record.verdict {
        Verdict::Denied(Denial::NotResolved { name, cause })
        | Verdict::Closed { ending: Ending::Denied(Denial::NotResolved { name, cause }), .. } => {
            Some(Trouble::Unreachable { host: name.to_string(), cause: cause.clone() })
        }
        Verdict::Denied(denial) | Verdict::Closed { ending: Ending::Denied(denial), .. } => {
            Some(Trouble::Denied(record.subject.clone(), denial.clone()))
        }
        Verdict::Closed { ending: Ending::Unreachable { cause }, .. } => Some(unreachable(cause)),
        Verdict::Closed { ending: Ending::Idle, .. } => Some(unreachable("nothing came for too long")),
        _ => None,
    }
}

// === impl Ended ===

impl Ended {
    /// What it printed, or why it failed: what is most certain and easiest to mend first.
    pub(super) fn result(self, recipe: &Recipe, purpose: Purpose) -> Result<String, InstallError> {
        if self.exit.success() && !self.full {
            return Ok(self.out);
        }
        let package = recipe.packages.join(" ");
        let said = last_words(&[&self.out, &self.err]);
        let spoken =
            |words: &[&str]| words.iter().any(|words| self.out.contains(words) || self.err.contains(words));
        if self.full {
            return Err(InstallError::Limit { package, what: "disk" });
        }
        match self.exit.limit {
            Some(LimitHit::WallTime | LimitHit::CpuTime) => return Err(InstallError::Time { package }),
            Some(LimitHit::Memory) => return Err(InstallError::Limit { package, what: "memory" }),
            _ if self.exit.oom => return Err(InstallError::Limit { package, what: "memory" }),
            _ => {}
        }
        if spoken(&["ENOSPC", "No space left"]) {
            return Err(InstallError::Limit { package, what: "disk" });
        }
        for trouble in self.troubles {
            match trouble {
                Trouble::Denied(subject, denial) => {
                    let why = denial.to_string();
                    if let Some(host) = grantable(&subject, &denial) {
                        return Err(InstallError::Denied { package, host, why, said });
                    }
                }
                Trouble::Unreachable { host, cause } => {
                    return Err(InstallError::Unreachable { package, host, cause });
                }
            }
        }
        Err(match () {
            () if spoken(&REFUSED) => InstallError::Refused { package, said },
            () if purpose == Purpose::Exact => match spoken(&OTHER) || spoken(&NO_WHEEL) {
                true => InstallError::NotAsLocked { package, said },
                false => InstallError::Failed { ecosystem: recipe.ecosystem, package, said },
            },
            () if spoken(&NO_WHEEL) && !recipe.allowed.build_from_source => {
                InstallError::NoWheel { package, said }
            }
            () => InstallError::Failed { ecosystem: recipe.ecosystem, package, said },
        })
    }
}

/// The entry of `egress` that would have allowed it; `None` if none would.
fn grantable(subject: &Subject, denial: &Denial) -> Option<String> {
    let port = subject.destination.map_or(443, |to| to.port());
    // A name is refused when it is looked up, before there is a port.
    let port = if port == 53 { 443 } else { port };
    match denial {
        Denial::Name { name } => Some(format!("{name}:{port}")),
        Denial::Port { name, port } => Some(format!("{name}:{port}")),
        Denial::Address { address, port } => Some(SocketAddr::new(*address, *port).to_string()),
        Denial::Guarded { address, kind } if !kind.is_final() => {
            Some(SocketAddr::new(*address, port).to_string())
        }
        Denial::PortClosed => {
            let to = subject.destination?;
            Some(subject.name.as_ref().map_or_else(|| to.to_string(), |name| format!("{name}:{}", to.port())))
        }
        _ => None,
    }
}

fn last_words(texts: &[&str]) -> String {
    let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty());
    let last: Vec<&str> = lines.collect();
    last[last.len().saturating_sub(SAID_LINES)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::NoSink;

    fn recipe() -> Recipe {
        Recipe::read("uvx", &["tool".into()]).expect("readable").expect("a recipe")
    }

    fn ended(err: &str, troubles: Vec<Trouble>) -> Ended {
        Ended { exit: Exit::default(), out: String::new(), err: err.into(), troubles, full: false }
    }

    fn code(ended: Ended, purpose: Purpose) -> &'static str {
        ended.result(&recipe(), purpose).expect_err("failed").code()
    }

    #[test]
    fn a_host_that_was_denied_is_named_with_the_entry_that_grants_it() {
        let name = cella_contract::DomainName::parse("files.example").expect("a name");
        let denied = Record {
            subject: Subject { name: Some(name.clone()), ..Subject::default() },
            verdict: Verdict::Denied(Denial::Name { name }),
            repeats: 1,
        };
        let watch = Watch::new(Arc::new(NoSink));
        watch.told("cell", &denied);
        watch.told("cell", &denied);
        assert_eq!(watch.troubles().len(), 1);
        let error =
            ended("timed out", watch.troubles()).result(&recipe(), Purpose::Find).expect_err("failed");
        assert!(error.to_string().contains("files.example"), "{error}");
        assert!(error.fix().contains("egress = [\"files.example:443\"]"), "{}", error.fix());
    }

    #[test]
    fn each_failure_has_a_code_of_its_own() {
        let find = |err: &str| code(ended(err, vec![]), Purpose::Find);
        assert_eq!(find("npm error code E401"), "CE4134");
        assert_eq!(find("npm error nospc ENOSPC: no space left"), "CE4135");
        assert_eq!(find("ERROR: No matching distribution found for tool"), "CE2207");
        assert_eq!(find("ERROR: anything else"), "CE2204");
        let exact = |err: &str| code(ended(err, vec![]), Purpose::Exact);
        assert_eq!(exact("npm error code EINTEGRITY"), "CE4137");
        assert_eq!(exact("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM"), "CE4137");
        let unreachable = Trouble::Unreachable { host: "a.example".into(), cause: "no route".into() };
        assert_eq!(code(ended("", vec![unreachable]), Purpose::Find), "CE4133");
        let late = Ended { exit: exit(LimitHit::WallTime), ..ended("", vec![]) };
        assert_eq!(code(late, Purpose::Find), "CE4136");
        let large = Ended { full: true, ..ended("", vec![]) };
        assert_eq!(code(large, Purpose::Find), "CE4135");
    }

    fn exit(limit: LimitHit) -> Exit {
        let mut exit = Exit::default();
        exit.limit = Some(limit);
        exit
    }
}
