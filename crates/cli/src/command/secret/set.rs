//! `cella secret set NAME`

use std::{
    fs::File,
    io::{IsTerminal, Read},
    path::Path,
};

use cella_vault::{Name, Secret, VALUE_BYTES_MAX};
use serde_json::json;

use crate::{
    args::{Global, SecretSet},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    prompt, target,
};

/// Room for the line break that is cut off, in bytes; a Windows one has two.
const LINE_BREAK_BYTES: usize = 2;

pub(super) fn run(args: &SecretSet, global: &Global, printer: Printer) -> Outcome {
    if !args.misplaced.is_empty() {
        return Err(super::misplaced());
    }
    let name = Name::parse(&args.name)?;
    // Before anybody is asked for a value that could not be kept.
    let mut vault = super::open(global)?;
    let value = match (&args.from_env, &args.from_file) {
        (Some(variable), _) => from_env(variable)?,
        (_, Some(file)) => from_file(file)?,
        (None, None) if std::io::stdin().is_terminal() => asked(&name)?,
        (None, None) => read(std::io::stdin().lock()).map_err(Stop::system("standard input"))?,
    };
    let replaced = super::store(&mut vault, &[(name.clone(), value)], printer)? > 0;
    let used_by = super::config(global).map(|config| super::users(&config)).unwrap_or_default();
    let used_by = used_by.get(name.as_str()).cloned().unwrap_or_default();
    if printer.is_json() {
        printer.json(&json!({
            "schema": "cella/v1", "secret": name.as_str(), "replaced": replaced, "used_by": used_by,
            "key": vault.source().kind().as_str(),
        }));
        return Ok(Code::Ok);
    }
    printer.done(format!("{name} {}", if replaced { "has a new value" } else { "is in the vault" }));
    printer.note(if used_by.is_empty() {
        format!("  next, in cella.toml: env = {{ VARIABLE = \"vault:{name}\" }}")
    } else {
        format!("  used by {}, from its next start on", used_by.join(", "))
    });
    Ok(Code::Ok)
}

pub(super) fn from_env(variable: &str) -> Result<Secret, Stop> {
    let value = target::var(variable).ok_or_else(|| {
        Stop::new(
            Code::Failed,
            codes::NO_SECRET,
            format!("the variable `{variable}` is not set, or is empty"),
        )
        .fix(format!("export {variable} in this shell first"))
    })?;
    Ok(Secret::from(value.into_encoded_bytes()))
}

fn from_file(file: &Path) -> Result<Secret, Stop> {
    File::open(file).and_then(read).map_err(Stop::system(file.display()))
}

fn asked(name: &Name) -> Result<Secret, Stop> {
    prompt::hidden(&format!("Value of {name} (nothing is shown)")).map_err(Stop::system("the terminal"))
}

/// What there is to read, a little more than a value may have, without the line break at its end.
fn read(from: impl Read) -> std::io::Result<Secret> {
    let most = VALUE_BYTES_MAX + LINE_BREAK_BYTES + 1;
    // In one piece from the start: a text that grows leaves copies of itself behind.
    let mut value = Vec::with_capacity(most + 1);
    from.take(most as u64).read_to_end(&mut value)?;
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
    Ok(Secret::from(value))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn one_line_break_at_the_end_is_cut_off() {
        for (text, value) in [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("a\n\n", "a\n"), ("a\nb\n", "a\nb")]
        {
            assert_eq!(read(text.as_bytes()).expect("read").expose_text(), Some(value), "{text:?}");
        }
    }
}
