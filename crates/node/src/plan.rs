//! From configuration to what the catalogue acts on.

use std::sync::Arc;

use cella_catalog::{CatalogPlan, ServerPlan, View};

use crate::{StartError, load::Loaded};

/// The catalogue's part of a configuration.
///
/// # Errors
/// A view renames a tool to what clients refuse, or two tools to one name.
pub(crate) fn plan(loaded: &Loaded) -> Result<CatalogPlan, StartError> {
    let server = |(name, served): (&Arc<str>, &Arc<crate::load::Served>)| {
        (name.clone(), Arc::new(ServerPlan::of(&served.config, &served.contract, served.digest)))
    };
    let mut plan =
        CatalogPlan { servers: loaded.servers.iter().map(server).collect(), ..CatalogPlan::default() };
    for (name, config) in &loaded.config.views {
        let view = View::new(config).map_err(|error| StartError::View { name: name.clone(), error })?;
        plan.views.insert(name.as_str().into(), Arc::new(view));
    }
    Ok(plan)
}
