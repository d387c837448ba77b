//! A network that ends at the node: everything arrives there, nothing leaves otherwise, and what nobody serves is seen.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use cella_cell::{NAMESERVER, Network, NetworkEnds, Running, Spec};
use cella_program::program_files;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Outcome, Test,
    bench::{Bench, PATIENCE, check, skip},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_connection_to_any_address_arrives_with_the_address_that_was_asked_for", any_address),
    ("a_name_is_answered_by_the_broker_and_leads_to_it", by_name),
    ("a_port_that_is_not_served_is_refused_and_seen", unserved),
    ("a_datagram_leads_nowhere_and_is_seen", datagram),
    ("nothing_of_the_host_is_reached_through_a_brokered_network", host),
    ("raw_packet_and_netlink_sockets_are_refused_in_a_brokered_network", families),
    ("a_program_keeps_its_own_loopback_but_not_the_brokers_ports", own_loopback),
    ("node_and_python_reach_the_broker_by_name", languages),
    ("a_port_inside_is_reached_through_the_handle_only", published),
    ("the_node_can_drop_its_ends", dropped_ends),
];

const PORTS: [u16; 3] = [80, 443, 8080];
/// Where the test's name server says that every name lives.
const FAKE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 99);

fn brokered(mut spec: Spec) -> Spec {
    spec.network = Network::Brokered { ports: PORTS.to_vec() };
    spec
}

/// A broker that greets, and remembers what was asked for.
struct Broker {
    asked: std::sync::mpsc::Receiver<SocketAddr>,
    audit: OwnedFd,
}

