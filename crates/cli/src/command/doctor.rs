//! `cella doctor`: what works on this machine and what does not, and what to do about it.

mod kernels;

use std::{os::unix::fs::MetadataExt, path::Path};

use cella_node::install::{InstallError, Installed, Lock, Recipe, Store};
use serde_json::{Value, json};

use crate::{
    args::{Doctor, Global},
    exit::{Code, Outcome},
    print::Printer,
    target,
};

/// One finding.
struct Finding {
    what: String,
    state: State,
    detail: String,
    fix: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Weak,
    Bad,
}

pub(crate) async fn run(args: Doctor, global: &Global, printer: Printer) -> Outcome {
    let mut findings = machine();
    findings.extend(kernels::findings());
    findings.extend(tools());
    findings.extend(configuration(global));
    findings.extend(vault(global));
    findings.extend(disk(global));
    if !args.quick {
        findings.extend(packages(global));
    }
    if !args.quick {
        findings.extend(node(global).await);
    }
    show(&findings, printer);
    let worst = findings.iter().map(|f| f.state);
    Ok(match (worst.clone().any(|s| s == State::Bad), worst.clone().any(|s| s == State::Weak)) {
        (true, _) => Code::Failed,
        (false, true) => Code::Degraded,
        (false, false) => Code::Ok,
    })
}

/// What cells need of the kernel.
fn machine() -> Vec<Finding> {
    let facts = match cella_cell::doctor() {
        Ok(facts) => facts,
        Err(e) => {
            return vec![Finding {
                what: "cells".into(),
                state: State::Bad,
                detail: e.to_string(),
                fix: Some(e.fix()),
            }];
        }
    };
    let value = serde_json::to_value(&facts).unwrap_or_default();
    let needed = ["namespaces", "proc_mount", "seccomp"];
    let mut findings = vec![cells(&facts)];
    for key in ["namespaces", "proc_mount", "seccomp", "landlock", "idmap"] {
        let fact = &value[key];
        let works = fact["works"] == true;
        let state = match (works, needed.contains(&key)) {
            (true, _) => State::Good,
            (false, true) => State::Bad,
            (false, false) => State::Weak,
        };
        let text = |k: &str| fact[k].as_str().filter(|t| !t.is_empty()).map(str::to_owned);
        findings.push(Finding {
            what: key.replace('_', " "),
            state,
            detail: text("detail")
                .unwrap_or_else(|| if works { "works".into() } else { "does not work".into() }),
            fix: text("fix"),
        });
    }
    findings.push(groups(&facts.cgroups));
    findings
}

/// What it comes to: what holds a program in a cell on this machine, and what does not.
fn cells(facts: &cella_cell::MachineFacts) -> Finding {
    if !facts.can_confine() {
        let detail =
            format!("nothing can run confined on this kernel ({}), so no server starts", facts.kernel);
        let fix = Some("mend what is bad below; each line says how".into());
        return Finding { what: "cells".into(), state: State::Bad, detail, fix };
    }
    let identity = if facts.root {
        "a host user of its own for each"
    } else {
        "under your own user, kept from your files and processes by namespaces"
    };
    let walls = match facts.landlock_abi {
        0 => {
            "no files but the granted ones by mounts alone; without Landlock a cell is refused unless best_effort is set"
        }
        _ => "no files but the granted ones (twice: mounts and Landlock)",
    };
    let groups = &facts.cgroups;
    let loose = [
        (groups.memory.is_none(), "memory is limited for each process, not for a cell as a whole"),
        (groups.cpu.is_none(), "the processor is not limited"),
    ];
    let loose: Vec<&str> = loose.iter().filter(|(loose, _)| *loose).map(|(_, said)| *said).collect();
    let kept = if loose.is_empty() {
        "memory, processes and processor limited for each cell as a whole".to_owned()
    } else {
        format!("{}: a contract that asks for it is refused unless best_effort is set", loose.join(", and "))
    };
    Finding {
        what: "cells".into(),
        state: if loose.is_empty() && facts.landlock_abi > 0 { State::Good } else { State::Weak },
        detail: format!(
            "class process, {identity}: {walls}, no network but granted hosts, dangerous system calls refused; {kept}"
        ),
        fix: Some("one contract on this machine: cella contract test FILE".into()),
    }
}

