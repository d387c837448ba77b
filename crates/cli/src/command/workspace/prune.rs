//! `cella workspace prune`: checkpoints of runs that nobody will fork at any more.

use std::time::SystemTime;

use cella_contract::parse_duration;
use cella_workspace::{Kept, Workspaces};
use serde_json::json;

use super::{act, stop};
use crate::{
    args::{Global, Prune},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt,
};

pub(super) async fn run(workspaces: &Workspaces, args: &Prune, global: &Global, printer: Printer) -> Outcome {
    let cells = args.run.as_deref().map(|run| cella_runs::cells(run, global)).transpose()?;
    let until = args.older_than.as_deref().map(ago).transpose()?;
    let is_meant = |kept: &Kept| {
        kept.checkpoint_of.is_some()
            && cells.as_ref().is_none_or(|cells| cells.contains(&kept.about.cell))
            && until.is_none_or(|until| kept.captured_ms < until)
    };
    let all = workspaces.store().list().map_err(|error| stop(&error))?;
    let meant: Vec<&Kept> = all.iter().filter(|kept| is_meant(kept)).collect();
    if !(args.yes || meant.is_empty()) {
        let question = format!("Discard {} checkpoints? No run can be forked there then.", meant.len());
        if !prompt::confirm(&question)? {
            return Ok(Code::Failed);
        }
    }
    for kept in &meant {
        act::discarded(workspaces, &kept.id, global).await?;
    }
    if printer.is_json() {
        let ids: Vec<&str> = meant.iter().map(|kept| kept.id.as_str()).collect();
        printer.json(&json!({ "schema": "cella/v1", "discarded": ids }));
    } else {
        printer.done(format!("{} checkpoints are discarded", meant.len()));
    }
    Ok(Code::Ok)
}

/// Milliseconds since 1970, so long ago.
fn ago(text: &str) -> Result<u64, Stop> {
    let time = parse_duration(text).ok_or_else(|| {
        Stop::new(Code::Usage, codes::USAGE, format!("`{text}` is no length of time"))
            .fix("write 30d, 12h or 90m")
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(now.saturating_sub(time).as_millis()).unwrap_or_default())
}
