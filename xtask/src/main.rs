//! The chores of the house: `cargo xtask tidy`, `cargo xtask test`, `cargo xtask bench`.

mod bench;
mod test;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("tidy") => tidy::main(),
        Some("test") => test::main(&args[1..]),
        Some("bench") => bench::main(&args[1..]),
        _ => {
            eprintln!(
                "usage: cargo xtask tidy | test [--only NAME,NAME] [--list] | bench [--seconds N] [--rounds N] \
                 | bench cell [--rounds N] [--json FILE] | bench run [--events N] [--json FILE]"
            );
            ExitCode::from(2)
        }
    }
}
