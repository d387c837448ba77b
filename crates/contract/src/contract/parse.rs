//! From text to [`Contract`].

use std::{ops::Range, path::PathBuf};

use super::{CONTRACT_VERSION, Contract, FileGrant, Limits, Mode, Preset, SecretTerms, ToolTerms};
use crate::{
    CellClass, Diagnostics, Effect, EgressFault, EgressGrant, Format, Isolation, Location, PathPattern,
    Severity, Text, VmChoice,
    binding::{is_host, is_method},
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
                self.error(place.clone(), EgressFault::CODE, text, fault.fix());
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
        self.pairs(root, &contract);
        contract.class = self.class(root);
        self.reach(root, &contract);
        contract.isolation = root.text("isolation").and_then(Isolation::parse).unwrap_or_default();
        contract
    }

    /// Which machine is meant is a question only where one is asked for.
    fn class(&mut self, root: Table<'_>) -> CellClass {
        let choice = root.text("vm").and_then(VmChoice::parse);
        if root.text("class") == Some("vm") {
            return CellClass::Vm(choice.unwrap_or_default());
        }
        if root.text("vm").is_some() {
            let text = "`vm` in a contract that asks for no cell of class vm".to_owned();
            self.error(root.place("vm"), "CE1028", text, "write class = \"vm\", or take `vm` out".into());
        }
        CellClass::Process
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
        let mode = table.text("mode").and_then(Mode::parse).unwrap_or(Mode::Read);
        Some(FileGrant { path, mode })
    }

    fn terms(&mut self, name: &str, table: Table<'_>, place: Range<usize>) -> ToolTerms {
        let effect = table.text("effect").and_then(Effect::parse);
        if effect == Some(Effect::Reversible) && table.text("undo").is_none() {
            let text = format!("`{name}` is reversible, but nothing undoes it");
            self.error(table.place("effect"), "CE1024", text, "name the tool: undo = \"…\"".into());
        }
        for key in ["undo", "probe"] {
            if table.text(key) == Some(name) {
                let text = format!("`{name}` is its own {key}");
                let fix = "name the other tool of the same server that does it".to_owned();
                self.error(table.place(key), crate::codes::CONTRADICTION, text, fix);
            }
        }
        if table.text("key_header").is_some_and(|header| !may_carry_a_key(header)) {
            let text = format!("`{}` is no header for a key", table.text("key_header").unwrap_or_default());
            let fix = "name one that means nothing else, for example Idempotency-Key".to_owned();
            self.error(table.place("key_header"), crate::codes::WRONG_VALUE, text, fix);
        }
        let line = self.origin.at(place, Severity::Error, "", "", None).line;
        ToolTerms {
            effect,
            allow: table.flag("allow"),
            delegate: table.flag("delegate"),
            undo: table.text("undo").map(str::to_owned),
            probe: table.text("probe").map(str::to_owned),
            key_argument: table.text("key_argument").map(str::to_owned),
            key_header: table.text("key_header").map(str::to_owned),
            phases: table.texts("phases"),
            locks: table.texts("locks").unwrap_or_default(),
            line: Some(line),
        }
    }

    fn secret(&mut self, name: &str, table: Table<'_>) -> SecretTerms {
        let from = table.text("from");
        if from.is_some_and(|from| matches!(Text::read(from), Text::Plain(_))) {
            let fix = format!("from = \"vault:NAME\", \"env:{name}\", file:PATH or cmd:PROGRAM");
            self.error(
                table.place("from"),
                "CE1025",
                format!("the secret `{name}` stands in the contract"),
                fix,
            );
        }
        SecretTerms {
            from: from.map(str::to_owned),
            hosts: self.each(table, "hosts", host).unwrap_or_default(),
            env: table.text("env").map(str::to_owned),
            methods: self.each(table, "methods", method),
            paths: self.each(table, "paths", |text| {
                PathPattern::parse(text).map_err(|fix| ("CE2352", "is no pattern of paths", fix))
            }),
            places: self.each(table, "in", |text| {
                Location::parse(text).map_err(|fix| ("CE2353", "is no place in a request", fix))
            }),
            format: table.text("format").and_then(|text| {
                let read =
                    Format::parse(text).map_err(|fix| ("CE2354", "is no format of a placeholder", fix));
                self.read(text, table.place("format"), read)
            }),
            pair: table.text("pair").map(str::to_owned),
        }
    }

    /// A secret for a host that the cell cannot reach is a mistake in one of the two.
    fn reach(&mut self, root: Table<'_>, contract: &Contract) {
        let Ok(grants) = contract.egress_grants() else { return };
        for (name, table, _) in root.named("secrets") {
            for (host, place) in table.placed_texts("hosts") {
                if !is_host(host) || grants.iter().any(|grant| grant.host.meets(host)) {
                    continue;
                }
                let (text, fix) = if host.parse::<core::net::IpAddr>().is_ok() {
                    let text =
                        format!("the secret `{name}` is bound to an address, which no certificate proves");
                    (text, "write the name of the host".to_owned())
                } else {
                    let text =
                        format!("the secret `{name}` is bound to {host}, which `egress` does not grant");
                    (text, format!("add \"{host}:443\" (or its port) to `egress`"))
                };
                self.error(place, "CE2363", text, fix);
            }
        }
    }

    /// A secret that signs is an access key id or the secret key of one, and both must be there.
    fn pairs(&mut self, root: Table<'_>, contract: &Contract) {
        for (name, table, place) in root.named("secrets") {
            let Some(terms) = contract.secrets.get(name) else { continue };
            let is_key = contract.secrets.values().any(|other| other.pair.as_deref() == Some(name));
            let signs = terms.places.as_ref().is_some_and(|places| places.contains(&Location::SigV4));
            let (place, message) = match &terms.pair {
                Some(pair) if pair == name || !contract.secrets.contains_key(pair) => {
                    (table.place("pair"), format!("`{pair}` is no other secret of this contract"))
                }
                None if signs && !is_key => {
                    (place, format!("`{name}` signs requests, but has no secret key"))
                }
                _ => continue,
            };
            let fix = "pair = \"NAME\", the entry under [secrets] that holds the secret key".to_owned();
            self.error(place, "CE2355", message, fix);
        }
    }

    /// The texts of a list, each read on its own. What cannot be read is reported and left out.
    fn each<T>(
        &mut self,
        table: Table<'_>,
        key: &str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        table.texts(key)?;
        let texts = table.placed_texts(key).into_iter();
        Some(texts.filter_map(|(text, place)| self.read(text, place, read(text))).collect())
    }

    fn read<T>(&mut self, text: &str, place: Range<usize>, read: Result<T, Wrong>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err((code, what, fix)) => {
                self.error(place, code, format!("`{text}` {what}"), fix);
                None
            }
        }
    }

    fn error(&mut self, place: Range<usize>, code: &'static str, message: String, fix: String) {
        self.found.push(self.origin.at(place, Severity::Error, code, message, Some(fix)));
    }
}

