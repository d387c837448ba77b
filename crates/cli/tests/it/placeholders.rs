//! A program works with a key that is nowhere in its cell.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    net::{IpAddr, ToSocketAddrs},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use super::home::{Ended, Home};

const KEY: &str = "sk-live/9f8e7d+6c5b4a-canary";
/// The same in base64, as Basic authentication and debug pages have it.
const BASE64: &str = "c2stbGl2ZS85ZjhlN2QrNmM1YjRhLWNhbmFy";

/// Outside: an API that needs the key, tells what it got on its output, and repeats it in its answer.
const API: &str = "import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        got = self.headers.get('Authorization', '')
        print(self.path, got, flush=True)
        body = f'you sent {got}'.encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer((sys.argv[1], 0), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[2], sys.argv[3])
s.socket = c.wrap_socket(s.socket, server_side=True)
print(s.server_port, flush=True); s.serve_forever()";

/// Inside: asks for each line of its input, and keeps all that it learns, in memory and in files.
const PROGRAM: &str = "import os, sys, urllib.request as u
key = os.environ['API_KEY']; kept = [key, dict(os.environ)]
for line in sys.stdin:
    r = u.Request(line.strip(), headers={'Authorization': 'Bearer ' + key})
    try:
        with u.urlopen(r, timeout=20) as answer: text = f'{answer.status} {answer.read().decode()}'
    except u.HTTPError as e: text = f'{e.code} {e.read().decode().strip()}'
    kept.append(text)
    for place in ('/tmp', os.environ['HOME'], os.environ['WORK']):
        with open(place + '/kept', 'a') as f: f.write(repr(kept))
    print(text, flush=True)";

/// A process that ends with this.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This machine's name, if it leads to one of its own addresses: names cannot be made by a test.
fn own_name() -> Option<(String, IpAddr)> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_ascii_lowercase();
    let address = (name.as_str(), 443).to_socket_addrs().ok()?.next()?.ip();
    (address.is_ipv4() && std::net::TcpListener::bind((address, 0)).is_ok()).then_some((name, address))
}

fn has(program: &str, arg: &str) -> bool {
    Command::new(program)
        .arg(arg)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

fn certificate(home: &Home, name: &str) -> (String, String) {
    let (key, certificate) = (home.path("api.key"), home.path("api.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    (key.display().to_string(), certificate.display().to_string())
}

/// The processes below one.
fn below(pid: u32) -> Vec<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    let (mut found, mut next) = (Vec::new(), vec![pid]);
    while let Some(pid) = next.pop() {
        let own = children.get(&pid).cloned().unwrap_or_default();
        found.extend(&own);
        next.extend(own);
    }
    found
}

/// Everything that a process has in memory and can be read. Pages that are not there are left out: a runtime reserves
/// gigabytes that it never touches.
fn memory(pid: u32) -> Vec<u8> {
    const PAGE: u64 = 4096;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let open = |part: &str| fs::File::open(format!("/proc/{pid}/{part}"));
    let (Ok(mut file), Ok(mut pages)) = (open("mem"), open("pagemap")) else { return Vec::new() };
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| !line.contains("[v")) {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else {
            continue;
        };
        if !rights.starts_with('r') || pages.seek(SeekFrom::Start(from / PAGE * 8)).is_err() {
            continue;
        }
        // One number of eight bytes for each page (proc_pid_pagemap(5)); the highest bits: present, swapped out.
        let mut there = Vec::new();
        let _short_at_the_end = Read::by_ref(&mut pages).take((to - from) / PAGE * 8).read_to_end(&mut there);
        for (number, page) in there.chunks_exact(8).enumerate() {
            if page[7] & 0xc0 == 0 {
                continue;
            }
            if file.seek(SeekFrom::Start(from + number as u64 * PAGE)).is_ok() {
                let _unreadable_parts_are_nobodys = Read::by_ref(&mut file).take(PAGE).read_to_end(&mut all);
            }
        }
    }
    all
}

fn files(dir: &Path, all: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), all),
            Ok(kind) if kind.is_file() => all.extend(fs::read(entry.path()).unwrap_or_default()),
            _ => {}
        }
    }
}

fn holds(all: &[u8], text: &str) -> bool {
    memchr::memmem::find(all, text.as_bytes()).is_some()
}

