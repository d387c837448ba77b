//! The host's network and its sockets: out of reach.

use std::{
    io::Write,
    net::{IpAddr, TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cella_cell::Network;

use super::{
    Outcome, Test,
    bench::{Bench, check, skip},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_listener_on_the_hosts_loopback_is_not_reached", host_loopback),
    ("a_listener_on_the_hosts_address_is_not_reached", host_address),
    ("an_abstract_socket_of_the_host_is_not_reached", abstract_socket),
    ("a_socket_file_of_the_host_is_not_reached", socket_file),
    ("dangerous_socket_families_are_refused", families),
    ("the_cells_own_loopback_works", own_loopback),
    ("a_sealed_cell_has_no_tcp_at_all", sealed),
    ("only_loopback_exists", only_loopback),
];

/// Accepts, counts, and says hello.
fn serve(listener: TcpListener) -> Arc<AtomicUsize> {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let _gone = stream.write_all(b"hello");
        }
    });
    accepted
}

fn not_reached(bench: &Bench, listener: TcpListener, host: &str) -> Outcome {
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let accepted = serve(listener);
    bench.must_not_get_out(&["tcp", &format!("{host}:{port}")])?;
    // The control run, and nobody else.
    check(accepted.load(Ordering::SeqCst) == 1, || "the listener was reached from inside".into())
}

fn host_loopback(bench: &Bench) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    not_reached(bench, listener, "127.0.0.1")?;
    match TcpListener::bind("[::1]:0") {
        Ok(listener) => not_reached(bench, listener, "[::1]"),
        Err(_) => Ok(()),
    }
}

fn host_address(bench: &Bench) -> Outcome {
    // Connecting a datagram socket sends nothing; it only picks the address that this machine would use.
    let socket =
        UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("192.0.2.1:9").map(|()| socket));
    let own = socket.and_then(|socket| socket.local_addr()).map(|address| address.ip());
    let Ok(IpAddr::V4(own)) = own else { return skip("this machine has no address but loopback") };
    let listener = TcpListener::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    not_reached(bench, listener, &own.to_string())
}

fn abstract_socket(bench: &Bench) -> Outcome {
    let name = format!("cella-it-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).map_err(|error| error.to_string())?;
    let _listener = UnixListener::bind_addr(&address).map_err(|error| error.to_string())?;
    bench.must_not_get_out(&["abstract", &name])
}

fn socket_file(bench: &Bench) -> Outcome {
    let path = bench.path("socket");
    let _listener = UnixListener::bind(&path).map_err(|error| error.to_string())?;
    bench.must_not_get_out(&["unix", &path.to_string_lossy()])
}

fn families(bench: &Bench) -> Outcome {
    // 40 is AF_VSOCK: it is opened, never connected.
    let mut wanted = vec![
        (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        (40, libc::SOCK_STREAM, 0),
        (libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
    ];
    if bench.is_root() {
        wanted.push((libc::AF_PACKET, libc::SOCK_RAW, 0));
        wanted.push((libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP));
    }
    for (family, kind, protocol) in wanted {
        let words = ["socket", &family.to_string(), &kind.to_string(), &protocol.to_string()];
        if bench.outside(&words).contains("DENIED") {
            println!("skipped: this kernel has no address family {family}");
            continue;
        }
        bench.must_not_get_out(&words)?;
    }
    Ok(())
}

fn own_loopback(bench: &Bench) -> Outcome {
    let ran = bench.run(&bench.attempt(&["loopback"]));
    check(ran.stdout.contains("OUT hello"), || format!("{ran:?}"))
}

fn sealed(bench: &Bench) -> Outcome {
    let mut spec = bench.attempt(&["loopback"]);
    spec.network = Network::Sealed;
    bench.must_not(&spec, &["loopback"])
}

fn only_loopback(bench: &Bench) -> Outcome {
    let ran = bench.run(&bench.script("cat /proc/self/net/dev"));
    let devices = ran.stdout.lines().filter(|line| line.contains(':')).count();
    check(devices == 1 && ran.stdout.contains("lo:"), || format!("{ran:?}"))
}
