use cella_cell::{Program, Spec};
use cella_contract::Contract;

use super::{Shared, Sources};

fn sources(dir: &std::path::Path) -> Sources {
    Sources {
        base: dir.to_path_buf(),
        vault: dir.join("vault"),
        runtime: dir.join("run"),
        workspaces: dir.join("workspaces"),
        from: None,
    }
}

fn contract(text: &str) -> Contract {
    Contract::parse("c.toml", text).expect("a contract")
}

#[test]
fn a_cell_is_given_placeholders_and_certificates_and_keeps_what_its_configuration_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let contract = contract(
        "egress = [\"a.example:443\"]\n[secrets.K]\nfrom = \"env:NOBODY\"\nenv = \"TOKEN\"\nhosts = [\"a.example\"]\nformat = \"ghp\"\n",
    );
    let mut spec = Spec::new("x", Program::default());
    spec.env.insert("TOKEN".into(), "hunter2".into());
    spec.env.insert("PIP_CERT".into(), "/mine".into());
    let shared = Shared::default();
    let prepared =
        shared.prepared(&spec, &contract, &sources(dir.path())).expect("prepared").expect("secrets");
    let env = |name: &str| prepared.spec.env.get(name).map(String::as_str);
    assert!(env("TOKEN").is_some_and(|token| token.starts_with("ghp_") && token.len() == 40));
    assert_eq!((env("PIP_CERT"), env("SSL_CERT_FILE")), (Some("/mine"), Some("/etc/cella/ca.pem")));
    let mount = prepared.spec.mounts.last().expect("a mount").clone();
    assert!(std::fs::read_to_string(&mount.source).expect("a file").contains("BEGIN CERTIFICATE"));
    assert!(prepared.for_broker("x-1".into()).is_some());
    assert!(!mount.source.exists(), "gone when the cell is made");
}

#[test]
fn a_contract_without_secrets_costs_nothing_and_one_without_hosts_no_authority() {
    let dir = tempfile::tempdir().expect("a directory");
    let (shared, spec) = (Shared::default(), Spec::new("x", Program::default()));
    let none = shared.prepared(&spec, &contract(""), &sources(dir.path())).expect("prepared");
    assert!(none.is_none());
    let kept = contract("[secrets.K]\nfrom = \"env:X\"\nenv = \"TOKEN\"\n");
    let prepared = shared.prepared(&spec, &kept, &sources(dir.path())).expect("prepared").expect("secrets");
    assert!(prepared.spec.env.contains_key("TOKEN") && !prepared.spec.env.contains_key("SSL_CERT_FILE"));
    assert!(prepared.spec.mounts.is_empty() && prepared.for_broker("x-1".into()).is_none());
}
