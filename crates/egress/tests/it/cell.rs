//! A network namespace as a cell has it, with a broker behind it.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, TcpListener, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cella_contract::DomainName;
use cella_egress::{
    Addresses, Broker, BrokerHandle, Limits, Policy, Record, Resolve, Secrets, Sockets, Verdict,
};
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, eth, socket_with},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{Receiver, channel},
};

/// What the first process of the namespace does: make every address local, name a resolver, stay.
const SETUP: &str = "set -e
ip link set lo up
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
echo nameserver 192.0.2.53 > /mnt/resolv.conf
echo 127.0.0.1 localhost > /mnt/hosts
mount --bind /mnt/resolv.conf /etc/resolv.conf
mount --bind /mnt/hosts /etc/hosts
echo ready
cat";

/// A cell.
pub(crate) struct Cell {
    first: Child,
    pub(crate) broker: Option<BrokerHandle>,
    records: Receiver<Record>,
    pub(crate) runtime: Runtime,
    /// How often a name was resolved outside.
    pub(crate) asked: Arc<AtomicUsize>,
}

/// Answers from a table.
struct Table {
    names: HashMap<DomainName, Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

/// What a program did.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Resolve for Table {
    fn resolve<'a>(&'a self, name: &'a DomainName) -> Addresses<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.names.get(name).cloned().ok_or_else(|| io::Error::other("no such name"));
        Box::pin(async move { found })
    }
}

impl Cell {
    /// A cell with these grants and a resolver that knows these names; `None`, and a line that says why, where namespaces
    /// cannot be made.
    pub(crate) fn start(grants: &[String], names: &[(&str, &str)], limits: Limits) -> Option<Self> {
        Self::start_with(grants, names, limits, None)
    }

    /// The same, with secrets.
    pub(crate) fn start_with(
        grants: &[String],
        names: &[(&str, &str)],
        limits: Limits,
        secrets: Option<Secrets>,
    ) -> Option<Self> {
        Self::asking(&["0.0.0.0:53", "[::]:53"], grants, names, limits, secrets)
    }

    /// The same, where only queries to these addresses are answered.
    pub(crate) fn asking(
        answered: &'static [&'static str],
        grants: &[String],
        names: &[(&str, &str)],
        limits: Limits,
        secrets: Option<Secrets>,
    ) -> Option<Self> {
        let grants: Vec<_> = grants.iter().map(|grant| grant.parse().expect(grant)).collect();
        let table = names.iter().fold(HashMap::<_, Vec<IpAddr>>::new(), |mut table, (name, address)| {
            let name = DomainName::parse(name).expect("a name");
            table.entry(name).or_default().push(address.parse().expect("an address"));
            table
        });
        let asked = Arc::<AtomicUsize>::default();
        let table = Table { names: table, asked: asked.clone() };
        let first = match namespace() {
            Ok(first) => first,
            Err(why) => {
                println!("skipped: no network namespace: {why}");
                return None;
            }
        };
        let policy = Policy::new(grants);
        let sockets = sockets(first.id(), policy.ports().into_iter().collect(), answered);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("broker")
            .enable_all()
            .build()
            .expect("a runtime");
        let (to, records) = channel(4096);
        let broker = {
            let _inside = runtime.enter();
            Broker::start_with_secrets(policy, sockets, to, limits, Arc::new(table), secrets)
                .expect("a broker")
        };
        Some(Self { first, broker: Some(broker), records, runtime, asked })
    }

    /// The first process of the namespace.
    pub(crate) fn first(&self) -> u32 {
        self.first.id()
    }

    /// Throws records away until what is returned is dropped.
    pub(crate) fn drain(&mut self) -> tokio::task::JoinHandle<()> {
        let (_, none) = channel(1);
        let mut records = std::mem::replace(&mut self.records, none);
        self.runtime.spawn(async move { while records.recv().await.is_some() {} })
    }

    /// Runs a program in the cell.
    pub(crate) fn run(&self, program: &[&str]) -> Outcome {
        self.spawn(program).wait()
    }

    /// Starts a program in the cell.
    pub(crate) fn spawn(&self, program: &[&str]) -> Running {
        let pid = self.first.id();
        let child = Command::new("nsenter")
            .args([format!("--net=/proc/{pid}/ns/net"), format!("--mount=/proc/{pid}/ns/mnt")])
            .args(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::var_os("HOME").unwrap_or_default())
            .spawn()
            .expect("nsenter");
        Running(child)
    }

    /// Runs a Python script in the cell.
    pub(crate) fn python(&self, script: &str) -> Outcome {
        self.run(&["python3", "-c", script])
    }

    /// Waits for the record that is looked for; those before it are gone.
    pub(crate) fn record(&mut self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        let mut seen = Vec::new();
        let records = &mut self.records;
        let found = self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), async {
                while let Some(record) = records.recv().await {
                    if wanted(&record) {
                        return Some(record);
                    }
                    seen.push(record);
                }
                None
            })
            .await
        });
        match found {
            Ok(Some(record)) => record,
            _ => panic!("no record of {what} in {seen:#?}"),
        }
    }

    /// Waits for a refusal with this code.
    pub(crate) fn refusal(&mut self, code: &str) -> Record {
        self.record(
            code,
            |record| matches!(&record.verdict, Verdict::Denied(denial) if denial.code() == code),
        )
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        drop(self.first.stdin.take());
        let _ = self.first.wait();
    }
}

