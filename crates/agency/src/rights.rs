//! Who may do what at this node. Whoever owns it (its user, its token) may do everything; a principal of the configuration, what stands there.

use std::{collections::BTreeMap, sync::Arc};

use cella_contract::{Config, PrincipalConfig};

/// What stands before a principal's name where events and logs name it, so that nobody is taken for the owner by a name.
pub const PRINCIPAL: &str = "principal:";

/// Somebody may not do what they want.
pub const NOT_ALLOWED: &str = "CE1582";

/// The rights of principals. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rights(Arc<BTreeMap<String, PrincipalConfig>>);

/// Something that a principal may not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{NOT_ALLOWED}: {who} may not {what}")]
pub struct NotAllowed {
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
}

// === impl Rights ===

impl Rights {
    /// Those of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(config.principals.clone()))
    }

    /// What a principal may do; `None`: everything. One that the configuration has no more may do nothing.
    #[must_use]
    pub fn of(&self, principal: &str) -> Option<PrincipalConfig> {
        let name = principal.strip_prefix(PRINCIPAL)?;
        Some(
            self.0.get(name).cloned().unwrap_or_else(|| PrincipalConfig {
                servers: Some(Vec::new()),
                ..PrincipalConfig::default()
            }),
        )
    }

    /// That a principal may give an agent a task.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn run(&self, principal: &str, agent: &str) -> Result<(), NotAllowed> {
        self.check(principal, |rights| rights.may_run(agent), || format!("give the agent {agent} a task"))
    }

    /// That a principal may use a model.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn ask(&self, principal: &str, model: &str) -> Result<(), NotAllowed> {
        self.check(principal, |rights| rights.may_ask(model), || format!("use the model {model}"))
    }

    /// That a principal may decide about the calls of an agent's runs.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn approve(&self, principal: &str, agent: &str) -> Result<(), NotAllowed> {
        self.check(principal, |rights| rights.may_approve(agent), || format!("decide about calls of {agent}"))
    }

    /// What a run spends from: what the owner wishes, or the principal's own account; else the agent's. Nobody's wish but the owner's
    /// counts, because it would be somebody else's account.
    #[must_use]
    pub fn account(&self, principal: &str, wish: Option<String>, of_agent: Option<String>) -> Option<String> {
        match self.of(principal) {
            None => wish.or(of_agent),
            Some(rights) => rights.account.or(of_agent),
        }
    }

    fn check(
        &self,
        principal: &str,
        may: impl Fn(&PrincipalConfig) -> bool,
        what: impl Fn() -> String,
    ) -> Result<(), NotAllowed> {
        match self.of(principal) {
            Some(rights) if !may(&rights) => Err(NotAllowed { who: principal.to_owned(), what: what() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_may_everything_and_a_forgotten_principal_nothing() {
        let text = "[principals.ci]\ntoken = \"env:T\"\nagents = [\"clerk\"]\naccount = \"acme/ci\"\n";
        let rights = Rights::new(&Config::parse("c", text).expect("a configuration").0);
        assert_eq!(rights.run("local:uid=0", "boss"), Ok(()));
        assert_eq!(rights.run("principal:ci", "clerk"), Ok(()));
        assert!(
            rights.run("principal:ci", "boss").is_err() && rights.run("principal:gone", "clerk").is_err()
        );
        assert!(!rights.of("principal:gone").expect("rights").may_use_server("files"));
        let account = |who: &str, agent: Option<&str>| {
            rights.account(who, Some("acme/rich".into()), agent.map(str::to_owned))
        };
        assert_eq!(account("principal:ci", Some("acme/agent")).as_deref(), Some("acme/ci"));
        assert_eq!(account("token:default", Some("acme/agent")).as_deref(), Some("acme/rich"));
        assert_eq!(account("principal:gone", Some("acme/agent")).as_deref(), Some("acme/agent"));
        assert_eq!(account("principal:gone", None), None);
    }
}
