//! `cella completion SHELL`

use clap::CommandFactory;

use crate::{
    args::{Cli, Completion},
    exit::{Code, Outcome},
};

pub(crate) fn run(args: &Completion) -> Outcome {
    clap_complete::generate(args.shell, &mut Cli::command(), "cella", &mut std::io::stdout());
    Ok(Code::Ok)
}
