//! The program inside, which is this binary: what a system call and a connection cost where it runs.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    process::Command,
    time::Instant,
};

use cella_cell::Process;

use crate::{
    Failed,
    report::{Figures, Goal, Report},
    shells,
};

/// Calls of one round.
const CALLS: u32 = 200_000;
/// Rounds inside and outside, in turn.
const ROUNDS: usize = 7;
/// A file that every cell has.
const FILE: &str = "/etc/hosts";

/// What it does.
pub(crate) fn main(words: &[&str]) -> Result<(), Failed> {
    match words {
        ["calls"] => calls(),
        ["bulk", host, port, bytes] => bulk(host, port.parse()?, bytes.parse()?),
        ["connect", host, port, count] => connect(host, port.parse()?, count.parse()?),
        ["stay"] => {
            println!("here");
            std::io::stdin().read_to_end(&mut Vec::new()).map(drop).map_err(Into::into)
        }
        _ => Err("inside: calls | bulk HOST PORT BYTES | connect HOST PORT COUNT | stay".into()),
    }
}

fn calls() -> Result<(), Failed> {
    let nanos = |call: &dyn Fn() -> Result<(), Failed>| -> Result<f64, Failed> {
        let began = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        Ok(began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS))
    };
    let parent = nanos(&|| {
        std::hint::black_box(rustix::process::getppid());
        Ok(())
    })?;
    let stat = nanos(&|| Ok(std::fs::metadata(FILE).map(drop)?))?;
    let open = nanos(&|| Ok(File::open(FILE).map(drop)?))?;
    println!("{parent} {stat} {open}");
    Ok(())
}

/// Sends so many bytes and waits until the last has arrived; prints Gbit per second.
fn bulk(host: &str, port: u16, bytes: u64) -> Result<(), Failed> {
    let mut stream = TcpStream::connect((host, port))?;
    let chunk = vec![0; 256 << 10];
    let began = Instant::now();
    for _ in 0..bytes / chunk.len() as u64 {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    println!("{}", bytes as f64 * 8.0 / began.elapsed().as_secs_f64() / 1e9);
    Ok(())
}

/// Prints milliseconds from `connect` to the first byte of an answer, one line each; the name is asked for once before.
fn connect(host: &str, port: u16, count: usize) -> Result<(), Failed> {
    let address = (host, port).to_socket_addrs()?.find(|address| address.is_ipv4()).ok_or("no address")?;
    for _ in 0..count {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        // No letter: a word of HTTP or TLS that stays unfinished would be refused.
        stream.write_all(&[0])?;
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.read_exact(&mut [0])?;
        println!("{}", shells::millis(began.elapsed()));
    }
    Ok(())
}

/// What calls cost inside and outside.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Failed> {
    let class = Process::new();
    let (exe, args) = shells::own(&["calls"])?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let spec = shells::full(&exe, &args, 443)?;
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let plain = Command::new(&exe).args(&args).output()?;
        outside.push(numbers(&String::from_utf8_lossy(&plain.stdout))?);
        inside.push(numbers(&shells::start(&class, &spec).await?.output().await?)?);
    }
    for (at, name) in ["getppid", "stat", "open and close"].into_iter().enumerate() {
        let column = |rounds: &[Vec<f64>]| rounds.iter().filter_map(|round| round.get(at).copied()).collect();
        let plain = report.series(format!("{name}, outside"), "ns", column(&outside), |_| None);
        let goal = |own: Figures| {
            let ratio = own.median / plain.median;
            (name == "stat").then(|| Goal::at_most(2.0, "times", "against outside", ratio))
        };
        report.series(format!("{name}, in a cell"), "ns", column(&inside), goal);
    }
    Ok(())
}

/// Numbers with white space between.
pub(crate) fn numbers(text: &str) -> Result<Vec<f64>, Failed> {
    Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}
