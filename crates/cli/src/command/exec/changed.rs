//! What a program of `cella exec` changed in its copies, for the report.

use cella_workspace::{Delta, Kept, Workspace};
use serde_json::Value;

use crate::{command::workspace::stop, exit::Stop};

/// A workspace, with its delta.
#[derive(Debug)]
pub(crate) struct Changed {
    kept: Kept,
    delta: Delta,
}

impl Changed {
    /// Captures it, once the program is gone; `None` if nothing changed.
    pub(crate) async fn of(workspace: Workspace) -> Result<Option<Self>, Stop> {
        let store = workspace.store();
        let Some(kept) = workspace.capture().await.map_err(|error| stop(&error))? else { return Ok(None) };
        let delta = store.delta(&kept).map_err(|error| stop(&error))?;
        Ok(Some(Self { kept, delta }))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let id = &self.kept.id;
        let left = self.delta.areas.iter().flat_map(|area| &area.left_out);
        let left = left.map(|left| format!("  left out  {}: {}", left.path, left.what));
        std::iter::once(format!(
            "workspace {id}: {} in copies; the host is as it was",
            cella_words::sum(&self.kept)
        ))
        .chain(left)
        .chain([format!("  look: cella workspace diff {id}; then commit or discard it")])
        .collect()
    }

    pub(crate) fn json(&self) -> Value {
        cella_words::facts(&self.kept)
    }
}
