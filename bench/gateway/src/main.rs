//! What does a gateway cost? Tool calls directly and through Cella (and a peer gateway, where one is given), measured
//! in one run with interleaved rounds, so that a busy machine disturbs all of them alike.
//!
//! `bench-gateway run` measures; `bench-gateway echo-http PORT [TOOLS]` and `bench-gateway echo-stdio [TOOLS]` are the
//! servers it measures with, `bench-gateway relay PORT UPSTREAM` is the least that a gateway could do.

mod echo;
mod echo_http;
mod echo_stdio;
mod load;
mod measure;
mod peers;
mod process;
mod relay;
mod report;
mod run;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u16>().unwrap_or(0);
    let outcome = match words.as_slice() {
        ["echo-http", port] => echo_http::serve(number(port), 1),
        ["echo-http", port, tools] => echo_http::serve(number(port), number(tools)),
        ["echo-stdio"] => echo_stdio::serve(1),
        ["echo-stdio", tools] => echo_stdio::serve(number(tools)),
        ["relay", port, upstream] => relay::serve(number(port), number(upstream)),
        ["run", rest @ ..] => run::main(rest),
        _ => Err(run::USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
