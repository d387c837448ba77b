//! The contract that a new server is proposed, from one start of it that is watched.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use cella_contract::{Contract, NewServer};
use cella_node::{
    confine::Terms,
    observe::{Observation, Proposal, observe},
};
use serde_json::{Value, json};

use super::can_be_found;
use crate::{
    args::{Add, Global},
    codes,
    exit::{Code, Stop},
    print::Printer,
    prompt::{self, Answer},
    target,
};

/// What was seen, and what became of the proposal.
#[derive(Debug)]
pub(super) struct Proposed {
    seen: Observation,
    proposal: Proposal,
    /// The contract file that is to be written, if somebody agreed.
    pub(super) taken: Option<Taken>,
}

/// A contract that somebody agreed to.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) file: PathBuf,
    /// As the configuration names it.
    pub(super) named: String,
    pub(super) text: String,
}

/// Watches the server and asks, where that is wanted; `None` where it is not. `config` is the configuration's file and the text
/// it is to hold. A server that cannot be watched is added all the same, with nothing granted.
pub(super) async fn of(
    args: &Add,
    server: &NewServer,
    (config, text): (&Path, &str),
    global: &Global,
    printer: Printer,
) -> Result<Option<Proposed>, Stop> {
    let program = server.command.as_deref().is_some_and(|c| !c.starts_with("builtin:") && can_be_found(c));
    if !program || args.contract.is_some() || args.no_observe || args.no_install {
        return Ok(None);
    }
    let named = format!("contracts/{}.toml", server.name);
    let file = config.parent().map_or_else(|| PathBuf::from(&named), |base| base.join(&named));
    if file.exists() {
        let message = format!("there is a file {} already", file.display());
        return Err(Stop::new(Code::Config, codes::CONTRACT_THERE, message)
            .fix(format!("use it with --contract {named}, move it away, or add --no-observe")));
    }
    printer.note("  … started once in a cell that reaches nothing, to see what it needs");
    let seen = match observe(&target::places(global), text, &server.name).await {
        Ok(Some(seen)) => seen,
        Ok(None) => return Ok(None),
        Err(error) => {
            printer.warn(format!("it could not be watched [{}]: {error}", error.code()));
            if let Some(fix) = error.fix() {
                printer.note(format!("    fix: {fix}"));
            }
            return Ok(None);
        }
    };
    let proposal = Proposal::of(&server.name, &seen).map_err(|e| {
        Stop::new(Code::Failed, codes::NOT_EDITABLE, format!("the proposal cannot be written: {e}"))
    })?;
    say(&seen, &proposal, printer);
    let text = agreed(args, &proposal, printer)?;
    let taken = text.map(|text| Taken { file, named, text });
    Ok(Some(Proposed { seen, proposal, taken }))
}

fn say(seen: &Observation, proposal: &Proposal, printer: Printer) {
    if let Some([tools, resources, prompts]) = seen.lists {
        let used = format!("{} MiB, {} processes", seen.peak_memory_bytes >> 20, seen.processes);
        printer.note(format!(
            "  it offers {tools} tools, {resources} resources, {prompts} prompts; used {used}"
        ));
    }
    for remark in seen.remarks() {
        printer.warn(remark);
    }
    if seen.failure.is_some() {
        for line in seen.stderr.iter().rev().take(3).rev() {
            printer.note(format!("    stderr: {line}"));
        }
    }
    for left_out in &proposal.left_out {
        printer.warn(format!("it tried {}, which is not proposed: {}", left_out.what, left_out.why));
    }
}

/// The text of the contract that is agreed to, if any.
fn agreed(args: &Add, proposal: &Proposal, printer: Printer) -> Result<Option<String>, Stop> {
    if proposal.is_empty() {
        printer.note("  it tried to reach nothing and needs no files: nothing has to be granted");
        return Ok(None);
    }
    let mut text = proposal.text.clone();
    loop {
        match Contract::parse("the proposed contract", &text) {
            Ok(contract) => show(contract, proposal, printer),
            Err(found) => printer.stop(&Stop::diagnostics(&found)),
        }
        if args.yes {
            return Ok(Some(text));
        }
        if args.no_input || printer.is_json() || !prompt::is_possible() {
            printer.warn("nobody was asked, so none of this is granted; to take it: --yes, or later cella contract allow");
            return Ok(None);
        }
        match prompt::choose("Write this contract?")? {
            Answer::Yes if Contract::parse("", &text).is_ok() => return Ok(Some(text)),
            Answer::Yes => {}
            Answer::No => return Ok(None),
            Answer::Edit => text = edited(&text)?,
        }
    }
}

fn show(contract: Contract, proposal: &Proposal, printer: Printer) {
    printer.note("  proposed contract; hosts are what the server asked for, nobody has verified them:");
    let terms = Terms { contract, base: PathBuf::from("/"), named: Vec::new() };
    for line in cella_words::granted(&terms) {
        let why = proposal.why(&line).map(|why| format!("  ({why})")).unwrap_or_default();
        printer.note(format!("    {line}{}", printer.paint("2", &why)));
    }
}

/// The text as it is after the user's own editor.
fn edited(text: &str) -> Result<String, Stop> {
    let failed = Stop::system;
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().map_err(failed("a file to edit"))?;
    file.write_all(text.as_bytes()).map_err(failed("a file to edit"))?;
    let done = std::process::Command::new("sh")
        .args(["-c", "${VISUAL:-${EDITOR:-vi}} \"$1\"", "sh"])
        .arg(file.path())
        .status();
    done.map_err(Stop::system("the editor"))?;
    std::fs::read_to_string(file.path()).map_err(Stop::system("the edited file"))
}

// === impl Proposed ===

impl Proposed {
    pub(super) fn as_json(&self) -> Value {
        let reasons = |reasons: &[cella_node::observe::Reason]| -> Vec<Value> {
            reasons.iter().map(|reason| json!({ "what": reason.what, "why": reason.why })).collect()
        };
        let seen = &self.seen;
        json!({
            "proposed": self.proposal.text,
            "reasons": reasons(&self.proposal.reasons),
            "not_proposed": reasons(&self.proposal.left_out),
            "taken": self.taken.is_some(),
            "file": self.taken.as_ref().map(|taken| &taken.file),
            "verified": false,
            "peak_memory_bytes": seen.peak_memory_bytes,
            "processes": seen.processes,
            "missing_variables": seen.variables,
            "lists": seen.lists.map(|[tools, resources, prompts]| {
                json!({ "tools": tools, "resources": resources, "prompts": prompts })
            }),
            "failure": seen.failure,
            "exit": seen.exit,
        })
    }
}
