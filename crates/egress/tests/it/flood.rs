//! Whatever a cell does, its broker goes on.

use std::time::{Duration, Instant};

use cella_egress::{Limits, Verdict};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cell::{Cell, grants, http};

#[test]
fn after_a_flood_of_connections_an_allowed_one_is_served() {
    let port = http("still here");
    let limits = Limits { connections: 32, connections_per_second: 1000, ..Limits::default() };
    let Some(mut cell) = Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], limits)
    else {
        return;
    };
    let outcome = cell.python(&format!(
        "import http.client, resource, socket, time\n\
         resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n\
         held = []\n\
         for i in range(2000):\n\
         \x20 s = socket.socket(); s.setblocking(False); s.connect_ex(('203.0.113.9' if i % 2 else '198.18.0.2', {port}))\n\
         \x20 held.append(s)\n\
         for s in held: s.close()\n\
         end = time.monotonic() + 20; body = None\n\
         while time.monotonic() < end and body is None:\n\
         \x20 try:\n\
         \x20  c = http.client.HTTPConnection('api.example', {port}, timeout=5); c.request('GET', '/')\n\
         \x20  body = c.getresponse().read().decode()\n\
         \x20 except OSError: time.sleep(0.05)\n\
         print(body)"
    ));
    assert_eq!(outcome.printed(), "still here");
    cell.refusal("CE2314");
}

#[test]
fn who_says_a_byte_at_a_time_is_cut_off_and_others_are_not() {
    let port = http("hello");
    let limits = Limits { opening_time: Duration::from_millis(500), ..Limits::default() };
    let Some(mut cell) = Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], limits)
    else {
        return;
    };
    let outcome = cell.python(&format!(
        "import http.client, socket, time\n\
         slow = [socket.create_connection(('api.example', {port}), 10) for _ in range(20)]\n\
         for s in slow: s.sendall(b'GET / HTTP/1.1\\r\\nX:')\n\
         c = http.client.HTTPConnection('api.example', {port}, timeout=5); c.request('GET', '/')\n\
         print(c.getresponse().read().decode())\n\
         cut = 0\n\
         for s in slow:\n\
         \x20 try: s.recv(1)\n\
         \x20 except ConnectionResetError: cut += 1\n\
         print(cut)"
    ));
    assert_eq!(outcome.printed(), "hello\n20");
    cell.refusal("CE2313");
}

#[test]
fn no_more_than_allowed_is_carried_off() {
    let port = crate::protocols::echo();
    let limits = Limits { bytes_up: Some(1_000_000), ..Limits::default() };
    let Some(mut cell) = Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], limits)
    else {
        return;
    };
    let outcome = cell.python(&format!(
        "import socket, threading\n\
         s = socket.create_connection(('api.example', {port}), 10)\n\
         def read():\n\
         \x20 try:\n\
         \x20  while s.recv(65536): pass\n\
         \x20 except OSError: pass\n\
         threading.Thread(target=read).start()\n\
         try: s.sendall(b'\\0' * 20_000_000); print('sent')\n\
         except OSError: print('cut off')"
    ));
    assert_eq!(outcome.printed(), "cut off");
    let closed = cell.record("its end", |r| matches!(r.verdict, Verdict::Closed { .. }));
    let Verdict::Closed { bytes_up, .. } = closed.verdict else { panic!("{closed:?}") };
    assert!(bytes_up <= 1_000_000, "{bytes_up}");
}

#[test]
fn a_flood_of_refusals_is_counted_and_not_recorded_one_by_one() {
    let port = http("x");
    let limits = Limits { connections_per_second: 5000, ..Limits::default() };
    let Some(mut cell) = Cell::start(&[format!("api.example:{port}")], &[], limits) else { return };
    let outcome = cell.python(&format!(
        "import socket\n\
         for _ in range(500):\n\
         \x20 try: s = socket.create_connection(('203.0.113.9', {port}), 10); s.recv(1)\n\
         \x20 except OSError: pass\n\
         print('done')"
    ));
    assert_eq!(outcome.printed(), "done");
    let (mut records, mut counted) = (0, 0);
    while counted < 500 {
        let record = cell.refusal("CE2303");
        records += 1;
        counted += record.repeats;
    }
    assert_eq!(counted, 500);
    assert!(records < 20, "{records} records");
}

/// Descriptors are counted for a whole process, so this one runs in its own.
#[test]
fn without_a_descriptor_left_the_broker_waits_and_serves_again() {
    const ALONE: &str = "CELLA_EGRESS_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "flood::without_a_descriptor_left_the_broker_waits_and_serves_again";
        let own = std::env::current_exe().expect("a path");
        let alone = std::process::Command::new(own).args(["--exact", name]).env(ALONE, "1").output();
        let alone = alone.expect("the test alone");
        assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
        return;
    }
    let port = crate::protocols::echo();
    let Some(cell) =
        Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], Limits::default())
    else {
        return;
    };
    let mut client = cell.spawn(&[
        "python3",
        "-uc",
        &format!(
            "import socket, sys, time\n\
             held = []\n\
             for _ in range(80):\n\
             \x20 s = socket.socket(); s.settimeout(10)\n\
             \x20 try: s.connect(('198.18.0.2', {port})); s.sendall(b'\\0'); held.append(s)\n\
             \x20 except OSError: pass\n\
             print('flooded'); sys.stdin.read()\n\
             for s in held: s.close()\n\
             end = time.monotonic() + 30; got = None\n\
             while time.monotonic() < end and got != b'\\0hi':\n\
             \x20 try: s = socket.create_connection(('198.18.0.2', {port}), 5); s.sendall(b'\\0hi'); got = s.recv(9)\n\
             \x20 except OSError: time.sleep(0.1)\n\
             print(got)"
        ),
    ]);
    let open = std::fs::read_dir("/proc/self/fd").expect("descriptors").count() as u64;
    let few = Rlimit { current: Some(open + 20), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, few).expect("a limit");
    assert_eq!(client.line(), "flooded");
    let failures = || cell.broker.as_ref().expect("a broker").counts().accept_failures;
    let end = Instant::now() + Duration::from_secs(20);
    while failures() == 0 && Instant::now() < end {
        std::thread::yield_now();
    }
    assert!(failures() > 0);
    assert_eq!(client.wait().printed(), "b'\\x00hi'");
}