/// A program that runs in the cell.
pub(crate) struct Running(Child);

impl Running {
    /// Waits until it prints a line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        let out = self.0.stdout.as_mut().expect("piped");
        while out.read(&mut byte).expect("output") == 1 && byte != *b"\n" {
            line.push(char::from(byte[0]));
        }
        line
    }

    /// Lets its input end, and waits for its own end.
    pub(crate) fn wait(self) -> Outcome {
        let output = self.0.wait_with_output().expect("output");
        Outcome {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Outcome {
    /// What it printed, when it ended well.
    pub(crate) fn printed(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out.trim()
    }
}

fn namespace() -> Result<Child, String> {
    let mut first = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", SETUP])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut line = String::new();
    BufReader::new(first.stdout.take().expect("piped")).read_line(&mut line).map_err(|e| e.to_string())?;
    if line.trim() == "ready" {
        return Ok(first);
    }
    let mut why = String::new();
    let _ = first.stderr.take().expect("piped").read_to_string(&mut why);
    let _ = first.wait();
    Err(why)
}

/// Makes the sockets in a thread that goes into the namespace and ends there.
fn sockets(pid: u32, ports: Vec<u16>, answered: &'static [&'static str]) -> Sockets {
    let inside = thread::spawn(move || {
        let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).expect("the namespace");
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network))
            .expect("inside");
        let v4 = |port| TcpListener::bind(("0.0.0.0", port)).expect("a listener");
        let mut sockets = Sockets {
            tcp: ports.iter().map(|port| (*port, v4(*port))).collect(),
            dns_udp: answered.iter().map(|at| udp(at.parse().expect("an address"))).collect(),
            dns_tcp: vec![v4(53), v6_tcp(53)],
            audit: None,
        };
        sockets.tcp.extend(ports.iter().map(|port| (*port, v6_tcp(*port))));
        let flags = SocketFlags::CLOEXEC;
        let audit = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, Some(eth::ALL));
        sockets.audit = Some(audit.expect("a packet socket"));
        sockets
    });
    inside.join().expect("sockets")
}

fn bound(kind: socket2::Type, address: std::net::SocketAddr) -> socket2::Socket {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, kind, None).expect("a socket");
    if address.is_ipv6() {
        socket.set_only_v6(true).expect("an option");
    }
    socket.bind(&address.into()).expect("bound");
    socket
}

fn v6_tcp(port: u16) -> TcpListener {
    let socket = bound(socket2::Type::STREAM, (std::net::Ipv6Addr::UNSPECIFIED, port).into());
    socket.listen(128).expect("listening");
    socket.into()
}

fn udp(address: std::net::SocketAddr) -> UdpSocket {
    bound(socket2::Type::DGRAM, address).into()
}

/// Serves each connection to a port of 127.0.0.1 outside the cell, one thread each.
pub(crate) fn serve(with: impl Fn(std::net::TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let with = Arc::new(with);
    thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let with = with.clone();
            thread::spawn(move || with(stream));
        }
    });
    port
}

/// A server that answers every HTTP request with a body and closes.
pub(crate) fn http(body: &'static str) -> u16 {
    serve(move |mut stream| {
        let mut lines = BufReader::new(stream.try_clone().expect("a clone")).lines();
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let length = body.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// The grants of a name at a port of this machine: the name, and the address that it may therefore lead to.
pub(crate) fn grants(name: &str, port: u16) -> Vec<String> {
    vec![format!("{name}:{port}"), format!("127.0.0.1:{port}")]
}

/// True when the program is there; else a line that says what is skipped.
pub(crate) fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        println!("skipped: no {program}");
    }
    there
}
