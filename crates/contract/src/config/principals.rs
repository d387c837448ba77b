//! Who may do what: principals with tokens of their own, and rates of tools.

use std::{collections::BTreeMap, ops::Range};

use super::parse::Reading;
use crate::{Rate, Text, codes, parse_rate, pattern::fit, shape::Table};

/// A token that stands in the file itself, or none.
const LITERAL_TOKEN: &str = "CE1580";

/// A client or person that is let in by a token of its own and may do what stands here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalConfig {
    /// Where its token is, as written; see [`crate::Text`].
    pub token: String,
    /// Servers whose tools, resources and prompts it may use; `None`: all.
    pub servers: Option<Vec<String>>,
    /// Tools it may call, as `SERVER__TOOL`, with `*`; `None`: all of these servers.
    pub allow: Option<Vec<String>>,
    /// Tools it may not call.
    pub deny: Vec<String>,
    /// Agents it may give tasks to.
    pub agents: Vec<String>,
    /// Models it may use at the models' door, as `PROVIDER/MODEL`, with `*`.
    pub models: Vec<String>,
    /// Agents of whose runs it may approve calls.
    pub approve: Vec<String>,
    /// What its runs spend from.
    pub account: Option<String>,
    /// It may use the admin door.
    pub admin: bool,
    /// Calls of tools in a time.
    pub rate: Option<Rate>,
}

/// How often tools may be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateConfig {
    /// By everybody together.
    pub all: Option<Rate>,
    /// By each principal.
    pub each: Option<Rate>,
}

// === impl PrincipalConfig ===

impl PrincipalConfig {
    /// Whether it may use a server at all.
    #[must_use]
    pub fn may_use_server(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.iter().any(|known| known == server))
    }

    /// Whether it may call a tool, by the server's own name for it.
    #[must_use]
    pub fn may_call(&self, server: &str, tool: &str) -> bool {
        let name = format!("{server}__{tool}");
        self.may_use_server(server)
            && self.allow.as_ref().is_none_or(|allow| fits(allow, &name))
            && !fits(&self.deny, &name)
    }

    /// Whether it may give an agent tasks.
    #[must_use]
    pub fn may_run(&self, agent: &str) -> bool {
        fits(&self.agents, agent)
    }

    /// Whether it may use a model, named `PROVIDER/MODEL`.
    #[must_use]
    pub fn may_ask(&self, model: &str) -> bool {
        fits(&self.models, model)
    }

    /// Whether it may decide about calls of an agent's runs.
    #[must_use]
    pub fn may_approve(&self, agent: &str) -> bool {
        fits(&self.approve, agent)
    }
}

fn fits(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| fit(pattern, name).is_some())
}

impl Reading<'_> {
    pub(super) fn principals(&mut self, root: Table<'_>) -> BTreeMap<String, PrincipalConfig> {
        let named = root.named("principals").into_iter();
        named.map(|(name, table, place)| (name.to_owned(), self.principal(name, table, place))).collect()
    }

    fn principal(&mut self, name: &str, table: Table<'_>, place: Range<usize>) -> PrincipalConfig {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b)) {
            let fix = "use letters, digits, '-', '_', '.' and '@'".to_owned();
            self.error(place.clone(), codes::WRONG_VALUE, format!("`{name}` is no name of a principal"), fix);
        }
        let token = table.text("token").unwrap_or_default();
        if matches!(Text::read(token), Text::Plain(_)) {
            let fix = format!(
                "write where it is: token = \"vault:{name}\" (cella secret set {name}), env:NAME, file:PATH or cmd:PROGRAM"
            );
            let (at, what) = if token.is_empty() {
                (place, format!("the token of `{name}` is not said"))
            } else {
                (table.place("token"), format!("the token of `{name}` stands in the file"))
            };
            self.error(at, LITERAL_TOKEN, what, fix);
        }
        PrincipalConfig {
            token: token.to_owned(),
            servers: table.texts("servers"),
            allow: table.texts("allow"),
            deny: table.texts("deny").unwrap_or_default(),
            agents: table.texts("agents").unwrap_or_default(),
            models: table.texts("models").unwrap_or_default(),
            approve: table.texts("approve").unwrap_or_default(),
            account: table.text("account").map(str::to_owned),
            admin: table.flag("admin").unwrap_or_default(),
            rate: self.rate_of(name, table, "rate"),
        }
    }

    pub(super) fn rates(&mut self, root: Table<'_>) -> BTreeMap<String, RateConfig> {
        let mut rates = BTreeMap::new();
        for (pattern, table, _) in root.named("rates") {
            let [all, each] = ["all", "each"].map(|key| self.rate_of(pattern, table, key));
            rates.insert(pattern.to_owned(), RateConfig { all, each });
        }
        rates
    }

    pub(super) fn rate_of(&mut self, name: &str, table: Table<'_>, key: &str) -> Option<Rate> {
        let text = table.text(key)?;
        let rate = parse_rate(text);
        if rate.is_none() {
            let fix = "write 5/s, 60/min, 1000/h or 10000/d".to_owned();
            let what = format!("`{text}` is no rate for `{name}`");
            self.error(table.place(key), codes::WRONG_VALUE, what, fix);
        }
        rate
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn a_principal_may_do_what_is_written_and_nothing_else() {
        let text = r#"
[principals.ci]
token = "env:CI_TOKEN"
servers = ["files", "mail"]
allow = ["files__*", "mail__read_*"]
deny = ["files__delete_*"]
agents = ["clerk"]
models = ["openai/*"]
rate = "60/min"
[rates."bank__pay*"]
all = "10/min"
each = "2/min"
"#;
        let (config, _) = Config::parse("cella.toml", text).expect("a configuration");
        let ci = &config.principals["ci"];
        assert!(ci.may_call("files", "read") && ci.may_call("mail", "read_all"));
        assert!(
            !ci.may_call("files", "delete_all")
                && !ci.may_call("mail", "send")
                && !ci.may_call("bank", "pay")
        );
        assert!(ci.may_run("clerk") && !ci.may_run("boss") && !ci.may_approve("clerk") && !ci.admin);
        assert!(ci.may_ask("openai/gpt-5") && !ci.may_ask("anthropic/claude"));
        assert_eq!(ci.rate.expect("a rate").count, 60);
        assert_eq!(config.rates["bank__pay*"].each.expect("a rate").count, 2);
    }

    #[test]
    fn a_token_in_the_file_and_a_rate_that_is_none_are_refused() {
        for wrong in [
            "[principals.ci]\n",
            "[principals.ci]\ntoken = \"abc\"\n",
            "[principals.\"a b\"]\ntoken = \"env:T\"\n",
            "[principals.ci]\ntoken = \"env:T\"\nrate = \"fast\"\n",
            "[rates.x]\nall = \"0/s\"\n",
        ] {
            assert!(Config::parse("cella.toml", wrong).is_err(), "{wrong}");
        }
    }
}
