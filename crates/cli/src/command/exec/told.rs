//! What is said of a cell beside its program's output.

use std::path::PathBuf;

use cella_cell::{Exit, LimitHit, Report};
use cella_words::{Traffic, report_lines};
use serde_json::{Value, json};

use super::changed::Changed;
use crate::{
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
};

/// Where it is said.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    /// What is enforced, in words on standard error.
    pub(crate) report: bool,
    /// The result, as JSON.
    pub(crate) file: Option<PathBuf>,
    pub(crate) printer: Printer,
}

impl Telling {
    /// The program runs.
    pub(crate) fn started(&self, cell: &str, report: &Report, hidden: &[PathBuf]) {
        if !self.report {
            return;
        }
        self.printer.note(format!("cell {cell}, class {}", report.class));
        report_lines(report).iter().for_each(|line| self.printer.note(line));
        for path in hidden {
            self.printer
                .note(format!("  hidden    {} stands in the arguments and is not granted", path.display()));
        }
    }

    /// The program is gone: says how, and gives the exit status.
    pub(crate) fn ended(
        &self,
        cell: &str,
        exit: &Exit,
        report: &Report,
        (traffic, changed): (&Traffic, Option<&Changed>),
    ) -> Outcome {
        let code = status(exit);
        let value = json!({
            "schema": "cella/v1",
            "cell": cell,
            "exit": code.number(),
            "code": exit.code,
            "signal": exit.signal,
            "limit": exit.limit.map(|limit| limit.to_string()),
            "out_of_memory": exit.oom,
            "wall_ms": millis(exit.wall),
            "cpu_ms": millis(exit.cpu),
            "peak_memory_bytes": exit.peak_memory_bytes,
            "report": report,
            "egress": traffic.json(),
            "workspace": changed.map(Changed::json),
            "error": null,
        });
        self.write(&value)?;
        if self.report {
            traffic.lines().iter().for_each(|line| self.printer.note(line));
        }
        if self.printer.is_json() {
            return Ok(code);
        }
        if let Some(changed) = changed {
            changed.lines().iter().for_each(|line| self.printer.note(line));
        }
        if exit.limit == Some(LimitHit::WallTime) {
            let stop =
                Stop::new(code, codes::TIME_LIMIT, "the program was ended by the time limit of its contract");
            self.printer.stop(
                &stop.fix("raise `time` under [limits] in the contract, or find out what it waits for"),
            );
        } else if let Some(limit) = exit.limit {
            self.printer.warn(format!("the program was ended by its {limit} limit"));
        }
        Ok(code)
    }

    /// Nothing ran.
    pub(crate) fn refused(&self, stop: Stop) -> Outcome {
        let error = json!({ "code": stop.code, "message": stop.message, "fix": stop.fix });
        let exit = stop.exit.number();
        self.write(&json!({ "schema": "cella/v1", "exit": exit, "report": null, "error": error }))?;
        if self.printer.is_json() { Ok(stop.exit) } else { Err(stop) }
    }

    fn write(&self, value: &Value) -> Result<(), Stop> {
        if self.printer.is_json() {
            self.printer.always(value.to_string());
        }
        let Some(file) = &self.file else { return Ok(()) };
        std::fs::write(file, format!("{value}\n")).map_err(Stop::system(file.display()))
    }
}

/// As shells have it: the program's own status, or 128 and the signal.
fn status(exit: &Exit) -> Code {
    let number = |number: i32| u8::try_from(number & 0xff).unwrap_or(1);
    match (exit.limit, exit.code, exit.signal) {
        (Some(LimitHit::WallTime), ..) => Code::TimedOut,
        (_, Some(code), _) => Code::Program(number(code)),
        (_, None, Some(signal)) => Code::Program(number(128 + signal)),
        (_, None, None) => Code::Failed,
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
