//! A node that can be killed: starts a cell and says when it runs.

use std::{io::Write, process::ExitCode, sync::Arc};

use cella_cell::Cell;
use cella_cell_vm::{Choice, Vm};
use tokio::io::AsyncReadExt;

use super::bench::script;

/// Argument under which this binary is a node.
pub(crate) const ARG: &str = "__node";

/// `DRIVER`: one cell with a sleeping program, a child and a daemon.
pub(crate) fn main(args: &[String]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let class = Vm::with(Choice::Auto, vec![Arc::from(super::driver(&args[0]))]);
        let text = "setsid sleep 1000 & sleep 1000 & echo r; sleep 1000";
        let mut running = class.spawn(&super::egress::brokered(script(text))).await.expect("a cell");
        running.stdout.read_exact(&mut [0; 1]).await.expect("a sign of life");
        println!("ready");
        std::io::stdout().flush().expect("a reader");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