#[test]
fn a_program_works_with_a_key_that_is_nowhere_in_its_cell() {
    let Some((name, address)) = own_name() else {
        println!("skipped: this machine's name leads to no address of its own");
        return;
    };
    if !has("openssl", "version") || !has("python3", "--version") {
        println!("skipped: no openssl, or no python3");
        return;
    }
    let home = Home::new();
    let (key, certificate) = certificate(&home, &name);
    let mut api =
        Running::start(Command::new("python3").args(["-c", API, &address.to_string(), &certificate, &key]));
    let port = api.line();
    home.write("key.txt", KEY);
    let stored = Ended::of(&mut home.command(&["secret", "set", "api", "--from-file", "key.txt"]));
    assert_eq!(stored.status, 0, "{stored:?}");
    fs::remove_file(home.path("key.txt")).unwrap();
    fs::create_dir(home.path("work")).unwrap();
    let work = home.path("work").display().to_string();
    home.write(
        "c.toml",
        &format!(
            "egress = [\"{name}:{port}\", \"{address}:{port}\"]\n[[files]]\npath = \"{work}\"\nmode = \"write\"\n\
             [secrets.api]\nfrom = \"vault:api\"\nenv = \"API_KEY\"\nhosts = [\"{name}\"]\npaths = [\"/v1/**\"]\n"
        ),
    );
    let work = format!("WORK={work}");
    let line = [
        "exec",
        "--contract",
        "c.toml",
        "--env",
        &work,
        "--report-file",
        "r.json",
        "--",
        "python3",
        "-uc",
        PROGRAM,
    ];
    let mut program =
        Running::start(home.command(&line).env("SSL_CERT_FILE", &certificate).stderr(Stdio::inherit()));

    program.say(&format!("https://{name}:{port}/v1/things"));
    let answer = program.line();
    assert!(answer.starts_with("200 you sent Bearer cel_"), "{answer}");
    let placeholder = answer.trim_start_matches("200 you sent Bearer ").to_owned();
    assert_eq!(api.line(), format!("/v1/things Bearer {KEY}"), "the API gets the key itself");
    program.say(&format!("https://{name}:{port}/v2/things"));
    let refused = program.line();
    assert!(refused.starts_with("403") && refused.contains("CE2336"), "{refused}");

    // Those of the cell: the launcher is one of the host's, and its /tmp is everybody's.
    let place = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let outside = place(std::process::id());
    let mut processes = below(program.child.id());
    processes.retain(|pid| place(*pid).is_some_and(|place| Some(place) != outside));
    assert!(!processes.is_empty());
    let mut seen = Vec::new();
    for pid in processes {
        for part in ["environ", "cmdline"] {
            seen.extend(fs::read(format!("/proc/{pid}/{part}")).unwrap_or_default());
        }
        seen.extend(memory(pid));
        for dir in ["tmp", "home/cell", "etc/cella"] {
            files(Path::new(&format!("/proc/{pid}/root/{dir}")), &mut seen);
        }
    }
    files(&home.path("work"), &mut seen);
    assert!(holds(&seen, &placeholder), "the search finds what is there");
    assert!(holds(&seen, "BEGIN CERTIFICATE"), "and sees the files of the cell");
    for form in [KEY, BASE64, "sk-live%2F9f8e7d%2B6c5b4a"] {
        assert!(!holds(&seen, form), "{form} is in the cell");
    }

    drop(program.child.stdin.take());
    assert!(program.child.wait().unwrap().success());
    let report: serde_json::Value = serde_json::from_str(&home.read("r.json")).unwrap();
    let used = &report["egress"]["secrets_used"][0];
    assert_eq!((used["secret"].as_str(), used["times"].as_u64()), (Some("api"), Some(1)), "{report}");
    assert_eq!(report["egress"]["refused"][0]["code"], "CE2336", "{report}");
    assert!(!report.to_string().contains(KEY));
    let left = home
        .files()
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|e| e == "pem") && !path.ends_with("api.pem"));
    assert!(left.is_none(), "{left:?}");
}

#[test]
fn a_secret_for_a_host_that_is_not_granted_is_said_before_anything_runs() {
    let home = Home::new();
    home.write("c.toml", "[secrets.api]\nfrom = \"env:X\"\nenv = \"API_KEY\"\nhosts = [\"api.example\"]\n");
    let run = home.cella(&["exec", "--contract", "c.toml", "--", "true"]);
    assert_eq!(run.code(), "CE2363", "{run:?}");
}