/// Which limits the kernel keeps for a cell as a whole.
fn groups(facts: &cella_cell::CgroupFacts) -> Finding {
    let controllers = [("memory", facts.memory), ("pids", facts.pids), ("cpu", facts.cpu)];
    let (usable, missing): (Vec<_>, Vec<_>) = controllers.iter().partition(|(_, version)| version.is_some());
    let names = |of: Vec<&(&str, _)>| of.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (usable, missing) = (names(usable), names(missing));
    let why = facts.why_not.join("; ");
    Finding {
        what: "control groups".into(),
        state: if missing.is_empty() { State::Good } else { State::Weak },
        detail: match (usable.is_empty(), missing.is_empty(), why.is_empty()) {
            (_, true, _) => usable,
            (false, _, true) => format!("{usable}; not {missing}"),
            (false, _, false) => format!("{usable}; not {missing}: {why}"),
            (true, _, true) => "no controller may be used here".to_owned(),
            (true, _, false) => why,
        },
        fix: (!missing.is_empty()).then(|| {
            let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
            // Root is not enough where the hierarchy is read-only or belongs to somebody else, as in most containers.
            let or = if root { "or give this container a writable /sys/fs/cgroup" } else { "or as root" };
            format!(
                "run the node by systemd with Delegate=yes, {or}; until then what is missing is limited per process only"
            )
        }),
    }
}

/// Programs that servers from registries need.
fn tools() -> Vec<Finding> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    [
        ("npm", "servers from npm", "apt-get install nodejs npm"),
        ("python3", "servers from PyPI", "apt-get install python3 python3-venv"),
    ]
    .into_iter()
    .map(|(program, what, fix)| Finding {
        what: program.into(),
        state: if has(program) { State::Good } else { State::Weak },
        detail: if has(program) {
            format!("there, for {what}")
        } else {
            format!("missing; {what} cannot be installed")
        },
        fix: (!has(program)).then(|| fix.to_owned()),
    })
    .collect()
}

fn configuration(global: &Global) -> Vec<Finding> {
    let path = target::config_path(global);
    if !path.is_file() {
        let detail = format!("{} is not there", path.display());
        return vec![Finding {
            what: "configuration".into(),
            state: State::Weak,
            detail,
            fix: Some("cella import, or cella add".into()),
        }];
    }
    match cella_node::load(&path) {
        Ok(loaded) => {
            let detail = format!(
                "{}: {} servers, {} warnings",
                path.display(),
                loaded.servers.len(),
                loaded.warnings.len()
            );
            let state = if loaded.warnings.is_empty() { State::Good } else { State::Weak };
            vec![Finding {
                what: "configuration".into(),
                state,
                detail,
                fix: (state == State::Weak).then(|| "cella config validate".into()),
            }]
        }
        Err(e) => {
            let detail = e.to_string().lines().next().unwrap_or_default().to_owned();
            vec![Finding {
                what: "configuration".into(),
                state: State::Bad,
                detail,
                fix: Some("cella config validate".into()),
            }]
        }
    }
}

/// Whether the secrets can be had, and what keeps their key. Nothing where no vault is in use.
fn vault(global: &Global) -> Option<Finding> {
    let what = "vault".to_owned();
    let vault = match super::secret::open(global) {
        Ok(vault) => vault,
        Err(stop) => return Some(Finding { what, state: State::Bad, detail: stop.message, fix: stop.fix }),
    };
    if !vault.exists() {
        return None;
    }
    let beside = matches!(vault.source(), cella_vault::KeySource::File { named: false, .. });
    let detail = format!("{} secrets; {}", vault.list().len(), vault.source().protects());
    let (state, fix) = match beside {
        true => (State::Weak, Some("give the key a place of its own: docs/guide/secrets.md".to_owned())),
        false => (State::Good, None),
    };
    Some(Finding { what, state, detail, fix })
}

