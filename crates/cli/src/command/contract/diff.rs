//! What one contract grants and the other does not.

use cella_node::confine::Terms;
use serde_json::json;

use crate::{exit::Code, print::Printer};

pub(super) fn run(before: (&str, &Terms), after: (&str, &Terms), printer: Printer) -> Code {
    let (a, b) = (cella_words::grants(before.1), cella_words::grants(after.1));
    let only = |of: &[String], other: &[String]| -> Vec<String> {
        of.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    let (only_a, only_b) = (only(&a, &b), only(&b, &a));
    let same = only_a.is_empty() && only_b.is_empty();
    if printer.is_json() {
        printer.json(&json!({
            "schema": "cella/v1",
            "same": same,
            "a": { "contract": before.1.contract.name(), "only": only_a },
            "b": { "contract": after.1.contract.name(), "only": only_b },
        }));
    } else if same {
        printer.line(format!("{} and {} grant the same", before.0, after.0));
    } else {
        printer.line(format!("{} {}", printer.paint("31", "---"), before.0));
        printer.line(format!("{} {}", printer.paint("32", "+++"), after.0));
        only_a.iter().for_each(|line| printer.line(printer.paint("31", &format!("- {line}"))));
        only_b.iter().for_each(|line| printer.line(printer.paint("32", &format!("+ {line}"))));
    }
    if same { Code::Ok } else { Code::Differs }
}
