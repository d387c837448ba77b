//! `cella completion SHELL`: the script asks `cella` itself at every Tab, so that it knows servers and tools.

use clap_complete::env::Shells;

use crate::{
    args::Completion,
    codes, complete,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

pub(crate) fn run(args: &Completion, printer: Printer) -> Outcome {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).ok_or_else(|| {
        Stop::new(Code::Usage, codes::USAGE, format!("`{}` is no shell that Cella knows", args.shell))
            .fix("name one of: bash, zsh, fish, elvish, powershell")
    })?;
    let mut script = Vec::new();
    shell
        .write_registration(complete::VARIABLE, "cella", "cella", "cella", &mut script)
        .map_err(Stop::system("the script"))?;
    printer.line(String::from_utf8_lossy(&script).trim());
    Ok(Code::Ok)
}
