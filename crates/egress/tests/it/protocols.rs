//! Whom a client must speak for, whatever it speaks.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    time::Duration,
};

use cella_egress::{Ending, Limits, Verdict};

use crate::cell::{Cell, grants, has, http, serve};

/// A server that sends back what it gets, and ends when its client has said all.
pub(crate) fn echo() -> u16 {
    serve(|stream| {
        let _ = std::io::copy(&mut &stream, &mut &stream);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    })
}

fn cell(port: u16) -> Option<Cell> {
    Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], Limits::default())
}

/// Python: `s` is connected to the granted name.
fn connected(port: u16) -> String {
    format!("import socket; s = socket.create_connection(('api.example', {port}), 10)\n")
}

#[test]
fn a_request_for_another_host_is_refused() {
    let port = http("hello");
    let Some(mut cell) = cell(port) else { return };
    if !has("curl") {
        return;
    }
    let url = format!("http://api.example:{port}/");
    let fronted = cell.run(&["curl", "-sS", "-m", "10", "-H", "Host: evil.example", &url]);
    assert_ne!(fronted.code, Some(0), "{}", fronted.out);
    let through = cell.run(&["curl", "-sS", "-m", "10", "-p", "-x", &url, "https://203.0.113.9/"]);
    assert_ne!(through.code, Some(0), "{}", through.out);
    let http2 = cell.run(&["curl", "-sS", "-m", "10", "--http2-prior-knowledge", &url]);
    assert_ne!(http2.code, Some(0), "{}", http2.out);
    cell.refusal("CE2310");
    cell.refusal("CE2310");
    cell.refusal("CE2312");
    assert_eq!(cell.run(&["curl", "-sS", "-m", "10", &url]).printed(), "hello");
}

#[test]
pub(crate) fn a_hello_for_another_server_is_refused() {
    if !has("curl") || Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("cella-egress-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = |name: &str| dir.join(name).display().to_string();
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
        .args(["-subj", "/CN=api.example", "-addext", "subjectAltName=DNS:api.example"])
        .args(["-keyout", &path("key"), "-out", &path("certificate")])
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-www", "-accept", &format!("127.0.0.1:{free}")])
        .args(["-key", &path("key"), "-cert", &path("certificate")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let mut ready = [0; 6];
    let _ = server.stdout.as_mut().expect("piped").read_exact(&mut ready);
    if let Some(mut cell) = cell(free) {
        let certificate = path("certificate");
        let fetch = |args: &[&str]| {
            let fixed = ["curl", "-sS", "-m", "10", "--cacert", &certificate];
            cell.run(&[&fixed[..], args].concat())
        };
        let own = format!("https://api.example:{free}/");
        assert!(fetch(&[&own]).printed().contains("s_server"));
        // the granted address, the neighbour's name
        let made_up =
            cell.python("import socket; print(socket.gethostbyname('api.example'))").printed().to_owned();
        let evil = format!("https://evil.example:{free}/");
        let fronted = fetch(&["-k", "--resolve", &format!("evil.example:{free}:{made_up}"), &evil]);
        assert_ne!(fronted.code, Some(0), "{}", fronted.out);
        let unnamed = fetch(&["-k", &format!("https://{made_up}:{free}/")]);
        assert_ne!(unnamed.code, Some(0), "{}", unnamed.out);
        cell.refusal("CE2308");
        cell.refusal("CE2307");
    }
    let _ = server.kill();
    let _ = server.wait();
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn two_granted_names_do_not_speak_for_each_other() {
    let port = http("hello");
    let grants = [grants("a.example", port), grants("b.example", port)].concat();
    let names = [("a.example", "127.0.0.1"), ("b.example", "127.0.0.1")];
    let Some(mut cell) = Cell::start(&grants, &names, Limits::default()) else { return };
    let outcome = cell.python(&format!(
        "import http.client\n\
         for to, host in (('a.example', 'a.example'), ('a.example', 'b.example')):\n\
         \x20 c = http.client.HTTPConnection(to, {port}, timeout=10)\n\
         \x20 try: c.request('GET', '/', headers={{'Host': host + ':{port}'}}); print(c.getresponse().read().decode())\n\
         \x20 except OSError: print('refused')"
    ));
    assert_eq!(outcome.printed(), "hello\nrefused");
    cell.refusal("CE2310");
}

#[test]
fn a_server_that_speaks_first_is_heard() {
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"220 mail.example\r\n");
        let mut line = [0; 6];
        let _ = stream.read_exact(&mut line);
        let _ = stream.write_all(b"250 fine\r\n");
    });
    let Some(cell) = cell(port) else { return };
    let outcome = cell.python(&format!(
        "{}print(s.recv(99)); s.sendall(b'HELO\\r\\n'); print(s.recv(99))",
        connected(port)
    ));
    assert_eq!(outcome.printed(), "b'220 mail.example\\r\\n'\nb'250 fine\\r\\n'");
}

#[test]
fn who_waits_and_then_speaks_for_another_host_is_refused_all_the_same() {
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"dialled");
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert!(heard.is_empty(), "the server heard {heard:?}");
    });
    let Some(mut cell) = cell(port) else { return };
    let outcome = cell.python(&format!(
        "{}print(s.recv(99))\n\
         try: s.sendall(b'GET / HTTP/1.1\\r\\nHost: evil.example\\r\\n\\r\\n'); print(s.recv(99))\n\
         except ConnectionResetError: print('reset')",
        connected(port)
    ));
    assert_eq!(outcome.printed(), "b'dialled'\nreset");
    let closed = cell.record("its end", |r| matches!(r.verdict, Verdict::Closed { .. }));
    let Verdict::Closed { ending: Ending::Denied(denial), bytes_up, .. } = closed.verdict else {
        panic!("{closed:?}")
    };
    assert_eq!((denial.code(), bytes_up), ("CE2310", 0));
}

