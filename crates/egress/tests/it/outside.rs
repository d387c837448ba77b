//! What a cell reaches, and what it does not.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use cella_egress::{Limits, Verdict};

use crate::cell::{Cell, grants, has, http};

#[test]
fn clients_that_know_nothing_of_a_proxy_reach_a_granted_name() {
    let port = http("hello");
    let Some(mut cell) =
        Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], Limits::default())
    else {
        return;
    };
    let url = format!("http://api.example:{port}/x");
    if has("curl") {
        assert_eq!(cell.run(&["curl", "-sS", "-m", "10", &url]).printed(), "hello");
        assert_eq!(cell.run(&["curl", "-sS", "-6", "-m", "10", &url]).printed(), "hello");
    }
    let script = format!(
        "import http.client; c = http.client.HTTPConnection('api.example', {port}, timeout=10); c.request('GET', '/'); \
         print(c.getresponse().read().decode())"
    );
    if has("python3") {
        assert_eq!(cell.python(&script).printed(), "hello");
    }
    if has("node") {
        let script = format!("fetch('{url}').then(r => r.text()).then(console.log)");
        assert_eq!(cell.run(&["node", "-e", &script]).printed(), "hello");
    }
    let opened = cell.record("an open connection", |r| matches!(r.verdict, Verdict::Opened { .. }));
    assert_eq!(opened.subject.name.expect("a name").as_str(), "api.example");
    assert_eq!(opened.subject.resolved, Some(([127, 0, 0, 1], port).into()));
    let made = opened.subject.destination.expect("a destination");
    assert!(made.to_string().starts_with("198.18.") || made.to_string().starts_with("[2001:2::"), "{made}");
    let closed = cell.record("its end", |r| matches!(r.verdict, Verdict::Closed { .. }));
    let Verdict::Closed { bytes_up, bytes_down, .. } = closed.verdict else { panic!("{closed:?}") };
    assert!(bytes_up > 30 && bytes_down > 30, "{bytes_up} {bytes_down}");
}

#[test]
fn an_address_written_out_is_reached_only_when_granted() {
    let (granted, other) = (http("own database"), http("not for you"));
    let grants = [format!("127.0.0.1:{granted}"), format!("api.example:{other}")];
    let Some(mut cell) = Cell::start(&grants, &[("api.example", "127.0.0.1")], Limits::default()) else {
        return;
    };
    let fetch = |host: &str, port: u16| {
        cell.python(&format!(
            "import http.client; c = http.client.HTTPConnection('{host}', {port}, timeout=10); c.request('GET', '/'); \
             print(c.getresponse().read().decode())"
        ))
    };
    assert_eq!(fetch("127.0.0.1", granted).printed(), "own database");
    for host in ["127.0.0.1", "203.0.113.9", "169.254.1.1", "::1", "2001:db8::9", "198.18.9.9"] {
        let outcome = fetch(host, other);
        assert_ne!(outcome.code, Some(0), "{host}: {}", outcome.out);
    }
    // the name is granted, but leads to this machine
    assert_ne!(fetch("api.example", other).code, Some(0));
    for code in ["CE2303", "CE2304", "CE2305"] {
        cell.refusal(code);
    }
}

#[test]
fn a_closed_port_and_a_datagram_go_nowhere_and_are_seen() {
    let Some(mut cell) = Cell::start(&["api.example:443".into()], &[], Limits::default()) else { return };
    let outcome = cell.python(
        "import socket\n\
         for family, to in ((socket.AF_INET, ('203.0.113.9', 8443)), (socket.AF_INET6, ('2001:db8::9', 8443))):\n\
         \x20 s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(10)\n\
         \x20 try: s.connect(to); print('connected')\n\
         \x20 except ConnectionRefusedError: print('refused')\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x' * 100, ('203.0.113.8', 123))\n",
    );
    assert_eq!(outcome.printed(), "refused\nrefused");
    let first = cell.refusal("CE2320");
    assert_eq!(first.subject.destination, Some("203.0.113.9:8443".parse().expect("an address")));
    let second = cell.refusal("CE2320");
    assert_eq!(second.subject.destination, Some("[2001:db8::9]:8443".parse().expect("an address")));
    let datagram = cell.refusal("CE2319");
    assert_eq!(datagram.subject.destination, Some("203.0.113.8:123".parse().expect("an address")));
    assert_eq!(datagram.repeats, 1, "the loopback device shows each packet twice");
}

