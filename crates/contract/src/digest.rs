//! The digest by which events name the contract they ran under.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{CellClass, Contract, Limits, SecretTerms, ToolTerms, contract::CONTRACT_VERSION};

const DOMAIN: &[u8] = b"cella/contract/v1\0";

impl Contract {
    /// `SHA-256("cella/contract/v1\0" || canonical JSON)`. The canonical form (`spec/contract-v1.md`) has sorted keys,
    /// no white space and no place in a file, so that comments and order do not change it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(self.canonical());
        hash.finalize().into()
    }

    /// The canonical JSON form.
    #[must_use]
    pub fn canonical(&self) -> String {
        let tools: serde_json::Map<String, Value> =
            self.tools.iter().map(|(name, terms)| (name.clone(), canonical_terms(terms))).collect();
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|f| json!({ "mode": f.mode.as_str(), "path": f.path.to_string_lossy() }))
            .collect();
        let mut canonical = json!({
            "egress": self.egress,
            "files": files,
            "isolation": self.isolation.as_str(),
            "limits": canonical_limits(&self.limits),
            "preset": self.preset.as_str(),
            "tools": tools,
            "version": CONTRACT_VERSION,
        });
        // Not there where it is the usual one, for the same reason as below.
        if let CellClass::Vm(choice) = self.class {
            canonical["class"] = json!(self.class.as_str());
            canonical["vm"] = json!(choice.as_str());
        }
        // Not there when there are none: contracts from before this key keep their digests.
        if !self.secrets.is_empty() {
            let secrets = self.secrets.iter();
            canonical["secrets"] =
                secrets.map(|(name, terms)| (name.clone(), canonical_secret(terms))).collect();
        }
        canonical.to_string()
    }
}

fn canonical_terms(terms: &ToolTerms) -> Value {
    let mut canonical = json!({
        "allow": terms.allow,
        "effect": terms.effect.map(crate::Effect::as_str),
        "locks": terms.locks,
        "phases": terms.phases,
        "probe": terms.probe,
        "undo": terms.undo,
    });
    // Only where they were said: contracts from before these keys keep their digests.
    if let Some(argument) = &terms.key_argument {
        canonical["key_argument"] = json!(argument);
    }
    if let Some(delegate) = terms.delegate {
        canonical["delegate"] = json!(delegate);
    }
    if let Some(header) = &terms.key_header {
        canonical["key_header"] = json!(header);
    }
    canonical
}

/// Where it comes from, never what it is: the parser refuses a literal.
fn canonical_secret(terms: &SecretTerms) -> Value {
    let mut canonical = json!({ "env": terms.env, "from": terms.from, "hosts": terms.hosts });
    // Each only where it was said: contracts from before these keys keep their digests.
    if let Some(methods) = &terms.methods {
        canonical["methods"] = json!(methods);
    }
    if let Some(paths) = &terms.paths {
        canonical["paths"] = paths.iter().map(ToString::to_string).collect();
    }
    if let Some(places) = &terms.places {
        canonical["in"] = places.iter().map(ToString::to_string).collect();
    }
    if let Some(format) = &terms.format {
        canonical["format"] = json!(format.as_str());
    }
    if let Some(pair) = &terms.pair {
        canonical["pair"] = json!(pair);
    }
    canonical
}

fn canonical_limits(limits: &Limits) -> Value {
    let mut canonical = json!({
        "cpu_percent": limits.cpu,
        "disk_bytes": limits.disk,
        "memory_bytes": limits.memory,
        "open_files": limits.open_files,
        "processes": limits.processes,
        "time_ms": limits.time.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
    });
    // Each only where it was said: contracts from before these keys keep their digests.
    let later = [
        ("connection_rate", limits.connection_rate.map(u64::from)),
        ("connections", limits.connections.map(u64::from)),
        ("copy_bytes", limits.copy_bytes),
        ("egress_bytes", limits.egress_bytes),
    ];
    for (key, value) in later {
        if let Some(value) = value {
            canonical[key] = json!(value);
        }
    }
    canonical
}

#[cfg(test)]
mod tests {
    use crate::{Contract, Preset};

    fn hex(bytes: [u8; 32]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn comments_and_order_do_not_change_the_digest() {
        let a = Contract::parse("a", "# hi\negress = [\"x.example:443\"]\npreset = \"trusted\"\n")
            .expect("a contract");
        let b =
            Contract::parse("b", "preset = \"trusted\"\negress = [ \"x.example:443\" ]").expect("a contract");
        assert_eq!(a.digest(), b.digest());
    }

    #[test]
    fn a_secret_and_where_it_may_be_used_change_the_digest() {
        let digest = |text: &str| {
            let text = format!("egress = [\"a.example:443\", \"b.example:443\"]\n{text}");
            Contract::parse("c", &text).expect("a contract").digest()
        };
        let one = digest("[secrets.K]\nfrom = \"env:K\"\nhosts = [\"a.example\"]\n");
        assert_ne!(one, digest(""));
        assert_ne!(one, digest("[secrets.K]\nfrom = \"env:K\"\nhosts = [\"b.example\"]\n"));
    }

    #[test]
    fn what_is_said_about_a_binding_stands_in_the_canonical_form_and_nothing_else() {
        let canonical = |text: &str| Contract::parse("c", text).expect("a contract").canonical();
        assert!(
            canonical("[secrets.K]\n").contains(r#""secrets":{"K":{"env":null,"from":null,"hosts":[]}}"#)
        );
        let said = canonical(
            "[secrets.K]\nmethods = [\"GET\"]\npaths = [\"/a/**\"]\nin = [\"json:a.b\"]\nformat = \"ghp\"\n",
        );
        let expected = r#""K":{"env":null,"format":"ghp","from":null,"hosts":[],"in":["json:a.b"],"methods":["GET"],"paths":["/a/**"]}"#;
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn limits_of_egress_stand_in_the_canonical_form_where_they_were_said() {
        let canonical = |text: &str| Contract::parse("c", text).expect("a contract").canonical();
        assert!(!canonical("").contains("connection"));
        let said = canonical("[limits]\nconnections = 4\nconnection_rate = 2\negress_bytes = \"1MiB\"\n");
        for member in ["\"connections\":4", "\"connection_rate\":2", "\"egress_bytes\":1048576"] {
            assert!(said.contains(member), "{member} in {said}");
        }
    }

    #[test]
    fn class_vm_changes_the_digest_and_class_process_is_as_if_nothing_was_said() {
        let digest = |text: &str| Contract::parse("c", text).expect("a contract").digest();
        assert_eq!(digest("class = \"process\""), digest(""));
        assert_eq!(digest("class = \"vm\""), digest("class = \"vm\"\nvm = \"auto\""));
        assert_ne!(digest("class = \"vm\""), digest(""));
        assert_ne!(digest("class = \"vm\"\nvm = \"qemu\""), digest("class = \"vm\""));
    }

    #[test]
    fn the_frozen_vectors_hold() {
        let vectors = include_str!("../../../spec/contract-v1/vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).expect("JSON");
        for vector in vectors.as_array().expect("a list") {
            let text = vector["contract"].as_str().expect("a text");
            let contract = Contract::parse("vector", text).expect("a contract");
            assert_eq!(contract.canonical(), vector["canonical"].as_str().expect("a text"));
            assert_eq!(hex(contract.digest()), vector["sha256"].as_str().expect("a text"));
        }
        assert_eq!(
            Contract::preset(Preset::Untrusted).digest(),
            Contract::parse("x", "").expect("a contract").digest()
        );
    }
}
