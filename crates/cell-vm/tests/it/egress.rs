//! What a program behind another kernel reaches: what the node's broker grants it, and nothing else, each attempt on record.
//!
//! The client knows nothing of proxies. No test touches an address that could be anybody's: what is tried beside the
//! granted one lies in ranges for documentation and in the link-local one.

use std::{
    io::{self, Read, Write},
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use cella_cell::{Cell, Handle, Network, Running, Spec};
use cella_contract::DomainName;
use cella_egress::{
    Addresses, Broker, BrokerHandle, Denial, Limits, Policy, Record, Resolve, Sockets, Verdict,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc::{Receiver, channel},
};

use super::{
    Outcome, Test,
    bench::{Bench, check, script},
};

pub(crate) const TESTS: &[Test] = &[
    ("an_uncooperative_client_reaches_the_granted_name", granted),
    ("nothing_else_is_reached_and_every_attempt_is_on_record", denied),
    ("what_goes_through_the_broker_arrives_whole", whole),
    ("a_port_inside_is_reached_through_the_handle_only", published),
];

/// How long a record is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of the large answer.
const LARGE: usize = 3 << 20;

/// With a network that nobody serves.
pub(crate) fn brokered(mut spec: Spec) -> Spec {
    spec.network = Network::Brokered { ports: vec![443] };
    spec
}

/// `api.example` lives on this machine.
struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, _name: &'a DomainName) -> Addresses<'a> {
        Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) })
    }
}

/// A cell with a broker behind it.
struct Brokered {
    running: Running,
    records: Receiver<Record>,
    seen: Vec<Record>,
    _broker: BrokerHandle,
}

fn start(bench: &Bench, text: &str, port: u16) -> Result<Brokered, String> {
    let mut spec = script(text);
    spec.egress = vec![format!("api.example:{port}")];
    spec.network = Network::Brokered { ports: vec![port] };
    // A name must not lead to loopback unless the address is granted as well.
    let grants = [format!("api.example:{port}"), format!("127.0.0.1:{port}")];
    let policy = Policy::new(grants.iter().map(|grant| grant.parse().expect("a grant")).collect());
    bench.block_on(async {
        let mut running =
            bench.class.spawn(&spec).await.map_err(|error| format!("{}: {error}", error.code()))?;
        let ends = running.network.take().ok_or("no ends")?;
        let sockets =
            Sockets { tcp: ends.tcp, dns_udp: ends.dns_udp, dns_tcp: ends.dns_tcp, audit: ends.audit };
        let (sink, records) = channel(4096);
        let broker = Broker::start_with(policy, sockets, sink, Limits::default(), Arc::new(Here));
        Ok(Brokered {
            running,
            records,
            seen: Vec::new(),
            _broker: broker.map_err(|error| error.to_string())?,
        })
    })
}

impl Brokered {
    /// Lets it run to its end; gives what it wrote.
    fn ran(&mut self, bench: &Bench) -> String {
        bench.block_on(async {
            let (mut text, mut errors) = (String::new(), String::new());
            // It waits for this, so that nothing is tried before there is a broker.
            let _gone = self.running.stdin.write_all(b"go\n").await;
            let (out, err) = tokio::join!(
                self.running.stdout.read_to_string(&mut text),
                self.running.stderr.read_to_string(&mut errors)
            );
            out.and(err).expect("the whole output");
            text + &errors
        })
    }

    /// Reads records until one is like this, in whatever order the broker's tasks leave them.
    fn recorded(&mut self, bench: &Bench, what: &str, like: impl Fn(&Record) -> bool) -> Outcome {
        let until = Instant::now() + PATIENCE;
        while !self.seen.iter().any(&like) {
            let left = until.saturating_duration_since(Instant::now());
            let next = bench.block_on(async { tokio::time::timeout(left, self.records.recv()).await });
            let Ok(Some(record)) = next else {
                return Err(format!("{what} is not on record: {:#?}", self.seen));
            };
            self.seen.push(record);
        }
        Ok(())
    }
}

/// Answers every request with `body`, on this machine's loopback.
fn http(body: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let body = body.clone();
            std::thread::spawn(move || answer(stream, &body));
        }
    });
    port
}

fn answer(stream: io::Result<std::net::TcpStream>, body: &[u8]) {
    let Ok(mut stream) = stream else { return };
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => request.extend_from_slice(&chunk[..count]),
            _ => return,
        }
    }
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Waits for the word to begin, then runs Python.
fn python(text: &str) -> String {
    let words = text.replace('\'', "'\\''");
    format!("read go; python3 -c '{words}'")
}

fn granted(bench: &Bench) -> Outcome {
    let port = http(b"hello".to_vec());
    let text = python(&format!(
        "import http.client; c = http.client.HTTPConnection('api.example', {port}, timeout=20); \
         c.request('GET', '/'); print(c.getresponse().read().decode())"
    ));
    let mut cell = start(bench, &text, port)?;
    let said = cell.ran(bench);
    check(said == "hello\n", || said.clone())?;
    let to_the_name = |record: &Record| {
        matches!(record.verdict, Verdict::Opened { .. })
            && record.subject.name.as_ref().is_some_and(|name| name.as_str() == "api.example")
    };
    cell.recorded(bench, "the connection", to_the_name)?;
    cell.recorded(bench, "its end", |record| matches!(record.verdict, Verdict::Closed { .. }))
}

