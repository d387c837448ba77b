//! `cella help`: the help of a verb, or the page of an error code, because people try both.

use clap::{Command, CommandFactory};

use crate::{
    args::{Cli, Explain, Help},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

pub(crate) fn run(args: &Help, printer: Printer) -> Outcome {
    if let [code] = args.about.as_slice()
        && code.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("CE"))
        && code[2..].starts_with(|c: char| c.is_ascii_digit())
    {
        return super::explain::run(&Explain { code: code.clone() }, printer);
    }
    let mut whole = Cli::command();
    // Only a built command knows what stands before it, which its usage line shows.
    whole.build();
    let mut at: &mut Command = &mut whole;
    for word in &args.about {
        at = at.find_subcommand_mut(word).ok_or_else(|| {
            Stop::new(Code::Usage, codes::USAGE, format!("there is no verb `{}`", args.about.join(" ")))
                .fix("see which there are: cella help")
        })?;
    }
    printer.line(at.render_help().to_string().trim_end());
    Ok(Code::Ok)
}
