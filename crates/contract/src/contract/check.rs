//! From the keys of a contract file to its terms: what keys say together.

use std::ops::Range;

use super::{
    CONTRACT_VERSION,
    file::{ContractTable, FileTable, LimitsTable, SecretTable, ToolTable},
};
use crate::{
    Code, Effect, Egress, EnvName, FileGrant, Limits, Location, Mode, Preset, SecretTerms, Term, Terms,
    ToolName, ToolTerms, grantable,
    read::{Fault, Located, Named, Reader, Slot},
};

/// The name under `[tools]` that stands for all tools without a word of their own.
const EVERY_TOOL: &str = "*";

/// The terms, with every complaint made to the reader.
pub(super) fn terms(table: ContractTable, reader: &mut Reader<'_>) -> Terms {
    version(&table.version, CONTRACT_VERSION, reader);
    let preset = table.preset.take().unwrap_or(Preset::Untrusted);
    let mut terms = Terms::of(preset);
    if let Some(limits) = table.limits.take() {
        fill_limits(&mut terms.limits, limits, reader);
    }
    terms.egress = values(table.egress);
    files(&mut terms, table.files, reader);
    for root in table.roots.take().unwrap_or_default() {
        within_a_grant(&mut terms, root.value.0, root.span, reader);
    }
    tools(&mut terms, table.tools, reader);
    for Named { name, value } in table.secrets.take().unwrap_or_default() {
        if let Some(value) = value {
            let secret = secret(&name, value.value, &terms.egress, reader);
            terms.secrets.insert(name.value, secret);
        }
    }
    terms.isolation = table.isolation.take();
    terms.best_effort = values(table.best_effort).into_iter().collect();
    terms
}

/// A file of a later format would be misread.
pub(crate) fn version(slot: &Slot<u32>, known: u32, reader: &mut Reader<'_>) {
    if let Some(version) = slot.located().filter(|v| v.value != known) {
        let fault =
            Fault::new(Code::VERSION, format!("version {} of the format is not known", version.value))
                .fix(format!("this program reads version {known}"));
        reader.error(version.span.clone(), format!("expected {known}"), fault);
    }
}

fn values<T>(slot: Slot<Vec<Located<T>>>) -> Vec<T> {
    slot.take().unwrap_or_default().into_iter().map(|l| l.value).collect()
}

fn fill_limits(limits: &mut Limits, table: LimitsTable, reader: &Reader<'_>) {
    fn put<T>(term: &mut Term<T>, slot: Slot<T>, reader: &Reader<'_>) {
        if let Some(written) = written(slot, reader) {
            *term = written;
        }
    }
    put(&mut limits.memory, table.memory, reader);
    put(&mut limits.processes, table.processes, reader);
    put(&mut limits.disk, table.disk, reader);
    put(&mut limits.inodes, table.inodes, reader);
    put(&mut limits.cpu, table.cpu, reader);
    put(&mut limits.time, table.time, reader);
    put(&mut limits.open_files, table.open_files, reader);
    put(&mut limits.stdout, table.stdout, reader);
    put(&mut limits.stderr, table.stderr, reader);
    put(&mut limits.arguments, table.arguments, reader);
    put(&mut limits.instances, table.instances, reader);
    limits.cpu_time = written(table.cpu_time, reader);
    limits.file_size = written(table.file_size, reader);
}

fn written<T>(slot: Slot<T>, reader: &Reader<'_>) -> Option<Term<T>> {
    slot.into_located().map(|l| Term::written(l.value, reader.origin(&l.span)))
}

fn files(terms: &mut Terms, slot: Slot<Vec<Located<FileTable>>>, reader: &mut Reader<'_>) {
    for FileTable { path, mode, .. } in values(slot) {
        let Some(path) = path.into_located() else { continue };
        let shown = path.value.0.display().to_string();
        if !grantable(&path.value.0) {
            let fault = Fault::new(Code::BAD_PATH, format!("{shown} is never shown to a cell"))
                .cause("whoever sees /, /proc, /sys, /dev or /run as a whole has left the cell")
                .fix("name the directories that the server needs");
            reader.error(path.span, "too much", fault);
        } else if let Some(first) = terms.files.iter().find(|g| g.path == path.value.0) {
            let first = first.origin.as_ref().map_or(0, |o| o.line);
            let fault = Fault::new(Code::COLLISION, format!("{shown} is granted twice"))
                .cause(format!("first in line {first}"))
                .fix("keep one of the two");
            reader.error(path.span, "again", fault);
        } else {
            let origin = Some(reader.origin(&path.span));
            terms.files.push(FileGrant {
                path: path.value.0,
                mode: mode.take().unwrap_or(Mode::Read),
                origin,
            });
        }
    }
}

fn within_a_grant(terms: &mut Terms, root: std::path::PathBuf, span: Range<usize>, reader: &mut Reader<'_>) {
    if !terms.files.iter().any(|grant| root.starts_with(&grant.path)) {
        let fault = Fault::new(Code::CONTRADICTION, format!("the root {} is not granted", root.display()))
            .cause("the server would be told of a directory that its cell does not have")
            .fix("add it to [[files]]");
        reader.error(span, "not in [[files]]", fault);
    }
    terms.roots.push(root);
}