const ATTEMPTS: &str = "
import socket, sys
def attempt(kind, host, port):
    try:
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        if kind == 'udp':
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.settimeout(2)
            s.sendto(b'x' * 20, (host, port))
            print('OUT', s.recv(10))
            return
        s = socket.create_connection((host, port), 20)
        s.settimeout(20)
        s.sendall(b'GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')
        got = s.recv(10)
        print('OUT' if got else 'DENIED', host, port, got)
    except OSError as e:
        print('DENIED', host, port, e)
";

fn denied(bench: &Bench) -> Outcome {
    let port = http(b"not for you".to_vec());
    let closed = if port == 4433 { 4434 } else { 4433 };
    let tries = [
        ("tcp", "other.example", port),
        ("tcp", "api.example", closed),
        ("tcp", "203.0.113.9", port),
        ("tcp", "203.0.113.9", closed),
        ("tcp", "169.254.1.1", port),
        ("tcp", "2001:db8::9", port),
        ("udp", "203.0.113.9", closed),
        ("udp", "203.0.113.9", 53),
    ];
    let calls: String =
        tries.iter().map(|(kind, host, port)| format!("attempt('{kind}', '{host}', {port})\n")).collect();
    let mut cell = start(bench, &python(&format!("{ATTEMPTS}{calls}")), port)?;
    let said = cell.ran(bench);
    let lines = said.lines().filter(|line| line.starts_with("DENIED")).count();
    check(lines == tries.len() && !said.contains("OUT"), || said.clone())?;
    for (what, like) in wanted(port, closed) {
        cell.recorded(bench, what, like)?;
    }
    Ok(())
}

type Like = Box<dyn Fn(&Record) -> bool>;

/// One for each attempt. A query to a name server that is written out is refused
/// like any datagram, but the audit does not tell it from one to the broker.
fn wanted(port: u16, closed: u16) -> Vec<(&'static str, Like)> {
    let denied = |like: fn(&Denial) -> bool, to: Option<(&'static str, u16)>| -> Like {
        Box::new(move |record| {
            let there = to.is_none_or(|(host, port)| {
                record.subject.destination.is_some_and(|to| to.ip().to_string() == host && to.port() == port)
            });
            there && matches!(&record.verdict, Verdict::Denied(denial) if like(denial))
        })
    };
    let address = |denial: &Denial| matches!(denial, Denial::Address { .. });
    let closed_port = |denial: &Denial| matches!(denial, Denial::PortClosed | Denial::Port { .. });
    let datagram = |denial: &Denial| matches!(denial, Denial::Datagram);
    vec![
        ("another name", denied(|denial| matches!(denial, Denial::Name { .. }), None)),
        ("another port of the name", denied(closed_port, None)),
        ("an address written out", denied(address, Some(("203.0.113.9", port)))),
        ("another port of it", denied(closed_port, Some(("203.0.113.9", closed)))),
        ("a link-local address", denied(address, Some(("169.254.1.1", port)))),
        ("an IPv6 address", denied(address, Some(("2001:db8::9", port)))),
        ("a datagram", denied(datagram, Some(("203.0.113.9", closed)))),
    ]
}

fn whole(bench: &Bench) -> Outcome {
    let body: Vec<u8> = (0..LARGE).map(|number| u8::try_from(number % 251).unwrap_or_default()).collect();
    let port = http(body);
    let text = python(&format!(
        "import urllib.request as u, threading\n\
         def get():\n  b = u.urlopen('http://api.example:{port}/').read(); print(len(b), all(b[i] == i % 251 for i in range(0, len(b), 997)))\n\
         ts = [threading.Thread(target=get) for _ in range(4)]\n\
         [t.start() for t in ts]; [t.join() for t in ts]"
    ));
    let mut cell = start(bench, &text, port)?;
    let said = cell.ran(bench);
    check(said == format!("{LARGE} True\n").repeat(4), || said.clone())
}

fn published(bench: &Bench) -> Outcome {
    let text = "read go; python3 -c 'import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); \
                s.bind((\"127.0.0.1\", 8123)); s.listen(); print(\"r\", flush=True); c, _ = s.accept(); c.sendall(bytes([c.recv(1)[0] + 1])); c.close()'";
    let mut cell = start(bench, text, 4433)?;
    let answer: io::Result<u8> = bench.block_on(async {
        cell.running.stdin.write_all(b"go\n").await?;
        cell.running.stdout.read_exact(&mut [0; 1]).await?;
        let nobody = refusal(&cell.running.cell, 8124).await;
        assert_eq!(nobody, Some(io::ErrorKind::ConnectionRefused));
        let mut stream = cell.running.cell.connect(8123).await?;
        stream.write_all(&[41]).await?;
        stream.read_u8().await
    });
    check(matches!(answer, Ok(42)), || format!("{answer:?}"))?;
    let refused = bench.block_on(refusal(&cell.running.cell, 4433));
    check(refused == Some(io::ErrorKind::AddrInUse), || format!("{refused:?}"))?;
    bench.block_on(cell.running.cell.kill());
    let gone = bench.block_on(refusal(&cell.running.cell, 8123));
    check(gone == Some(io::ErrorKind::NotConnected), || format!("{gone:?}"))
}

async fn refusal(cell: &Handle, port: u16) -> Option<io::ErrorKind> {
    cell.connect(port).await.err().map(|error| error.kind())
}
