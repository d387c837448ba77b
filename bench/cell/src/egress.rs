//! What the way through the broker costs, from the program inside to a listener of this machine and back.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use cella_cell::Process;

use crate::{Failed, inside::numbers, report::Goal, report::Report, shells};

/// Bytes of one transfer.
const BULK: u64 = 2 << 30;
/// Transfers each way, in turn.
const TRANSFERS: usize = 5;
/// Connections that are timed.
const CONNECTIONS: usize = 300;
/// Gbit per second that are to come through.
const RATE: f64 = 6.0;

/// Throughput and time to connect, directly and through the broker.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    // Ends with the process.
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| drop(thread::spawn(|| swallow(stream))))
    });
    let class = Process::new();
    let port_word = port.to_string();
    let (bulk, count) = (BULK.to_string(), CONNECTIONS.to_string());
    let (mut direct, mut brokered) = (Vec::new(), Vec::new());
    for _ in 0..TRANSFERS {
        direct.extend(outside(&["bulk", "127.0.0.1", &port_word, &bulk])?);
        brokered.extend(within(&class, &["bulk", shells::NAME, &port_word, &bulk], port).await?);
    }
    report.series("one stream, direct", "Gbit/s", direct, |_| None);
    let goal = |own: crate::report::Figures| Some(Goal::at_least(RATE, "Gbit/s", "median", own.median));
    report.series("one stream, through the broker", "Gbit/s", brokered, goal);
    let direct = outside(&["connect", "127.0.0.1", &port_word, &count])?;
    report.series("connect and first byte, direct", "ms", direct, |_| None);
    let brokered = within(&class, &["connect", shells::NAME, &port_word, &count], port).await?;
    report.series("connect and first byte, through the broker", "ms", brokered, |_| None);
    Ok(())
}

/// Reads to the end, then says so.
fn swallow(mut stream: TcpStream) {
    let mut chunk = vec![0; 256 << 10];
    while stream.read(&mut chunk).is_ok_and(|count| count > 0) {}
    let _gone = stream.write_all(b"!");
}

fn outside(words: &[&str]) -> Result<Vec<f64>, Failed> {
    let (exe, args) = shells::own(words)?;
    let output = Command::new(exe).args(args).output()?;
    numbers(&String::from_utf8_lossy(&output.stdout))
}

async fn within(class: &Process, words: &[&str], port: u16) -> Result<Vec<f64>, Failed> {
    let (exe, args) = shells::own(words)?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let spec = shells::full(&exe, &args, port)?;
    numbers(&shells::start(class, &spec).await?.output().await?)
}
