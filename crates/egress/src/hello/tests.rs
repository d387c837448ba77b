use cella_contract::DomainName;
use proptest::prelude::{any, proptest};

use super::{Opening, read};
use crate::denial::Denial;

/// A hello as curl with OpenSSL sends it, shortened to what is needed.
fn hello(server: Option<&str>) -> Vec<u8> {
    let sized = |width: usize, body: Vec<u8>| {
        let length = body.len().to_be_bytes();
        [length[length.len() - width..].to_vec(), body].concat()
    };
    let extension = |kind: u16, body: Vec<u8>| [kind.to_be_bytes().to_vec(), sized(2, body)].concat();
    let mut extensions = extension(13, sized(2, vec![4, 3, 8, 4]));
    extensions.extend(extension(43, sized(1, vec![3, 4, 3, 3])));
    if let Some(server) = server {
        let entry = [vec![0], sized(2, server.as_bytes().to_vec())].concat();
        extensions.extend(extension(0, sized(2, entry)));
    }
    let body = [
        vec![3, 3],
        vec![7; 32],
        sized(1, vec![9; 32]),
        sized(2, vec![0x13, 1, 0xc0, 0x2f]),
        sized(1, vec![0]),
        sized(2, extensions),
    ]
    .concat();
    let handshake = [vec![1], sized(3, body)].concat();
    [vec![22, 3, 1], sized(2, handshake)].concat()
}

fn verdict(bytes: &[u8], name: &str, port: u16) -> Result<(), &'static str> {
    let name = DomainName::parse(name).expect(name);
    read(bytes).must_be_for(&name, port).map_err(|denial| denial.code())
}

#[test]
fn a_hello_must_be_for_the_name_that_was_asked_for() {
    assert_eq!(read(&hello(Some("api.example"))), Opening::Tls { name: Some("api.example".into()) });
    assert_eq!(verdict(&hello(Some("API.example")), "api.example", 443), Ok(()));
    assert_eq!(verdict(&hello(Some("evil.example")), "api.example", 443), Err("CE2308"));
    assert_eq!(verdict(&hello(None), "api.example", 443), Err("CE2307"));
}

#[test]
fn a_hello_in_pieces_is_waited_for_and_read_in_every_cut() {
    let whole = hello(Some("api.example"));
    for cut in 1..whole.len() {
        assert_eq!(read(&whole[..cut]), Opening::Incomplete, "{cut}");
    }
    // the same message in two TLS records
    let (head, body) = whole.split_at(5);
    let (one, two) = body.split_at(20);
    let record =
        |part: &[u8]| [&head[..3], &u16::try_from(part.len()).expect("short").to_be_bytes(), part].concat();
    assert_eq!(verdict(&[record(one), record(two)].concat(), "api.example", 443), Ok(()));
}

#[test]
fn what_begins_as_tls_and_is_not_is_refused() {
    let mut bytes = hello(Some("api.example"));
    bytes[5] = 2;
    assert_eq!(verdict(&bytes, "api.example", 443), Err("CE2311"));
}

#[test]
fn a_request_must_be_for_the_name_that_was_asked_for() {
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", Ok(())),
        ("GET / HTTP/1.1\r\nhost:API.example:80\r\n\r\n", Ok(())),
        ("GET / HTTP/1.1\r\nHost: api.example.\r\n\r\n", Ok(())),
        ("get / http/1.1\r\nHost: api.example\r\n\r\n", Err("CE2311")),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", Err("CE2310")),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", Err("CE2310")),
        ("GET / HTTP/1.1\nHost: evil.example\n\n", Err("CE2310")),
        ("GET / HTTP/1.1\r\nHost: api.example:8080\r\n\r\n", Err("CE2310")),
        ("GET / HTTP/1.1\r\nHost: api.example@evil.example\r\n\r\n", Err("CE2310")),
        ("GET / HTTP/1.1\r\nHost: api.example\r\nHost: evil.example\r\n\r\n", Err("CE2309")),
        ("GET / HTTP/1.0\r\n\r\n", Err("CE2309")),
        ("GET http://api.example/x HTTP/1.1\r\nHost: api.example\r\n\r\n", Ok(())),
        ("GET http://evil.example/x HTTP/1.1\r\nHost: api.example\r\n\r\n", Err("CE2310")),
        ("GET http://api.example@evil.example/ HTTP/1.1\r\nHost: api.example\r\n\r\n", Err("CE2310")),
        ("CONNECT 203.0.113.9:443 HTTP/1.1\r\nHost: api.example\r\n\r\n", Err("CE2310")),
        ("OPTIONS * HTTP/1.1\r\nHost: api.example\r\n\r\n", Ok(())),
        ("GET / HTTP/1.1\r\nHost : api.example\r\n\r\n", Err("CE2311")),
        ("GET / HTTP/3.1\r\nHost: api.example\r\n\r\n", Err("CE2311")),
        ("GET /\u{1} HTTP/1.1\r\nHost: evil.example\r\n\r\n", Err("CE2311")),
        ("GET\u{b}/\u{b}HTTP/1.1\r\nHost: evil.example\r\n\r\n", Err("CE2311")),
        (" GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", Err("CE2311")),
        ("GET /\u{1}", Err("CE2313")),
        (" \u{b}GET\u{b}/\u{1}", Err("CE2313")),
        (
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            Err("CE2311"),
        ),
        ("\r\n\r\n\0\r\nQUIT\n", Err("CE2311")),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err("CE2312")),
        ("GET / HTTP/1.1\r\nHost: api.exam", Err("CE2313")),
    ] {
        assert_eq!(verdict(request.as_bytes(), "api.example", 80), expected, "{request:?}");
    }
}

#[test]
fn other_protocols_pass() {
    for bytes in [
        &b"\0\0\0\x08\x04\xd2\x16\x2f"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"EHLO client.example\r\n",
        b"AMQP\0\0\x09\x01",
        b"0032git-upload-pack /x\0host=x\0",
    ] {
        assert_eq!(read(bytes), Opening::Opaque, "{bytes:?}");
    }
    assert_eq!(read(b"PING"), Opening::Incomplete);
    assert_eq!(read(b""), Opening::Incomplete);
}

#[test]
fn a_foreign_name_is_kept_short_and_printable() {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "\u{1b}[31m".repeat(90));
    let name = DomainName::parse("api.example").expect("a name");
    match read(request.as_bytes()).must_be_for(&name, 80) {
        Err(Denial::Host { got, .. }) => assert!(got.len() < 1500 && got.chars().all(|c| !c.is_control())),
        Err(Denial::Opening) => {}
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in any::<Vec<u8>>(), at in 0_usize..200, byte in any::<u8>()) {
        let name = DomainName::parse("api.example").expect("a name");
        let mut near = hello(Some("api.example"));
        let at = at % near.len();
        near[at] = byte;
        let tls = [&[22, 3, 1][..], &bytes].concat();
        for bytes in [&bytes, &near, &tls] {
            let _ = read(bytes).must_be_for(&name, 443);
        }
    }
}
