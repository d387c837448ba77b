//! What it costs that a secret is put in: mebibytes per second down and up and the time of a request, through TLS as it is and
//! through a broker that reads it. Prints one line per figure; needs root and curl.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

#[path = "../tests/it/api.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod api;
#[path = "../tests/it/cell.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod cell;
#[path = "../tests/it/stage.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod stage;

use std::sync::Arc;

use crate::{
    api::Ca,
    stage::{ONE, Stage, written},
};

/// Mebibytes of one transfer.
const BULK: usize = 512;
/// Requests that are timed, on one connection.
const REQUESTS: usize = 500;

fn main() {
    let ca = Ca::new();
    let plain = ca.api("plain.example");
    let more = [("plain.example", plain.port)];
    let Some(mut stage) = Stage::among(ONE, &Arc::default(), &ca, &more) else { return };
    let draining = stage.cell.drain();
    let body = written(&"a line of something that is sent up, and that holds no secret\n".repeat(2 << 20));
    let up = format!("@{}", body.display());
    let bearer = format!("Authorization: Bearer {}", stage.key());
    for (what, host, port) in
        [("passed through", "plain.example", plain.port), ("read", "api.example", stage.api.port)]
    {
        for protocol in ["--http1.1", "--http2"] {
            let url = |path: &str| format!("https://{host}:{port}{path}");
            let fixed = [protocol, "-m", "300", "-H", &bearer, "-o", "/dev/null"];
            let figure = |args: &[&str]| -> f64 {
                let printed = stage.curl(&[&fixed, args].concat()).printed().to_owned();
                printed.lines().last().and_then(|line| line.parse().ok()).unwrap_or(f64::NAN)
            };
            let down = figure(&["-w", "%{speed_download}", &url(&format!("/mebibytes/{BULK}"))]);
            let sent = figure(&["-w", "%{speed_upload}", "--data-binary", &up, &url("/sink")]);
            println!(
                "{what} {protocol}: {:.0} MiB/s down, {:.0} MiB/s up",
                down / 1048576.0,
                sent / 1048576.0
            );
            let urls: Vec<String> = (0..REQUESTS).map(|n| url(&format!("/n/{n}"))).collect();
            let mut args = vec!["-w", "%{time_total}\n"];
            let quiet: Vec<&str> = urls.iter().flat_map(|url| ["-o", "/dev/null", url.as_str()]).collect();
            args.extend(quiet);
            let printed =
                stage.curl(&[&[protocol, "-H", &bearer], args.as_slice()].concat()).printed().to_owned();
            let mut times: Vec<f64> = printed.lines().filter_map(|line| line.parse().ok()).collect();
            times.sort_by(f64::total_cmp);
            let middle = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
            println!("{what} {protocol}: {:.0} us for the median request", middle * 1e6);
        }
    }
    drop(stage);
    draining.abort();
}
