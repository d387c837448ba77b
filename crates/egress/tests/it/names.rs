//! What a cell is told about names.

use cella_egress::Limits;

use crate::cell::Cell;

const LOOK_UP: &str = "import socket, sys\n\
    def look(name):\n\
    \x20 try: return sorted({a[4][0] for a in socket.getaddrinfo(name, 443)})\n\
    \x20 except socket.gaierror as e: return e.errno == socket.EAI_NONAME\n";

#[test]
fn only_granted_names_exist_and_their_addresses_are_made_up() {
    let grants = ["api.example:443".into(), "*.wild.example:443".into()];
    let Some(mut cell) = Cell::start(&grants, &[], Limits::default()) else { return };
    let outcome = cell.python(&format!(
        "{LOOK_UP}for n in ('api.example', 'x.wild.example', 'wild.example', 'evil.example', 'c2VjcmV0.api.example'):\n\
         \x20 print(look(n))"
    ));
    let lines: Vec<&str> = outcome.printed().lines().collect();
    assert_eq!(lines[0], "['198.18.0.2', '2001:2::1']");
    assert_eq!(lines[1], "['198.18.0.3', '2001:2::2']");
    assert_eq!(lines[2..], ["True"; 3]);
    let refused = cell.refusal("CE2301");
    assert_eq!(refused.subject.name.expect("a name").as_str(), "wild.example");
}

#[test]
fn a_query_is_answered_over_a_stream_and_to_whatever_server_it_is_sent() {
    let Some(cell) = Cell::start(&["api.example:443".into()], &[], Limits::default()) else { return };
    let outcome = cell.python(
        "import socket, struct\n\
         q = b'\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\x03api\\x07example\\0\\0\\x01\\0\\x01'\n\
         for to in ('8.8.8.8', '1.1.1.1'):\n\
         \x20 u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(10); u.connect((to, 53))\n\
         \x20 u.send(q); print(u.recv(512)[-4:].hex())\n\
         t = socket.create_connection(('8.8.8.8', 53), 10)\n\
         for _ in range(2):\n\
         \x20 t.sendall(struct.pack('>H', len(q)) + q); n = struct.unpack('>H', t.recv(2))[0]; print(t.recv(n)[-4:].hex())\n",
    );
    assert_eq!(outcome.printed(), ["c6120002"; 4].join("\n"));
}

#[test]
fn garbage_and_floods_of_queries_leave_the_next_query_answered() {
    let limits = Limits { queries_per_second: 50, ..Limits::default() };
    let Some(mut cell) = Cell::start(&["api.example:443".into()], &[], limits) else { return };
    let outcome = cell.python(&format!(
        "{LOOK_UP}import os, time\n\
         u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         for i in range(20): u.sendto(os.urandom(i * 97 % 3000), ('8.8.8.8', 53))\n\
         t = socket.create_connection(('8.8.8.8', 53), 10); t.sendall(b'\\xff\\xff' + b'x' * 100)\n\
         for i in range(2000): u.sendto(os.urandom(12), ('8.8.8.8', 53))\n\
         end = time.monotonic() + 10\n\
         while time.monotonic() < end:\n\
         \x20 found = look('api.example')\n\
         \x20 if isinstance(found, list): break\n\
         print(found)"
    ));
    assert_eq!(outcome.printed(), "['198.18.0.2', '2001:2::1']");
    cell.refusal("CE2317");
    let counts = cell.broker.as_ref().expect("a broker").counts();
    assert!(counts.unreadable_queries >= 20, "{counts:?}");
}