#[test]
fn a_query_to_a_name_server_of_its_own_choice_is_seen_and_one_that_is_answered_is_not() {
    let grants = ["api.example:443".into()];
    let Some(mut cell) = Cell::asking(&["192.0.2.53:53"], &grants, &[], Limits::default(), None) else {
        return;
    };
    let outcome = cell.python(
        "import socket\n\
         q = bytes.fromhex('12340100000100000000000003617069076578616d706c650000010001')\n\
         for server in ('192.0.2.53', '8.8.8.8'):\n\
         \x20 s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect((server, 53))\n\
         \x20 s.send(q)\n\
         \x20 try: print(len(s.recv(999)) > len(q))\n\
         \x20 except ConnectionRefusedError: print('refused')",
    );
    assert_eq!(outcome.printed(), "True\nrefused");
    let datagram = cell.refusal("CE2319");
    assert_eq!(datagram.subject.destination, Some("8.8.8.8:53".parse().expect("an address")));
    assert_eq!(datagram.repeats, 1);
}

#[test]
fn a_refused_connection_is_reset_at_once() {
    let port = http("x");
    let Some(cell) = Cell::start(&[format!("api.example:{port}")], &[], Limits::default()) else { return };
    let outcome = cell.python(&format!(
        "import socket, time; t = time.monotonic()\n\
         try: s = socket.create_connection(('203.0.113.9', {port}), 10); s.recv(1); print('closed')\n\
         except ConnectionResetError: print('reset', time.monotonic() - t < 2)"
    ));
    assert_eq!(outcome.printed(), "reset True");
}

#[test]
fn an_end_of_the_broker_ends_its_connections_and_records_them() {
    let port = crate::protocols::echo();
    let Some(mut cell) =
        Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], Limits::default())
    else {
        return;
    };
    let mut client = cell.spawn(&[
        "python3",
        "-uc",
        &format!(
            "import socket; s = socket.create_connection(('api.example', {port}), 10); s.sendall(b'\\0hi'); \
             print(s.recv(9))\n\
             try: print('closed' if s.recv(9) == b'' else 'more')\n\
             except ConnectionResetError: print('closed')"
        ),
    ]);
    assert_eq!(client.line(), "b'\\x00hi'");
    drop(cell.broker.take());
    assert_eq!(client.wait().printed(), "closed");
    let closed = cell.record("its end", |r| matches!(r.verdict, Verdict::Closed { .. }));
    let Verdict::Closed { ending, bytes_up, bytes_down, .. } = closed.verdict else { panic!("{closed:?}") };
    assert_eq!((ending, bytes_up, bytes_down), (cella_egress::Ending::CellEnded, 3, 3));
}

#[test]
fn a_name_is_resolved_once_for_a_connection_and_that_address_is_dialled() {
    let port = http("hello");
    let Some(mut cell) =
        Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], Limits::default())
    else {
        return;
    };
    let outcome = cell.python(&format!(
        "import socket, http.client; socket.getaddrinfo('api.example', {port})\n\
         for _ in range(3):\n\
         \x20 c = http.client.HTTPConnection('api.example', {port}, timeout=10); c.request('GET', '/')\n\
         \x20 print(c.getresponse().read().decode())"
    ));
    assert_eq!(outcome.printed(), "hello\nhello\nhello");
    assert_eq!(cell.asked.load(Ordering::Relaxed), 3, "queries of the cell must not be passed on");
    cell.record("a connection", |r| r.subject.resolved == Some(([127, 0, 0, 1], port).into()));
}

#[test]
fn inner_addresses_of_a_name_are_left_out_and_the_others_used() {
    let port = http("hello");
    let names =
        [("api.example", "10.9.9.9"), ("api.example", "169.254.169.254"), ("api.example", "127.0.0.1")];
    let Some(cell) = Cell::start(&grants("api.example", port), &names, Limits::default()) else { return };
    let outcome = cell.python(&format!(
        "import http.client; c = http.client.HTTPConnection('api.example', {port}, timeout=10); c.request('GET', '/')\n\
         print(c.getresponse().read().decode())"
    ));
    assert_eq!(outcome.printed(), "hello");
}

#[test]
fn a_broker_that_closes_lets_connections_end_and_takes_no_more() {
    let port = crate::protocols::echo();
    let Some(mut cell) =
        Cell::start(&grants("api.example", port), &[("api.example", "127.0.0.1")], Limits::default())
    else {
        return;
    };
    let mut client = cell.spawn(&[
        "python3",
        "-uc",
        &format!(
            "import socket; s = socket.create_connection(('api.example', {port}), 10); s.sendall(b'\\0one'); s.recv(9)\n\
             print('open'); refused = False\n\
             while not refused:\n\
             \x20 try: socket.create_connection(('198.18.0.2', {port}), 10).recv(1)\n\
             \x20 except OSError: refused = True\n\
             s.sendall(b'two'); print(s.recv(9))"
        ),
    ]);
    assert_eq!(client.line(), "open");
    let broker = cell.broker.take().expect("a broker");
    let start = Instant::now();
    cell.runtime.block_on(broker.close(Duration::from_secs(60)));
    assert!(start.elapsed() < Duration::from_secs(50), "nothing was left to wait for");
    assert_eq!(client.wait().printed(), "b'two'");
}
