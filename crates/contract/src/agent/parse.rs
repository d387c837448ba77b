//! From text to [`AgentConfig`], with everything that is wrong reported at once.

use std::{collections::BTreeMap, ops::Range};

use super::{AGENT_VERSION, AgentConfig, AgentLimits, Approve, ModelName, ModelTerms, Source, ToolSelection};
use crate::{
    Diagnostics, Severity, codes,
    diagnostic::{Diagnostic, Origin},
    shape::{AGENT, Checked, Table, check, json},
    units::money,
};
use cella_dialogue::FailureClass;

/// Longest name of an agent.
const NAME_MAX: usize = 64;

impl AgentConfig {
    /// Reads an agent's file. `name` is that of the agent, `file` that of the file for messages.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, Diagnostics> {
        let Checked { origin, root, found } = check(file, text, &AGENT);
        let mut reading = Reading { origin, found };
        let agent = reading.agent(name, Table(root.get_ref()));
        let diagnostics = Diagnostics(reading.found);
        match agent {
            Some(agent) if !diagnostics.has_errors() => Ok(agent),
            _ => Err(diagnostics),
        }
    }
}

struct Reading<'a> {
    origin: Origin<'a>,
    found: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn agent(&mut self, name: &str, root: Table<'_>) -> Option<AgentConfig> {
        if let Some(version) = root.count("version").filter(|v| *v != AGENT_VERSION) {
            let fix = format!("this program reads version {AGENT_VERSION}");
            self.error(root.place("version"), VERSION, format!("agent version {version} is not known"), fix);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
            let fix = format!("call the file by 1 to {NAME_MAX} letters, digits, `-` and `_`");
            self.error(0..0, NAME, format!("`{name}` cannot be the name of an agent"), fix);
        }
        let instructions =
            self.source(root, "instructions", "instructions_file").unwrap_or(Source::Text(String::new()));
        let model = match root.table("model") {
            Some(table) => self.model(table, root.place("model")),
            None => {
                let fix = "add [model] with use = \"provider/model\"".to_owned();
                self.error(0..0, NO_MODEL, "the agent names no model".to_owned(), fix);
                None
            }
        };
        let output = root.table("output").and_then(|table| {
            let name = table.text("name").unwrap_or("answer").to_owned();
            self.schema(table, root.place("output")).map(|schema| (name, schema))
        });
        let phases = root.texts("phases").unwrap_or_default();
        for (phase, place) in root.placed_texts("phases") {
            if phase.is_empty() || phases.iter().filter(|other| *other == phase).count() > 1 {
                let fix = "give each phase a name of its own".to_owned();
                self.error(
                    place,
                    codes::CONTRADICTION,
                    format!("the phase `{phase}` stands twice, or has no name"),
                    fix,
                );
            }
        }
        Some(AgentConfig {
            name: name.to_owned(),
            description: root.text("description").unwrap_or_default().to_owned(),
            instructions,
            model: model?,
            tools: root.table("tools").map(tools).unwrap_or_default(),
            agents: root.texts("agents").unwrap_or_default(),
            board: root.flag("board").unwrap_or(false),
            phases,
            output,
            account: root.text("account").map(str::to_owned),
            limits: root.table("limits").map(limits).unwrap_or_default(),
            budget: self.budget(root),
        })
    }

    fn budget(&mut self, root: Table<'_>) -> BTreeMap<String, u64> {
        let Some(table) = root.table("budget") else { return BTreeMap::new() };
        let mut budget = BTreeMap::new();
        match money(table.text("money")) {
            Ok(Some(micros)) => drop(budget.insert("money_micros".to_owned(), micros)),
            Ok(None) => {}
            Err(text) => {
                let fix = "write \"2.50\"".to_owned();
                self.error(
                    table.place("money"),
                    codes::WRONG_VALUE,
                    format!("`{text}` is no amount of money"),
                    fix,
                );
            }
        }
        for key in ["tokens", "calls"] {
            if let Some(limit) = table.count(key) {
                budget.insert(key.to_owned(), u64::from(limit));
            }
        }
        budget
    }

    fn source(&mut self, table: Table<'_>, text: &str, file: &str) -> Option<Source> {
        match (table.text(text), table.text(file)) {
            (Some(_), Some(_)) => {
                let fix = format!("keep `{text}` or `{file}`");
                self.error(
                    table.place(file),
                    codes::CONTRADICTION,
                    format!("`{text}` and `{file}` are both there"),
                    fix,
                );
                None
            }
            (Some(text), None) => Some(Source::Text(text.to_owned())),
            (None, Some(file)) => Some(Source::File(file.into())),
            (None, None) => None,
        }
    }

    fn schema(&mut self, table: Table<'_>, place: Range<usize>) -> Option<Source> {
        match (table.get("schema"), table.text("schema_file")) {
            (Some(schema), None) => Some(Source::Text(json(schema.get_ref()).to_string())),
            (None, Some(file)) => Some(Source::File(file.into())),
            (Some(_), Some(_)) => {
                let fix = "keep `schema` or `schema_file`".to_owned();
                self.error(
                    place,
                    codes::CONTRADICTION,
                    "`schema` and `schema_file` are both there".to_owned(),
                    fix,
                );
                None
            }
            (None, None) => {
                let fix = "add schema = { type = \"object\", ... } or schema_file = \"FILE\"".to_owned();
                self.error(place, NO_SCHEMA, "`output` has no schema".to_owned(), fix);
                None
            }
        }
    }

    fn model(&mut self, table: Table<'_>, place: Range<usize>) -> Option<ModelTerms> {
        let first = match table.text("use") {
            Some(text) => self.name(text, table.place("use")),
            None => {
                let fix = "add use = \"provider/model\", for example \"openai/gpt-5\"".to_owned();
                self.error(place, NO_MODEL, "`model` does not say which".to_owned(), fix);
                None
            }
        };
        let mut fallbacks = Vec::new();
        for (fallback, place) in table.list("fallbacks") {
            let Some(text) = fallback.text("use") else {
                let fix = "add use = \"provider/model\"".to_owned();
                self.error(place, NO_MODEL, "a fallback does not say which model".to_owned(), fix);
                continue;
            };
            let name = self.name(text, fallback.place("use"));
            if name.is_some() && name == first {
                let fix = "name another model: `retries` says how often the same one is asked".to_owned();
                self.error(
                    fallback.place("use"),
                    codes::CONTRADICTION,
                    format!("{text} is its own fallback"),
                    fix,
                );
            }
            let classes = self.classes(fallback);
            fallbacks.extend(name.map(|name| (name, classes)));
        }
        let canary = table.table("canary").and_then(|canary| self.canary(canary, table.place("canary")));
        Some(ModelTerms {
            first: first?,
            fallbacks,
            canary,
            retries: table.number("retries"),
            max_output: table.count("max_output"),
            first_token: table.duration("first_token"),
            between_tokens: table.duration("between_tokens"),
            total: table.duration("total"),
            extra: table.get("extra").map(|extra| json(extra.get_ref()).to_string()),
        })
    }

    fn classes(&mut self, fallback: Table<'_>) -> Vec<FailureClass> {
        let mut classes = Vec::new();
        for (word, place) in fallback.placed_texts("on") {
            match FailureClass::parse(word) {
                Some(class) => classes.push(class),
                None => {
                    let known: Vec<&str> = FailureClass::ALL.into_iter().map(FailureClass::as_str).collect();
                    let fix = format!("classes are: {}", known.join(", "));
                    self.error(place, codes::WRONG_VALUE, format!("`{word}` is no class of failure"), fix);
                }
            }
        }
        classes
    }

    fn canary(&mut self, table: Table<'_>, place: Range<usize>) -> Option<(ModelName, u8)> {
        let name = table.text("use").and_then(|text| self.name(text, table.place("use")));
        let percent = table.count("percent").and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 100);
        if table.text("use").is_none() || percent.is_none() {
            let fix = "canary = { use = \"provider/model\", percent = 10 }, from 1 to 100".to_owned();
            self.error(place, codes::WRONG_VALUE, "`canary` wants a model and a share".to_owned(), fix);
        }
        Some((name?, percent?))
    }

    fn name(&mut self, text: &str, place: Range<usize>) -> Option<ModelName> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Some(ModelName { provider: provider.to_owned(), model: model.to_owned() })
            }
            _ => {
                let fix = "write provider/model, the provider by its name in [providers]".to_owned();
                self.error(place, MODEL_NAME, format!("`{text}` names no model of a provider"), fix);
                None
            }
        }
    }

    fn error(&mut self, place: Range<usize>, code: &'static str, message: String, fix: String) {
        self.found.push(self.origin.at(place, Severity::Error, code, message, Some(fix)));
    }
}