impl Broker {
    fn new(ends: NetworkEnds) -> Self {
        let (tell, asked) = std::sync::mpsc::channel();
        for (_, listener) in ends.tcp {
            let tell = tell.clone();
            blocking(&listener, |listener| listener.set_nonblocking(false));
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    let _test_is_over = tell.send(stream.local_addr().expect("an address"));
                    greet(stream);
                }
            });
        }
        for socket in ends.dns_udp {
            blocking(&socket, |socket| socket.set_nonblocking(false));
            std::thread::spawn(move || answer_names(&socket));
        }
        Self { asked, audit: ends.audit.expect("packet sockets") }
    }

    fn asked(&self) -> Vec<SocketAddr> {
        self.asked.try_iter().collect()
    }

    /// Waits for an attempt that is like this.
    fn saw(&self, protocol: u8, destination: &str) -> Outcome {
        let wanted = (protocol, destination.parse::<SocketAddr>().expect("an address"));
        let (until, mut seen) = (Instant::now() + Duration::from_secs(5), Vec::new());
        while Instant::now() < until {
            let mut polled = [rustix::event::PollFd::new(&self.audit, rustix::event::PollFlags::IN)];
            let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            let _ready = rustix::event::poll(&mut polled, Some(&pause));
            let mut packet = [0; 256];
            let received = rustix::net::recv(&self.audit, &mut packet, rustix::net::RecvFlags::empty());
            if let Ok((count, _)) = received {
                seen.extend(destination_of(&packet[..count]));
            }
            if seen.contains(&wanted) {
                return Ok(());
            }
        }
        Err(format!("{wanted:?} is not among {seen:?}"))
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Protocol and destination of a packet with its Ethernet header.
fn destination_of(packet: &[u8]) -> Option<(u8, SocketAddr)> {
    let packet = packet.get(14..)?;
    let (protocol, address, port): (u8, IpAddr, _) = match packet.first()? >> 4 {
        4 => (packet[9], <[u8; 4]>::try_from(&packet[16..20]).ok()?.into(), &packet[22..24]),
        6 => (packet[6], <[u8; 16]>::try_from(&packet[24..40]).ok()?.into(), &packet[42..44]),
        _ => return None,
    };
    Some((protocol, SocketAddr::new(address, u16::from_be_bytes(port.try_into().ok()?))))
}

fn blocking<T>(socket: &T, change: impl Fn(&T) -> std::io::Result<()>) {
    change(socket).expect("a socket");
}

/// Plain text to whoever says nothing within a moment, HTTP to whoever asks for it.
fn greet(mut stream: TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let mut request = [0; 1024];
    let asked = stream.read(&mut request).unwrap_or_default();
    let text = if asked > 0 {
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello"
    } else {
        "hello"
    };
    let _gone = stream.write_all(text.as_bytes());
}

/// Every name has the same IPv4 address and no other record.
fn answer_names(socket: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((count, whom)) = socket.recv_from(&mut packet) {
        let question = &packet[12..count];
        let end = question.iter().position(|byte| *byte == 0).expect("a name") + 1;
        let question = &question[..end + 4];
        let has_address = question[end + 1] == 1;
        let mut reply = packet[..2].to_vec();
        reply.extend([0x81, 0x80, 0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
        reply.extend(question);
        if has_address {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            reply.extend(FAKE.octets());
        }
        socket.send_to(&reply, whom).expect("an answer");
    }
}

/// Runs a program to its end with a broker behind it; gives what it wrote.
fn run(bench: &Bench, spec: Spec) -> Result<(String, Broker), String> {
    let mut running = bench.spawn(&brokered(spec)).map_err(|error| format!("{}: {error}", error.code()))?;
    let broker = Broker::new(running.network.take().ok_or("no ends")?);
    Ok((written(bench, &mut running), broker))
}

fn written(bench: &Bench, running: &mut Running) -> String {
    let (mut text, mut errors) = (String::new(), String::new());
    bench.block_on(async {
        let (out, err) =
            (running.stdout.read_to_string(&mut text), running.stderr.read_to_string(&mut errors));
        let _both = tokio::join!(out, err);
    });
    text + &errors
}

fn any_address(bench: &Bench) -> Outcome {
    for address in ["93.184.216.34:443", "169.254.169.254:80", "10.0.0.1:8080", "[2001:db8::7]:443"] {
        let (text, broker) = run(bench, bench.attempt(&["tcp", address]))?;
        let wanted: SocketAddr = address.parse().expect("an address");
        check(text == "OUT hello\n" && broker.asked() == [wanted], || format!("{address}: {text}"))?;
    }
    Ok(())
}

fn by_name(bench: &Bench) -> Outcome {
    let (text, broker) = run(bench, bench.attempt(&["tcp-by-name", "a.name.example:443"]))?;
    let asked = broker.asked();
    check(text == "OUT hello\n" && asked == [SocketAddr::from((FAKE, 443))], || format!("{text} {asked:?}"))?;
    let (text, broker) = run(bench, bench.script("cat /etc/resolv.conf; grep ^hosts: /etc/nsswitch.conf"))?;
    drop(broker);
    let wanted = format!("nameserver {NAMESERVER}\noptions timeout:2 attempts:2\nhosts: files dns\n");
    check(text == wanted, || text.clone())
}

fn unserved(bench: &Bench) -> Outcome {
    for address in ["1.1.1.1:22", "[2001:db8::8]:22", "8.8.8.8:53"] {
        let (text, broker) = run(bench, bench.attempt(&["tcp", address]))?;
        check(text.contains("DENIED Connection refused"), || text.clone())?;
        broker.saw(TCP, address)?;
        check(broker.asked().is_empty(), || "the broker was asked".into())?;
    }
    Ok(())
}

fn datagram(bench: &Bench) -> Outcome {
    for address in ["9.9.9.9:4433", "8.8.8.8:53", "1.1.1.1:443"] {
        let (text, broker) = run(bench, bench.attempt(&["udp", address]))?;
        check(text.contains("DENIED Connection refused"), || text.clone())?;
        broker.saw(UDP, address)?;
    }
    Ok(())
}

fn host(bench: &Bench) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let (text, _broker) = run(bench, bench.attempt(&["tcp", &format!("127.0.0.1:{port}")]))?;
    check(text.contains("DENIED") && listener.accept().is_err(), || text.clone())?;
    // The address of the machine itself leads to the broker, as any other.
    let socket =
        UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("192.0.2.1:9").map(|()| socket));
    let own = socket.and_then(|socket| socket.local_addr()).map(|address| address.ip());
    let Ok(own @ IpAddr::V4(_)) = own else { return skip("this machine has no address but loopback") };
    let (_, broker) = run(bench, bench.attempt(&["tcp", &format!("{own}:80")]))?;
    let asked = broker.asked();
    check(asked == [SocketAddr::new(own, 80)], || format!("{asked:?}"))
}

fn families(bench: &Bench) -> Outcome {
    let sockets = [
        (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        (libc::AF_PACKET, libc::SOCK_RAW, 0),
        (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
        (libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_ICMPV6),
        (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
    ];
    for (family, kind, protocol) in sockets {
        let words = ["socket", &family.to_string(), &kind.to_string(), &protocol.to_string()];
        let (text, _broker) = run(bench, bench.attempt(&words))?;
        check(text.contains("DENIED"), || format!("{words:?}: {text}"))?;
    }
    Ok(())
}

fn own_loopback(bench: &Bench) -> Outcome {
    let (text, _broker) = run(bench, bench.attempt(&["loopback"]))?;
    check(text == "OUT hello\n", || text.clone())?;
    let (text, _broker) = run(bench, bench.attempt(&["bind", "127.0.0.1:8080"]))?;
    check(text.contains("DENIED Address"), || text.clone())?;
    let (_, broker) = run(bench, bench.attempt(&["tcp", "127.0.0.1:8080"]))?;
    let asked = broker.asked();
    check(asked == ["127.0.0.1:8080".parse().expect("an address")], || format!("{asked:?}"))
}

fn languages(bench: &Bench) -> Outcome {
    let node = "fetch('http://node.example/').then(r => r.text()).then(console.log).catch(e => console.log(e.cause))";
    // c-ares, as opposed to the C library's resolver.
    let c_ares = "require('dns').resolve4('x.example', (e, a) => console.log(e ? String(e) : a[0]))";
    let python = "import urllib.request as u; print(u.urlopen('http://py.example/').read().decode())";
    let programs = [
        ("node", "-e", node, "hello\n".to_owned()),
        ("node", "-e", c_ares, format!("{FAKE}\n")),
        ("python3", "-c", python, "hello\n".to_owned()),
    ];
    for (command, flag, script, wanted) in programs {
        let args = [flag.to_owned(), script.to_owned()];
        let Ok(program) = program_files(command, &args, None, std::ffi::OsStr::new("/usr/bin")) else {
            println!("skipped: no {command} in /usr/bin");
            continue;
        };
        let (text, _broker) = run(bench, Spec::new(command, program))?;
        check(text == wanted, || format!("{script}: {text}"))?;
    }
    Ok(())
}

fn published(bench: &Bench) -> Outcome {
    for (network, address) in [
        (Network::None, "127.0.0.1:8123"),
        (Network::None, "[::1]:8123"),
        (Network::Brokered { ports: PORTS.to_vec() }, "0.0.0.0:8123"),
    ] {
        let mut spec = bench.attempt(&["serve", address]);
        spec.network = network;
        let mut running = bench.spawn(&spec).map_err(|error| error.to_string())?;
        let answer = bench.block_on(async {
            running.stdout.read_exact(&mut [0; 10]).await?;
            let mut stream = running.cell.connect(8123).await?;
            stream.write_all(&[41]).await?;
            stream.read_u8().await
        });
        check(matches!(answer, Ok(42)), || format!("{address}: {answer:?}"))?;
        let brokers = bench.block_on(running.cell.connect(443)).map(drop);
        let kind = brokers.map_err(|error| error.kind());
        let wanted = [
            std::io::ErrorKind::AddrInUse,
            std::io::ErrorKind::ConnectionRefused,
            std::io::ErrorKind::NotConnected,
        ];
        check(kind.is_err_and(|kind| wanted.contains(&kind)), || format!("{kind:?}"))?;
        bench.block_on(running.cell.wait());
        let gone = bench.block_on(running.cell.connect(8123)).map(drop);
        check(gone.is_err_and(|error| error.kind() == std::io::ErrorKind::NotConnected), || {
            "it is gone".into()
        })?;
    }
    Ok(())
}

fn dropped_ends(bench: &Bench) -> Outcome {
    let mut spec = bench.attempt(&["tcp", "93.184.216.34:443"]);
    spec.program.command = "/bin/sh".into();
    let attempt = format!("read line; {} {}", bench.exe(), "__attempt tcp 93.184.216.34:443");
    spec.program.args = vec!["-c".into(), attempt];
    let mut running = bench.spawn(&brokered(spec)).map_err(|error| error.to_string())?;
    drop(running.network.take());
    let text = bench.block_on(async {
        let _gone = running.stdin.write_all(b"go\n").await;
        let mut text = String::new();
        let _read = tokio::time::timeout(PATIENCE, running.stdout.read_to_string(&mut text)).await;
        text
    });
    check(text.contains("DENIED Connection refused"), || text.clone())
}
