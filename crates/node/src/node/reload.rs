//! Reading the configuration again while the node runs: what is applied, and what is said of the rest.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use cella_agency::{PRINCIPAL, Rights};
use cella_contract::Config;
use serde_json::json;

use super::Running;
use crate::{announce, crew, load::load, plan::plan, principals};

impl Running {
    /// Reads the configuration again. One that is wrong is not used, and everything stays as it was.
    pub async fn reload(&self) {
        announce::tell_supervisor(&announce::reloading());
        match load(&self.config).and_then(|loaded| plan(&loaded).map(|plan| (loaded, plan))) {
            Ok((loaded, plan)) => {
                for warning in &loaded.warnings {
                    tracing::warn!("{warning}");
                }
                for key in needs_restart(&self.started_with, &loaded.config) {
                    tracing::warn!(key, "this setting has changed and is used after a restart only");
                }
                self.service.dispatch.recorder.capture(loaded.config.ledger.capture.clone());
                self.loaded.store(Arc::new(loaded));
                self.service.admin.shells.retain(&self.loaded.load());
                self.reload_crew();
                self.let_in().await;
                self.service.dispatch.catalog.apply(plan);
                self.service.admin.refused.store(None);
                self.note_config().await;
                tracing::info!("configuration read again");
                announce::tell_supervisor(&format!("READY=1\nSTATUS=serving at {}", self.url()));
            }
            Err(error) => {
                tracing::error!("the configuration is not used, the one before stays:\n{error}");
                let code = error.code();
                let refused = json!({ "code": code, "message": error.brief(), "fix": error.fix() });
                self.service.admin.refused.store(Some(Arc::new(refused)));
                announce::tell_supervisor(&format!("READY=1\nSTATUS=the configuration is not used: {code}"));
            }
        }
    }
}

impl Running {
    /// Looks up the tokens of those who are let in beside the owner.
    pub(super) async fn let_in(&self) {
        let tokens = self.service.doorkeeper.tokens();
        let loaded = self.loaded.load_full();
        principals::let_in(tokens, &loaded.config, &self.config, &self.secrets).await;
    }

    /// Runs that begin from now on have the agents and models of the new configuration.
    fn reload_crew(&self) {
        let base = self.config.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let config = &self.loaded.load().config;
        let models = crew::models(config, base.clone(), self.secrets.clone());
        self.service.admin.runs.crew().reload(crew::agents(config, &base), models, Rights::new(config));
        self.service.dispatch.paces.set(config, PRINCIPAL);
        self.service.admin.runs.set_budgets(config);
    }
}

/// Settings that differ from those the node was started with and that a running node cannot change, by name.
fn needs_restart(started: &Config, now: &Config) -> Vec<&'static str> {
    let (a, b) = (&started.node, &now.node);
    let changed = [
        ("node.listen", a.listen != b.listen),
        ("node.token_file", a.token_file != b.token_file),
        ("node.socket", a.socket != b.socket),
        ("node.allowed_hosts", a.allowed_hosts != b.allowed_hosts),
        ("node.allowed_origins", a.allowed_origins != b.allowed_origins),
        ("node.drain", a.drain != b.drain),
        ("node.first_list_wait", a.first_list_wait != b.first_list_wait),
        ("ledger.path", started.ledger.path != now.ledger.path),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("cella.toml", text).expect("valid").0
    }

    #[test]
    fn settings_that_need_a_restart_are_named_and_others_are_not() {
        let started = config("");
        let now = config(
            "[node]\nlisten = \"127.0.0.1:1\"\ndrain = \"3s\"\n[ledger]\npath = \"x\"\ncapture = \"digest\"\n",
        );
        assert_eq!(needs_restart(&started, &now), ["node.listen", "node.drain", "ledger.path"]);
        assert!(needs_restart(&started, &started).is_empty());
    }

    #[test]
    fn every_setting_of_the_node_is_compared() {
        let cella_contract::NodeConfig {
            listen: _,
            token_file: _,
            socket: _,
            allowed_hosts: _,
            allowed_origins: _,
            drain: _,
            first_list_wait: _,
            // Read again with the rest.
            agents: _,
        } = config("").node;
    }
}
