//! What the shell offers when the user presses Tab.

use std::path::Path;

use cella_terminal::typed;
use clap_complete::CompletionCandidate;

use crate::{target, verbs::known};

/// The newest runs, with their tasks.
pub(crate) fn runs() -> Vec<CompletionCandidate> {
    let known = known(&typed::global()).into_iter();
    known.map(|(run, task)| CompletionCandidate::new(run).help(Some(task.into()))).collect()
}

/// The agents that have a file.
pub(crate) fn agents() -> Vec<CompletionCandidate> {
    let config = target::config_path(&typed::global());
    let base = config.parent().unwrap_or_else(|| Path::new(""));
    let dir = typed::config().node.agents.unwrap_or_else(|| "agents".into());
    let agents = cella_agency::Agents::new(base.join(dir), []).known();
    agents.into_iter().map(CompletionCandidate::new).collect()
}