/// A version of the format that this program does not read.
const VERSION: &str = "CE1032";
/// A file whose name cannot be that of an agent.
const NAME: &str = "CE1033";
/// No model.
const NO_MODEL: &str = "CE1034";
/// A model without a provider, or the other way round.
const MODEL_NAME: &str = "CE1035";
/// An output without a shape.
const NO_SCHEMA: &str = "CE1036";

fn tools(table: Table<'_>) -> ToolSelection {
    let approve = match (table.text("approve"), table.texts("approve")) {
        (Some("writes"), _) => Approve::Writes,
        (Some("always"), _) => Approve::Always,
        (Some("never"), _) => Approve::Never,
        (None, Some(names)) => Approve::Named(names),
        _ => Approve::Irreversible,
    };
    ToolSelection {
        servers: table.texts("servers"),
        allow: table.texts("allow"),
        deny: table.texts("deny").unwrap_or_default(),
        approve,
    }
}

fn limits(table: Table<'_>) -> AgentLimits {
    AgentLimits {
        turns: table.count("turns"),
        calls: table.count("calls"),
        parallel: table.count("parallel"),
        time: table.duration("time"),
        output_retries: table.number("output_retries"),
        bad_calls: table.number("bad_calls"),
        tries: table.number("tries"),
    }
}