fn tools(terms: &mut Terms, slot: Slot<Vec<Named<ToolName, ToolTable>>>, reader: &mut Reader<'_>) {
    for Named { name, value } in slot.take().unwrap_or_default() {
        let every = name.value.as_str() == EVERY_TOOL;
        if name.value.as_str().contains('*') && !every {
            let fault = Fault::new(Code::BAD_NAME, format!("{:?} is a pattern", name.value))
                .cause("a promise is made for a tool that somebody looked at, or for all of them")
                .fix("the tool's own name, or \"*\" for all tools");
            reader.error(name.span, "not a name", fault);
            continue;
        }
        let Some(value) = value else { continue };
        let own = tool(&name, every, value.value, reader);
        if every {
            terms.every_tool = own;
        } else {
            terms.tools.insert(name.value, own);
        }
    }
    // Every tool inherits from "*", so this can only be judged when all are known.
    for terms in terms.tools.keys().map(|name| terms.tool(name.as_str())).chain([terms.every_tool.clone()]) {
        let effect = terms.effect.filter(|e| e.value == Effect::Reversible && terms.undo.is_none());
        if let Some(origin) = effect.and_then(|e| e.origin) {
            reader.error_at_line(
                origin.line,
                "how?",
                Fault::new(Code::CONTRADICTION, "`reversible` without `undo`")
                    .cause("after a crash Cella takes the call back with the tool named in `undo`")
                    .fix("undo = \"TOOL\" for the same tool, or effect = \"irreversible\""),
            );
        }
    }
}

fn tool(name: &Located<ToolName>, every: bool, table: ToolTable, reader: &mut Reader<'_>) -> ToolTerms {
    let effect = table.effect.get().copied();
    for (key, slot) in [("undo", &table.undo), ("probe", &table.probe)] {
        let Some(other) = slot.located() else { continue };
        let wrong = match (key, effect) {
            _ if every => Some("one tool cannot do this for all others; name it per tool"),
            _ if other.value == name.value => Some("a tool cannot do this for itself"),
            ("undo", Some(effect)) if effect != Effect::Reversible => {
                Some("`undo` is only used with effect = \"reversible\"")
            }
            ("probe", Some(effect)) if effect < Effect::Idempotent => {
                Some("a call that changes nothing is made again, nobody is asked")
            }
            _ => None,
        };
        if let Some(cause) = wrong {
            let fault = Fault::new(Code::CONTRADICTION, format!("`{key}` of tool {} cannot be", name.value));
            reader.error(other.span.clone(), "contradicts the rest", fault.cause(cause));
        }
    }
    if let Some(phases) = table.phases.located().filter(|p| p.value.is_empty()) {
        let fault = Fault::new(Code::CONTRADICTION, format!("tool {} may be called in no phase", name.value))
            .fix("allow = false, or leave `phases` out");
        reader.error(phases.span.clone(), "empty", fault);
    }
    let bare = |slot: Slot<Vec<Located<_>>>| match slot {
        Slot::Found { key, value: Located { value, span } } => {
            let value = value.into_iter().map(|l| l.value).collect();
            Slot::Found { key, value: Located { value, span } }
        }
        _ => Slot::Absent,
    };
    let phases = written(bare(table.phases), reader);
    let locks = match table.locks {
        Slot::Found { value: Located { value, span }, .. } => {
            let locks = value.into_iter().map(|l| l.value).collect();
            Some(Term::written(locks, reader.origin(&span)))
        }
        _ => None,
    };
    ToolTerms {
        allow: written(table.allow, reader),
        effect: written(table.effect, reader),
        undo: written(table.undo, reader),
        probe: written(table.probe, reader),
        phases,
        locks,
        rate: written(table.rate, reader),
        timeout: written(table.timeout, reader),
    }
}

fn secret(
    name: &Located<EnvName>,
    table: SecretTable,
    egress: &[Egress],
    reader: &mut Reader<'_>,
) -> SecretTerms {
    for host in table.hosts.get().into_iter().flatten() {
        let name = host.value.as_str();
        if !egress.iter().any(|e| e.covers_name(name, e.port)) {
            let fault = Fault::new(Code::CONTRADICTION, format!("the host {name} cannot be reached"))
                .cause("it is not in `egress`")
                .fix(format!("egress = [\"{name}:443\"]"));
            reader.error(host.span.clone(), "not in `egress`", fault);
        }
    }
    let in_cell = table.in_cell.get() == Some(&true);
    if let Some(key) = table.hosts.key().filter(|_| in_cell) {
        let fault =
            Fault::new(Code::CONFLICT, format!("secret {} has both `in_cell` and `hosts`", name.value))
                .cause("a value that is inside the cell can be sent to every host that the cell reaches")
                .fix(
                    "keep `hosts` if the server only sends the secret; keep `in_cell` if it computes with it",
                );
        reader.error(key, "has no force with `in_cell`", fault);
    }
    let locations: Vec<Location> = values(table.locations);
    SecretTerms {
        hosts: values(table.hosts),
        methods: values(table.methods).into_iter().map(|m| m.0).collect(),
        paths: values(table.paths).into_iter().map(|p| p.0).collect(),
        locations,
        format: table.format.take().map(|f| f.0),
        in_cell,
    }
}
