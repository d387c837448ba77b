//! `cella contract …`: what a contract grants, how two differ, and what of it this machine enforces.

mod allow;
mod denied;
mod diff;
mod test;

use cella_cell::Report;
use cella_contract::{Preset, Run};
use cella_node::{
    Loaded,
    confine::{Terms, remote_report},
};
use serde_json::{Value, json};

use crate::{
    args::{ContractVerb, Global},
    exit::{Code, Outcome},
    print::Printer,
    terms,
};

pub(crate) async fn run(what: ContractVerb, global: &Global, printer: Printer) -> Outcome {
    let loaded = terms::configuration(global);
    // A preset or a file can be looked at while the configuration is wrong.
    let named = |word: &str| match &loaded {
        Ok(loaded) => terms::of_name(word, loaded.as_ref()),
        Err(_) => terms::of_word(word),
    };
    match what {
        ContractVerb::Show { contract } => {
            let remote = loaded.as_ref().ok().and_then(Option::as_ref).and_then(|l| remote(&contract, l));
            show(&named(&contract)?, remote.as_ref(), printer);
            Ok(Code::Ok)
        }
        ContractVerb::Diff { before, after } => {
            Ok(diff::run((&before, &named(&before)?), (&after, &named(&after)?), printer))
        }
        ContractVerb::Test { contract } => {
            let server = loaded.as_ref().ok().and_then(Option::as_ref);
            let server = server.and_then(|loaded| loaded.servers.get(contract.as_str()));
            let lately = match server {
                Some(_) => denied::lately(&contract, global).await,
                None => Vec::new(),
            };
            test::run((&contract, &named(&contract)?), &lately, global, printer).await
        }
        ContractVerb::Allow { server, hosts, dry_run } => {
            allow::run(&server, &hosts, dry_run, global, printer)
        }
        ContractVerb::Denied { server } => denied::run(&server, &loaded?, global, printer).await,
    }
}

/// What holds of a server that somebody else runs, if the word names one.
fn remote(word: &str, loaded: &Loaded) -> Option<Report> {
    match &loaded.servers.get(word).filter(|_| Preset::parse(word).is_none())?.config.run {
        Run::Remote(remote) => Some(remote_report(&remote.url)),
        Run::Program(_) => None,
    }
}

fn show(terms: &Terms, remote: Option<&Report>, printer: Printer) {
    if printer.is_json() {
        let mut value = json!({ "schema": "cella/v1", "remote": remote });
        if let (Some(value), Value::Object(rest)) = (value.as_object_mut(), cella_words::contract_json(terms))
        {
            value.extend(rest);
        }
        printer.json(&value);
        return;
    }
    printer.line(format!(
        "{}, starting from the preset {}",
        terms.contract.name(),
        terms.contract.preset.as_str()
    ));
    if let Some(report) = remote {
        printer.line(
            "the server is remote: somebody else runs it, and of this only the tools and the time hold",
        );
        cella_words::report_lines(report).iter().for_each(|line| printer.line(line));
    }
    for line in cella_words::granted(terms) {
        printer.line(format!("  {line}"));
    }
}
