//! What the broker costs: bytes per second, time per exchange and per connection, memory of quiet connections. Each beside
//! the same without it. Prints one line per figure; needs root.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

#[path = "../tests/it/cell.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod cell;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use cella_egress::Limits;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cell::{Cell, grants, serve};

/// Bytes of one transfer.
const BULK: usize = 4 << 30;
/// Exchanges that are timed.
const EXCHANGES: usize = 5000;
/// Connections that are timed.
const CONNECTIONS: usize = 500;
/// Connections that are kept quiet.
const QUIET: usize = 200;

fn main() {
    let sink = serve(|mut stream| {
        let mut chunk = vec![0; 256 * 1024];
        while stream.read(&mut chunk).is_ok_and(|n| n > 0) {}
        let _ = stream.write_all(b"!");
    });
    let echo = serve(|mut stream| {
        let _ = stream.set_nodelay(true);
        let mut chunk = [0; 1024];
        while let Ok(n @ 1..) = stream.read(&mut chunk) {
            let _ = stream.write_all(&chunk[..n]);
        }
    });
    let limits = Limits { connections_per_second: 100_000, connections: 4096, ..Limits::default() };
    let both = [grants("sink.example", sink), grants("echo.example", echo)].concat();
    let names = [("sink.example", "127.0.0.1"), ("echo.example", "127.0.0.1")];
    let Some(mut cell) = Cell::start(&both, &names, limits) else { return };
    let drain = cell.drain();
    let inside = format!("/proc/{}/ns/net", cell.first());
    let at = |text: &str, port: u16| SocketAddr::new(text.parse().expect("an address"), port);
    for (place, namespace, sink, echo) in [
        ("direct", None, at("127.0.0.1", sink), at("127.0.0.1", echo)),
        ("broker", Some(inside), at("198.18.0.1", sink), at("198.18.0.2", echo)),
    ] {
        let measured = thread::spawn(move || {
            if let Some(path) = namespace {
                let file = std::fs::File::open(path).expect("the namespace");
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("inside");
            }
            bulk(place, sink);
            exchanges(place, echo);
            connections(place, echo);
            quiet(place, echo);
        });
        measured.join().expect("measured");
    }
    drop(drain);
}

fn bulk(place: &str, to: SocketAddr) {
    let mut stream = TcpStream::connect(to).expect("connected");
    let chunk = vec![0; 256 * 1024];
    let start = Instant::now();
    for _ in 0..BULK / chunk.len() {
        stream.write_all(&chunk).expect("sent");
    }
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    stream.read_exact(&mut [0]).expect("received");
    let gbits = BULK as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9;
    println!("{place}: {gbits:.1} Gbit/s");
}

fn exchanges(place: &str, to: SocketAddr) {
    let mut stream = TcpStream::connect(to).expect("connected");
    stream.set_nodelay(true).expect("an option");
    let mut times = Vec::new();
    for _ in 0..EXCHANGES {
        let start = Instant::now();
        stream.write_all(&[0]).expect("sent");
        stream.read_exact(&mut [0]).expect("received");
        times.push(start.elapsed());
    }
    println!("{place}: {:?} per exchange (median)", median(times));
}

fn connections(place: &str, to: SocketAddr) {
    let mut times = Vec::new();
    for _ in 0..CONNECTIONS {
        let start = Instant::now();
        let mut stream = TcpStream::connect(to).expect("connected");
        stream.write_all(&[0]).expect("sent");
        stream.read_exact(&mut [0]).expect("received");
        times.push(start.elapsed());
    }
    println!("{place}: {:?} per connection and first byte (median)", median(times));
}

fn quiet(place: &str, to: SocketAddr) {
    let before = resident_kib();
    let held: Vec<TcpStream> = (0..QUIET)
        .map(|_| {
            let mut stream = TcpStream::connect(to).expect("connected");
            stream.write_all(&[0]).expect("sent");
            stream.read_exact(&mut [0]).expect("received");
            stream
        })
        .collect();
    let after = resident_kib();
    println!(
        "{place}: {} KiB more for {} quiet connections (with the server's threads)",
        after - before,
        held.len()
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
