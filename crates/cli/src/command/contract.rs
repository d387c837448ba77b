//! `cella contract …`: what a contract grants, how two differ, and what of it this machine enforces.

mod diff;
mod test;
mod words;

use cella_node::confine::Terms;
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
            show(&named(&contract)?, printer);
            Ok(Code::Ok)
        }
        ContractVerb::Diff { before, after } => {
            Ok(diff::run((&before, &named(&before)?), (&after, &named(&after)?), printer))
        }
        ContractVerb::Test { contract } => test::run(&named(&contract)?, global, printer).await,
    }
}

fn show(terms: &Terms, printer: Printer) {
    if printer.is_json() {
        let mut value = json!({ "schema": "cella/v1" });
        if let (Some(value), Value::Object(rest)) = (value.as_object_mut(), words::as_json(terms)) {
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
    for line in words::granted(terms) {
        printer.line(format!("  {line}"));
    }
}
