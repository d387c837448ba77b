//! What it costs that a secret is put in, and that it is looked for in answers: megabytes for each second that a processor
//! works on them, down and up, and the time of a request. Three ways over the same TLS: passed through by a broker; read by a
//! relay of the bench's own, which ends TLS and HTTP on both sides as a broker does and looks at nothing; and read by a
//! broker, which substitutes and scrubs. Needs root and curl.
//!
//!     cargo xtask bench intercept
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

#[path = "../../tests/it/api.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod api;
#[path = "../../tests/it/cell.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod cell;
mod load;
mod relay;
#[path = "../../tests/it/stage.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod stage;

use std::{process::ExitCode, sync::Arc, time::Instant};

use crate::{
    api::Ca,
    load::Load,
    stage::{ONE, Stage, written},
};

/// Mebibytes of one answer and of one request.
const BULK: usize = 256;
/// Transfers of which the best counts: a busy machine only ever makes one worse.
const ROUNDS: usize = 3;
/// Requests that are timed, on one connection.
const REQUESTS: usize = 500;
/// What substitution and scrubbing must come to with ordinary answers, in megabytes for each second of a processor.
const GOAL: f64 = 300.0;

/// A way to the API.
struct Way {
    name: &'static str,
    host: &'static str,
    port: u16,
    /// Name of the threads that do the work.
    threads: &'static str,
}

/// What of a transfer is reported.
#[derive(Clone, Copy)]
struct Figure {
    /// Megabytes for each second that the threads worked.
    each: f64,
    /// Megabytes for each second that it took, with everything else on the same machine.
    whole: f64,
}

fn main() -> ExitCode {
    let ca = Ca::new();
    let (plain, behind) = (ca.api("plain.example"), ca.api("relay.example"));
    let relay = relay::start(&ca, "relay.example", behind.port);
    let more = [("plain.example", plain.port), ("relay.example", relay)];
    let Some(mut stage) = Stage::among(ONE, &Arc::default(), &ca, &more) else { return ExitCode::SUCCESS };
    let draining = stage.cell.drain();
    let ways = [
        Way { name: "passed through", host: "plain.example", port: plain.port, threads: "broker" },
        Way { name: "read", host: "relay.example", port: relay, threads: "relay" },
        Way { name: "read and scrubbed", host: "api.example", port: stage.api.port, threads: "broker" },
    ];
    let line = "a line of something that is sent up, and that holds no secret\n";
    let body = written(&line.repeat((BULK << 20) / line.len()));
    let mut met = true;
    println!("{:<18} {:<9} {:<10} {:>14} {:>14}", "way", "protocol", "what", "MB/s each", "MB/s whole");
    for (protocol, flag) in [("HTTP/1.1", "--http1.1"), ("HTTP/2", "--http2")] {
        for way in &ways {
            let curl = Curl { stage: &stage, way, flag };
            let decodes = way.name == "read and scrubbed";
            for kind in ["text", "json", "escapes", "gzip"].into_iter().filter(|k| decodes || *k != "gzip") {
                let figure = curl.best(&[&curl.url(&format!("/mebibytes/{BULK}/{kind}"))]);
                curl.tell(protocol, kind, figure);
                met &= !decodes || kind == "escapes" || figure.each >= GOAL;
            }
            let up = format!("@{}", body.display());
            let figure = curl.best(&["-H", "Expect:", "--data-binary", &up, &curl.url("/sink")]);
            curl.tell(protocol, "up", figure);
            println!("{:<18} {protocol:<9} {:<10} {:>11.0} us", way.name, "request", curl.request());
        }
    }
    drop(stage);
    draining.abort();
    println!(
        "{GOAL:.0} MB/s for each processor with substitution and scrubbing of ordinary answers: {}",
        if met { "met" } else { "NOT met" }
    );
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Requests of one way in one protocol.
struct Curl<'a> {
    stage: &'a Stage,
    way: &'a Way,
    flag: &'a str,
}

// === impl Curl ===

impl Curl<'_> {
    fn url(&self, path: &str) -> String {
        format!("https://{}:{}{path}", self.way.host, self.way.port)
    }

    fn printed(&self, args: &[&str]) -> String {
        let bearer = format!("Authorization: Bearer {}", self.stage.key());
        let fixed = [self.flag, "-m", "300", "-H", &bearer];
        self.stage.curl(&[&fixed, args].concat()).printed().to_owned()
    }

    /// The best of some transfers.
    fn best(&self, args: &[&str]) -> Figure {
        let mut best = Figure { each: 0.0, whole: 0.0 };
        let all = ["-o", "/dev/null", "-w", "%{http_code}"];
        for _ in 0..ROUNDS {
            let (load, begun) = (Load::of(self.way.threads), Instant::now());
            assert_eq!(self.printed(&[&all, args].concat()), "200");
            let (worked, took) = (load.since().as_secs_f64(), begun.elapsed().as_secs_f64());
            let megabytes = (BULK << 20) as f64 / 1e6;
            let figure = Figure { each: megabytes / worked, whole: megabytes / took };
            best = Figure { each: best.each.max(figure.each), whole: best.whole.max(figure.whole) };
        }
        best
    }

    fn tell(&self, protocol: &str, what: &str, figure: Figure) {
        println!(
            "{:<18} {protocol:<9} {what:<10} {:>14.0} {:>14.0}",
            self.way.name, figure.each, figure.whole
        );
    }

    /// Microseconds of the median request.
    fn request(&self) -> f64 {
        let urls: Vec<String> = (0..REQUESTS).map(|n| self.url(&format!("/n/{n}"))).collect();
        let quiet = urls.iter().flat_map(|url| ["-o", "/dev/null", url.as_str()]);
        let args: Vec<&str> = ["-w", "%{time_total}\n"].into_iter().chain(quiet).collect();
        let mut times: Vec<f64> = self.printed(&args).lines().filter_map(|line| line.parse().ok()).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(f64::NAN) * 1e6
    }
}
