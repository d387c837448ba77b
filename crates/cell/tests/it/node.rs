//! A node that can be killed: starts cells and says when they run.

use std::{io::Write, path::PathBuf, process::ExitCode};

use cella_cell::{Cell, Process, Program, Spec};
use tokio::io::AsyncReadExt;

use super::attempt;

/// Argument under which this binary is a node.
pub(crate) const ARG: &str = "__node";

/// `COUNT TOKEN`: so many cells, each with a sleeping program, a child and a daemon that carry the token; with `frozen` behind
/// it they stand still, if that can be done; or `shells COUNT`: so many shells, and the ids of their first processes.
pub(crate) fn main(args: &[String]) -> ExitCode {
    if args[0] == "shells" {
        return shells(args[1].parse().expect("a number"));
    }
    let (count, token): (usize, &str) = (args[0].parse().expect("a number"), &args[1]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let class = Process::new();
        let exe = std::env::current_exe().expect("a path");
        let mut cells = Vec::new();
        for _ in 0..count {
            let mut running = class.spawn(&spec(&exe, token)).await.expect("a cell");
            let mut line = [0; 1];
            running.stdout.read_exact(&mut line).await.expect("a sign of life");
            if args.get(2).is_some_and(|arg| arg == "frozen") {
                let frozen = running.cell.freezer().freeze();
                assert!(frozen.is_ok() || !rustix::process::geteuid().is_root(), "{frozen:?}");
                std::mem::forget(frozen);
            }
            cells.push(running);
        }
        println!("ready");
        std::io::stdout().flush().expect("a reader");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

fn shells(count: usize) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let class = Process::new();
        let program = Program { command: "/bin/true".into(), ..Program::default() };
        let shells = class.keep_warm(&Spec::new("shell", program), count);
        assert!(shells.is_ready().await, "shells that wait");
        let pids: Vec<String> = shells.pids().iter().map(u32::to_string).collect();
        println!("{}", pids.join(" "));
        std::io::stdout().flush().expect("a reader");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

fn spec(exe: &std::path::Path, token: &str) -> Spec {
    let exe = exe.to_owned();
    let script = format!(
        "{} {} daemon {token}; sleep 1000 {token} & echo r; sleep 1000 {token}",
        exe.display(),
        attempt::ARG
    );
    let program = Program {
        command: PathBuf::from("/bin/sh"),
        args: vec!["-c".into(), script],
        files: vec![exe],
        ..Program::default()
    };
    Spec::new("killed", program)
}