/// A host or method of a binding that cannot be one.
const HOST_OR_METHOD: &str = "CE2351";

/// A code, what is wrong with the text, and the remedy.
type Wrong = (&'static str, &'static str, String);

fn host(text: &str) -> Result<String, Wrong> {
    let fix =
        || "write \"api.example.com\" or \"*.example.com\": lower case, no port, no https://".to_owned();
    is_host(text).then(|| text.to_owned()).ok_or_else(|| (HOST_OR_METHOD, "is no host", fix()))
}

fn method(text: &str) -> Result<String, Wrong> {
    let fix = || "write methods in capitals, for example \"GET\"".to_owned();
    is_method(text).then(|| text.to_owned()).ok_or_else(|| (HOST_OR_METHOD, "is no method", fix()))
}

fn limits(table: Table<'_>, preset: Limits) -> Limits {
    Limits {
        memory: table.size("memory").or(preset.memory),
        processes: table.count("processes").or(preset.processes),
        disk: table.size("disk").or(preset.disk),
        cpu: table.count("cpu").or(preset.cpu),
        time: table.duration("time").or(preset.time),
        open_files: table.count("open_files").or(preset.open_files),
        connections: table.count("connections").or(preset.connections),
        connection_rate: table.count("connection_rate").or(preset.connection_rate),
        copy_bytes: table.size("copy_bytes").or(preset.copy_bytes),
        egress_bytes: table.size("egress_bytes").or(preset.egress_bytes),
    }
}

/// A header's name (RFC 9110, 5.6.2) that neither HTTP nor MCP nor anybody's login needs.
fn may_carry_a_key(header: &str) -> bool {
    const TAKEN: [&str; 12] = [
        "accept",
        "authorization",
        "connection",
        "cookie",
        "expect",
        "host",
        "last-event-id",
        "origin",
        "te",
        "trailer",
        "upgrade",
        "user-agent",
    ];
    const BEGINS: [&str; 5] = ["content-", "mcp-", "proxy-", "transfer-", "x-forwarded-"];
    let name = header.to_ascii_lowercase();
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    is_name && !TAKEN.contains(&&*name) && !BEGINS.iter().any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use crate::Contract;

    #[test]
    fn a_key_goes_in_a_header_that_means_nothing_else() {
        let with = |header: &str| Contract::parse("c", &format!("[tools.pay]\nkey_header = \"{header}\"\n"));
        let contract = with("Idempotency-Key").expect("a contract");
        assert_eq!(contract.terms("pay").key_header.as_deref(), Some("Idempotency-Key"));
        assert_ne!(contract.digest(), with("X-Key").expect("a contract").digest());
        for taken in ["Authorization", "mcp-session-id", "Content-Length", "Host", "a b", "", "x\\r\\ny"] {
            assert!(with(taken).is_err(), "{taken}");
        }
    }
}
