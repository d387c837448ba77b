//! From text to [`Contract`].

use std::{ops::Range, path::PathBuf};

use super::{CONTRACT_VERSION, Contract, FileGrant, Limits, Mode, Preset, SecretTerms, ToolTerms};
use crate::{
    Diagnostics, Effect, EgressGrant, Isolation, Severity, Text,
    diagnostic::{Diagnostic, Origin},
    shape::{CONTRACT, Checked, Table, check},
};

impl Contract {
    /// Reads a contract file. `file` is its name for messages.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let Checked { origin, root, found } = check(file, text, &CONTRACT);
        let mut reading = Reading { origin, found };
        let contract = reading.contract(Table(root.get_ref()));
        let diagnostics = Diagnostics(reading.found);
        if diagnostics.has_errors() { Err(diagnostics) } else { Ok(contract) }
    }
}

struct Reading<'a> {
    origin: Origin<'a>,
    found: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn contract(&mut self, root: Table<'_>) -> Contract {
        if let Some(version) = root.count("version").filter(|v| *v != CONTRACT_VERSION) {
            let fix = format!("this program reads version {CONTRACT_VERSION}");
            self.error(
                root.place("version"),
                "CE1020",
                format!("contract version {version} is not known"),
                fix,
            );
        }
        let preset = root.text("preset").and_then(Preset::parse).unwrap_or_default();
        let egress = root.placed_texts("egress");
        for (host, place) in &egress {
            if let Err(fault) = host.parse::<EgressGrant>() {
                let text = format!("`{host}` is no egress grant: {fault}");
                self.error(place.clone(), fault.code(), text, fault.fix());
            }
        }
        let files =
            root.list("files").into_iter().filter_map(|(table, place)| self.file(table, place)).collect();
        let mut contract = Contract::preset(preset);
        contract.file = Some(self.origin.file.to_owned());
        contract.egress = egress.into_iter().map(|(host, _)| host.to_owned()).collect();
        contract.files = files;
        if let Some(table) = root.table("limits") {
            contract.limits = limits(table, contract.limits);
        }
        for (name, table, place) in root.named("tools") {
            let terms = self.terms(name, table, place);
            contract.tools.insert(name.to_owned(), terms);
        }
        for (name, table, _) in root.named("secrets") {
            let terms = self.secret(name, table);
            contract.secrets.insert(name.to_owned(), terms);
        }
        contract.isolation = root.text("isolation").and_then(Isolation::parse).unwrap_or_default();
        contract
    }

    fn file(&mut self, table: Table<'_>, place: Range<usize>) -> Option<FileGrant> {
        let Some(path) = table.text("path") else {
            self.error(place, "CE1022", "a file grant without a path".into(), "add path = \"/…\"".into());
            return None;
        };
        let path = PathBuf::from(path);
        if path.components().any(|c| c == std::path::Component::ParentDir) {
            let fix = "write the path it leads to".to_owned();
            self.error(table.place("path"), "CE1023", "`..` in a file grant".into(), fix);
            return None;
        }
        let mode = if table.text("mode") == Some("write") { Mode::Write } else { Mode::Read };
        Some(FileGrant { path, mode })
    }

    fn terms(&mut self, name: &str, table: Table<'_>, place: Range<usize>) -> ToolTerms {
        let effect = table.text("effect").and_then(Effect::parse);
        if effect == Some(Effect::Reversible) && table.text("undo").is_none() {
            let text = format!("`{name}` is reversible, but nothing undoes it");
            self.error(table.place("effect"), "CE1024", text, "name the tool: undo = \"…\"".into());
        }
        let line = self.origin.at(place, Severity::Error, "", "", None).line;
        ToolTerms {
            effect,
            allow: table.flag("allow"),
            undo: table.text("undo").map(str::to_owned),
            probe: table.text("probe").map(str::to_owned),
            phases: table.texts("phases"),
            locks: table.texts("locks").unwrap_or_default(),
            line: Some(line),
        }
    }

    fn secret(&mut self, name: &str, table: Table<'_>) -> SecretTerms {
        let from = table.text("from");
        if from.is_some_and(|from| matches!(Text::read(from), Text::Plain(_))) {
            let fix = format!("from = \"env:{name}\", or file:PATH, or cmd:PROGRAM");
            self.error(
                table.place("from"),
                "CE1025",
                format!("the secret `{name}` stands in the contract"),
                fix,
            );
        }
        SecretTerms {
            from: from.map(str::to_owned),
            hosts: table.texts("hosts").unwrap_or_default(),
            env: table.text("env").map(str::to_owned),
        }
    }

    fn error(&mut self, place: Range<usize>, code: &'static str, message: String, fix: String) {
        self.found.push(self.origin.at(place, Severity::Error, code, message, Some(fix)));
    }
}

fn limits(table: Table<'_>, preset: Limits) -> Limits {
    Limits {
        memory: table.size("memory").or(preset.memory),
        processes: table.count("processes").or(preset.processes),
        disk: table.size("disk").or(preset.disk),
        cpu: table.count("cpu").or(preset.cpu),
        time: table.duration("time").or(preset.time),
        open_files: table.count("open_files").or(preset.open_files),
    }
}