/// Whether installed packages are what was installed: every file is read.
fn packages(global: &Global) -> Vec<Finding> {
    let path = target::config_path(global);
    let Ok(loaded) = cella_node::load(&path) else { return Vec::new() };
    let store = Store::new(target::places(global).store);
    let lock = Lock::read(&Lock::path(&path));
    let verified =
        |recipe: &Recipe| store.verify(recipe, lock.as_ref().ok().and_then(|lock| lock.get(recipe)));
    let finding = |what: String, found: Result<Option<Installed>, &InstallError>| {
        let (state, detail, fix) = match found {
            Ok(Some(found)) => {
                let detail = format!("{} files, as they were installed", found.tree.files);
                (State::Good, detail, None)
            }
            Ok(None) => (State::Weak, "not installed yet".into(), Some("its first start does it".into())),
            Err(e) => (State::Bad, format!("{e} [{}]", e.code()), Some(e.fix())),
        };
        Finding { what, state, detail, fix }
    };
    let wrong = lock.as_ref().err().map(|e| finding("cella.lock".into(), Err(e)));
    let servers = loaded.servers.values().filter_map(|served| {
        let recipe = crate::packages::recipe(&loaded.config, &served.config).ok()??;
        let what = format!("package {}", served.config.name);
        Some(match verified(&recipe) {
            Ok(found) => finding(what, Ok(found)),
            Err(e) => finding(what, Err(&e)),
        })
    });
    wrong.into_iter().chain(servers).collect()
}

fn disk(global: &Global) -> Vec<Finding> {
    let places = target::places(global);
    let existing = places.state.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let probe = tempfile::Builder::new().prefix(".cella-doctor-").tempfile_in(existing);
    let (state, detail) = match probe {
        Ok(_) => (State::Good, format!("{} can be written", existing.display())),
        Err(e) => (State::Bad, format!("{}: {e}", existing.display())),
    };
    vec![Finding {
        what: "state directory".into(),
        state,
        detail,
        fix: (state == State::Bad).then(|| "set XDG_STATE_HOME to a directory of yours".into()),
    }]
}

async fn node(global: &Global) -> Vec<Finding> {
    let at = crate::args::Target::default();
    let Ok(Some(reach)) = target::running(global, &at) else {
        let detail = "not running with this configuration".to_owned();
        return vec![Finding {
            what: "node".into(),
            state: State::Weak,
            detail,
            fix: Some("cella up".into()),
        }];
    };
    let status = match reach.get("/api/v1/status").await {
        Ok(status) => status,
        Err(stop) => {
            return vec![Finding {
                what: "node".into(),
                state: State::Bad,
                detail: stop.message,
                fix: stop.fix,
            }];
        }
    };
    let servers = status["servers"].as_array().cloned().unwrap_or_default();
    let detail = format!(
        "pid {}, {} servers, {} events",
        status["node"]["pid"],
        servers.len(),
        status["ledger"]["head"]
    );
    let mut findings = vec![Finding { what: "node".into(), state: State::Good, detail, fix: None }];
    for server in servers.iter().filter(|s| {
        matches!(s["status"].as_str(), Some("error" | "auth_required" | "degraded" | "quarantined"))
    }) {
        let error = &server["last_error"];
        findings.push(Finding {
            what: format!("server {}", server["name"].as_str().unwrap_or("?")),
            state: State::Bad,
            detail: error["message"].as_str().unwrap_or("not well").to_owned(),
            fix: error["fix"].as_str().map(str::to_owned),
        });
    }
    findings
}

fn show(findings: &[Finding], printer: Printer) {
    let word = |state: State| match state {
        State::Good => "ok",
        State::Weak => "weak",
        State::Bad => "bad",
    };
    if printer.is_json() {
        let list: Vec<Value> = findings
            .iter()
            .map(|f| json!({ "what": f.what, "state": word(f.state), "detail": f.detail, "fix": f.fix }))
            .collect();
        printer.json(&json!({ "schema": "cella/v1", "findings": list }));
        return;
    }
    for finding in findings {
        printer.line(format!("{:<5} {:<16} {}", word(finding.state), finding.what, finding.detail));
        if let Some(fix) =
            finding.fix.as_ref().filter(|_| finding.state != State::Good || finding.what.starts_with("vm "))
        {
            printer.line(format!("{:<22} fix: {fix}", ""));
        }
    }
}
