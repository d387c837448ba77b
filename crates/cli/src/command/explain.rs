//! `cella explain CE2104`: the help pages, inside the binary, so that they are there when the network is not.

use crate::{
    args::Explain,
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

/// Every page of `docs/errors`, by code; collected by the build script.
pub(crate) static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

pub(crate) fn run(args: &Explain, printer: Printer) -> Outcome {
    let wanted = args.code.to_uppercase();
    let page = PAGES.iter().find(|(code, _)| *code == wanted);
    let Some((code, text)) = page else {
        let close = PAGES.iter().filter(|(code, _)| code.starts_with(wanted.get(..4).unwrap_or("CE")));
        let close: Vec<&str> = close.map(|(code, _)| *code).collect();
        let stop = Stop::new(Code::Usage, codes::NO_PAGE, format!("there is no error code `{}`", args.code));
        return Err(if close.is_empty() {
            stop.fix("codes look like CE2104 and stand in brackets after `error`")
        } else {
            stop.fix(format!("codes near it: {}", close.join(", ")))
        });
    };
    if printer.is_json() {
        printer.json(&serde_json::json!({ "schema": "cella/v1", "code": code, "page": text }));
    } else {
        printer.line(text.trim_end());
    }
    Ok(Code::Ok)
}
