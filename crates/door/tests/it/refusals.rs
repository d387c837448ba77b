use serde_json::json;

use super::{
    scripted::House,
    wire::{Client, Modern},
};

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused_before_anything_else() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let reply = http.ask("POST", "/mcp", &[("host", "evil.example"), ("authorization", "-")], "{}").await;
    assert_eq!((reply.status(), reply.ce()), (403, "CE3050".into()));
    let reply = http.ask("POST", "/mcp", &[("origin", "http://evil.example")], "{}").await;
    assert_eq!((reply.status(), reply.ce()), (403, "CE3051".into()));
    let reply = http.ask("GET", "/livez", &[("host", "evil.example")], "").await;
    assert_eq!(reply.status(), 403);
    let reply = http.ask("GET", "http://localhost/livez", &[("host", "evil.example")], "").await;
    assert_eq!(reply.status(), 403);
    assert_eq!(http.ask("GET", "http://localhost/livez", &[], "").await.status(), 200);
    let own = format!("http://localhost:{}", house.address.port());
    assert_eq!(http.ask("GET", "/livez", &[("origin", &own)], "").await.status(), 200);
}

#[tokio::test]
async fn without_a_token_nothing_is_read_and_the_challenge_is_told() {
    let house = House::open().await;
    let reply = house.connect().await.ask("POST", "/mcp", &[("authorization", "-")], "not json").await;
    assert_eq!(reply.status(), 401);
    assert_eq!(reply.head.header("www-authenticate"), Some("Bearer realm=\"cella\""));
}

#[tokio::test]
async fn whoever_is_not_admitted_reaches_no_path_at_all() {
    let house = House::open().await;
    let mut http = house.connect().await;
    for path in [
        "/mcp",
        "/mcp/servers/one",
        "/mcp/servers/none",
        "/mcp/views/v",
        "/sse",
        "/servers/one/sse",
        "/messages?sessionId=1",
        "/",
        "/metrics",
        "/admin/x",
        "/livez/",
        "/livezx",
        "//livez",
        "/%6Civez",
        "/admin/../livez",
    ] {
        for (method, token) in [("GET", "-"), ("POST", "-"), ("DELETE", "Bearer wrong"), ("PUT", "-")] {
            let reply = http.ask(method, path, &[("authorization", token)], "").await;
            assert_eq!(reply.status(), 401, "{method} {path}");
            assert_eq!(reply.head.header("www-authenticate"), Some("Bearer realm=\"cella\""));
        }
    }
    assert_eq!(*house.service.others.borrow(), 0);
}

#[tokio::test]
async fn the_services_own_paths_learn_who_asks() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let reply = http.ask("POST", "/admin/x", &[], "abc").await;
    assert_eq!(String::from_utf8(reply.body).unwrap(), "POST /admin/x token:default 3");
    let reply = http.ask("GET", "/livez", &[("authorization", "-")], "").await;
    assert_eq!(String::from_utf8(reply.body).unwrap(), "GET /livez public 0");
}

#[tokio::test]
async fn bodies_are_bounded_typed_and_decoded_strictly() {
    let house = House::with(|o| o.limits.body = 1000).await;
    let mut http = house.connect().await;
    let reply = http.ask("POST", "/mcp", &[("content-type", "text/plain")], "{}").await;
    assert_eq!((reply.status(), reply.ce()), (415, "CE3054".into()));
    let reply = http.ask("POST", "/mcp", &[("accept", "text/html")], "{}").await;
    assert_eq!((reply.status(), reply.ce()), (406, "CE3055".into()));
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("\u{0}", -32700),
        ("{}", -32600),
        ("null", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#, -32600),
    ] {
        let reply = http.ask("POST", "/mcp", &[], body).await;
        assert_eq!((reply.status(), reply.code()), (400, code), "{body}");
    }
    let reply = http.ask("POST", "/mcp", &[], &"[".repeat(900)).await;
    assert_eq!(reply.status(), 400);
    let reply = house.connect().await.ask("POST", "/mcp", &[], &"x".repeat(1001)).await;
    assert_eq!((reply.status(), reply.ce()), (413, "CE3052".into()));
}

#[tokio::test]
async fn a_chunked_body_past_the_limit_is_refused_too() {
    let house = House::with(|o| o.limits.body = 1000).await;
    let mut http = house.connect().await;
    http.send("POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer s3cret\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    http.send(format!("{chunk}{chunk}0\r\n\r\n")).await;
    assert_eq!(http.reply().await.status(), 413);
}

#[tokio::test]
async fn hostile_bytes_end_in_a_refusal_or_a_closed_connection() {
    let house = House::open().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: \x00\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut http = house.connect().await;
        http.send(bytes).await;
        tokio::io::AsyncWriteExt::shutdown(&mut http.stream).await.unwrap();
        assert!(http.is_closed().await);
    }
    let mut http = house.connect().await;
    http.send(format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024))).await;
    assert!(matches!(http.head().await.status, 400 | 431));
    // and the doors still work
    let reply = Modern::call(1, "echo").ask(&mut house.connect().await).await;
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn methods_without_meaning_are_405() {
    let house = House::open().await;
    let mut http = house.connect().await;
    for (method, path, allow) in [
        ("PUT", "/mcp", "GET, POST, DELETE"),
        ("POST", "/sse", "GET"),
        ("GET", "/messages", "POST"),
        ("DELETE", "/mcp", "POST"),
    ] {
        let reply = http.ask(method, path, &[], "").await;
        assert_eq!((reply.status(), reply.head.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    let modern = [("mcp-protocol-version", "2026-07-28")];
    assert_eq!(http.ask("GET", "/mcp", &modern, "").await.status(), 405);
}

#[tokio::test]
async fn an_unknown_endpoint_is_404_in_both_eras() {
    let house = House::open().await;
    let mut http = house.connect().await;
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}});
    let reply = http.ask("POST", "/mcp/servers/two", &[], &body.to_string()).await;
    assert_eq!((reply.status(), reply.ce()), (404, "CE3056".into()));
    let modern = Modern::new(1, "tools/list", json!({}));
    let headers: Vec<_> = modern.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let reply = http.ask("POST", "/mcp/views/none", &headers, &modern.body.to_string()).await;
    assert_eq!((reply.status(), reply.ce()), (404, "CE3056".into()));
}

#[tokio::test]
async fn a_request_without_session_or_revision_is_told_what_is_missing() {
    let house = House::open().await;
    let body = Client::call(1, "echo").to_string();
    let mut http = house.connect().await;
    let reply = http.ask("POST", "/mcp", &[], &body).await;
    assert_eq!((reply.status(), reply.ce()), (400, "CE3058".into()));
    assert_eq!(reply.json()["id"], 1);
    let reply = http.ask("POST", "/mcp", &[("mcp-session-id", "nonsense")], &body).await;
    assert_eq!((reply.status(), reply.ce()), (404, "CE3059".into()));
    let reply = http.ask("POST", "/mcp", &[("mcp-protocol-version", "1999-01-01")], &body).await;
    assert_eq!((reply.status(), reply.ce()), (400, "CE3057".into()));
}
