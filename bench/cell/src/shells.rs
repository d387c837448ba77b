//! The cells that are measured: one with nothing asked of it, and one with everything that a contract usually asks.

use std::{collections::BTreeMap, ffi::OsStr, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use cella_cell::{Ask, Cell, Exit, NetworkEnds, Process, Running, Spec};
use cella_contract::DomainName;
use cella_egress::{Addresses, Broker, BrokerHandle, Limits, Policy, Resolve, Sockets};
use cella_program::program_files;
use tokio::{io::AsyncReadExt, sync::mpsc};

use crate::Failed;

/// Where commands are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Memory of a cell, in bytes.
const MEMORY: u64 = 512 << 20;
/// The one name that is granted.
pub(crate) const NAME: &str = "sink.example";

/// A running cell with its broker.
pub(crate) struct Shell {
    pub(crate) running: Running,
    _broker: Option<BrokerHandle>,
}

/// Gives this machine for every name.
struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, _name: &'a DomainName) -> Addresses<'a> {
        Box::pin(async { Ok::<Vec<IpAddr>, io::Error>(vec![[127, 0, 0, 1].into()]) })
    }
}

/// A cell without egress and without groups.
pub(crate) fn bare(command: &str, args: &[&str]) -> Result<Spec, Failed> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let program = program_files(command, &args, None, OsStr::new(PATH))?;
    let mut spec = Spec::new("bench", program);
    spec.limits.memory_bytes = Ask::No;
    spec.limits.processes = Ask::No;
    Ok(spec)
}

/// The same with limits of memory, processes and processors, and a brokered network with this port.
pub(crate) fn full(command: &str, args: &[&str], port: u16) -> Result<Spec, Failed> {
    let mut spec = bare(command, args)?;
    spec.limits.memory_bytes = Ask::Prefer(MEMORY);
    spec.limits.processes = Ask::Prefer(256);
    spec.limits.cpu_milli = Ask::Prefer(2000);
    spec.network = cella_cell::Network::Brokered { ports: vec![port] };
    Ok(spec)
}

/// This binary as a program inside.
pub(crate) fn own(words: &[&str]) -> Result<(String, Vec<String>), Failed> {
    let exe: PathBuf = std::env::current_exe()?;
    let exe = exe.to_str().ok_or("a path that is no text")?.to_owned();
    Ok((exe, std::iter::once("inside").chain(words.iter().copied()).map(str::to_owned).collect()))
}

/// Starts a cell, and its broker if it has a network.
pub(crate) async fn start(class: &Process, spec: &Spec) -> Result<Shell, Failed> {
    let mut running = class.spawn(spec).await?;
    let broker = running.network.take().map(broker).transpose()?;
    Ok(Shell { running, _broker: broker })
}

fn broker(ends: NetworkEnds) -> Result<BrokerHandle, Failed> {
    let NetworkEnds { tcp, dns_udp, dns_tcp, audit } = ends;
    let ports: BTreeMap<u16, ()> = tcp.iter().map(|(port, _)| (*port, ())).collect();
    let grants = ports.keys().flat_map(|port| [format!("{NAME}:{port}"), format!("127.0.0.1:{port}")]);
    let grants: Result<Vec<_>, _> = grants.map(|grant| grant.parse()).collect();
    let limits = Limits { connections_per_second: 100_000, ..Limits::default() };
    let (records, mut told) = mpsc::channel(limits.connections * 4);
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    let sockets = Sockets { tcp, dns_udp, dns_tcp, audit };
    let policy = Policy::new(grants.map_err(|error| format!("{error}"))?);
    Ok(Broker::start_with(policy, sockets, records, limits, Arc::new(Here))?)
}

impl Shell {
    /// Waits for the first byte of standard output.
    pub(crate) async fn first_byte(&mut self) -> Result<(), Failed> {
        let mut byte = [0];
        self.running.stdout.read_exact(&mut byte).await?;
        Ok(())
    }

    /// Reads to the end, and waits for it.
    pub(crate) async fn output(mut self) -> Result<String, Failed> {
        let mut text = String::new();
        let mut errors = String::new();
        tokio::try_join!(
            self.running.stdout.read_to_string(&mut text),
            self.running.stderr.read_to_string(&mut errors)
        )?;
        let exit = self.running.cell.wait().await;
        if exit.success() { Ok(text) } else { Err(format!("{exit}: {errors}").into()) }
    }

    /// Waits for the end.
    pub(crate) async fn end(self) -> Exit {
        self.running.cell.wait().await
    }
}

/// Milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