#[test]
fn each_side_may_stop_talking_before_the_other() {
    let port = echo();
    let Some(cell) = cell(port) else { return };
    let outcome = cell.python(&format!(
        "{}import threading\n\
         data = b'\\0' + bytes(range(256)) * 40000\n\
         def send(): s.sendall(data); s.shutdown(socket.SHUT_WR)\n\
         t = threading.Thread(target=send); t.start(); got = bytearray()\n\
         while True:\n\
         \x20 part = s.recv(1 << 20)\n\
         \x20 if not part: break\n\
         \x20 got += part\n\
         print(bytes(got) == data)",
        connected(port)
    ));
    assert_eq!(outcome.printed(), "True");
}

#[test]
fn a_connection_on_which_nothing_happens_is_ended() {
    let port = echo();
    let limits = Limits { idle_time: Duration::from_millis(300), ..Limits::default() };
    let grants = grants("api.example", port);
    let Some(mut cell) = Cell::start(&grants, &[("api.example", "127.0.0.1")], limits) else { return };
    let outcome = cell.python(&format!(
        "{}s.sendall(b'\\0'); s.recv(1)\n\
         try: s.recv(1); print('closed')\n\
         except ConnectionResetError: print('reset')",
        connected(port)
    ));
    assert_eq!(outcome.printed(), "reset");
    let is_idle =
        |r: &cella_egress::Record| matches!(r.verdict, Verdict::Closed { ending: Ending::Idle, .. });
    cell.record("an idle end", is_idle);
}

#[test]
fn a_server_that_is_not_there_looks_like_a_reset_and_is_recorded() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let Some(mut cell) = cell(free) else { return };
    let outcome = cell.python(&format!(
        "{}\ntry: s.sendall(b'\\0'); s.recv(1); print('closed')\nexcept ConnectionResetError: print('reset')",
        connected(free)
    ));
    assert_eq!(outcome.printed(), "reset");
    cell.record(
        "the failure",
        |r| matches!(&r.verdict, Verdict::Closed { ending, .. } if ending.code() == Some("CE2323")),
    );
}
