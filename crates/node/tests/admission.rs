//! Who gets an answer from a running node, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{path::Path, time::Duration};

use cella_node::{Options, Places, Running, start};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

/// Everything that tells what the node did or does.
const CLOSED: [&str; 9] = [
    "/metrics",
    "/api/v1/status",
    "/api/v1/node",
    "/api/v1/log/tail",
    "/api/v1/log/export?payloads=1",
    "/api/v1/log/follow",
    "/mcp",
    "/sse",
    "/nowhere",
];
const OPEN: [&str; 4] = ["/livez", "/readyz", "/healthz", "/version"];

async fn node(dir: &Path) -> Running {
    let places = Places {
        config: dir.join("cella.toml"),
        state: dir.join("state"),
        store: dir.join("store"),
        socket: dir.join("run/cella.sock"),
    };
    std::fs::write(&places.config, "").unwrap();
    let mut options = Options::new(places);
    options.listen = Some("127.0.0.1:0".into());
    start(options).await.unwrap()
}

fn address(node: &Running) -> String {
    node.url().strip_prefix("http://").and_then(|rest| rest.strip_suffix("/mcp")).unwrap().to_owned()
}

/// The head of the answer to a request with these header lines.
async fn ask(mut io: impl AsyncRead + AsyncWrite + Unpin, method: &str, path: &str, lines: &str) -> String {
    let request =
        format!("{method} {path} HTTP/1.1\r\n{lines}content-length: 0\r\nconnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    let read = async {
        while !head.windows(4).any(|w| w == b"\r\n\r\n") && io.read_buf(&mut head).await.unwrap() > 0 {}
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    String::from_utf8_lossy(&head).to_lowercase()
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn on_tcp_only_health_is_for_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).await;
    let address = address(&node);
    let knock = async |method: &str, path: &str, lines: &str| {
        ask(TcpStream::connect(&address).await.unwrap(), method, path, lines).await
    };
    for path in CLOSED {
        for method in ["GET", "POST", "HEAD", "DELETE"] {
            for token in ["", "authorization: Bearer wrong\r\n", "authorization: Basic eDp5\r\n"] {
                let head = knock(method, path, &format!("host: localhost\r\n{token}")).await;
                assert_eq!(status(&head), 401, "{method} {path} {token}");
                assert!(head.contains("\r\nwww-authenticate: bearer"), "{head}");
            }
        }
    }
    for path in OPEN {
        assert_eq!(status(&knock("GET", path, "host: localhost\r\n").await), 200, "{path}");
    }
    let token = std::fs::read_to_string(node.token_file()).unwrap();
    let known = format!("host: localhost\r\nauthorization: Bearer {}\r\n", token.trim());
    assert_eq!(status(&knock("GET", "/metrics", &known).await), 200);
    assert_eq!(status(&knock("GET", "/api/v1/status", &known).await), 200);
    assert!(node.drain().await);
}

#[tokio::test]
async fn names_are_checked_before_every_path_even_with_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).await;
    let address = address(&node);
    let token = std::fs::read_to_string(node.token_file()).unwrap();
    let token = format!("authorization: Bearer {}\r\n", token.trim());
    for path in CLOSED.iter().chain(&OPEN) {
        for names in ["host: evil.example\r\n", "host: localhost\r\norigin: http://evil.example\r\n"] {
            let lines = format!("{names}{token}");
            let head = ask(TcpStream::connect(&address).await.unwrap(), "GET", path, &lines).await;
            assert_eq!(status(&head), 403, "{path} {names}");
        }
    }
    assert!(node.drain().await);
}

#[tokio::test]
async fn the_owner_needs_no_token_on_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).await;
    for path in ["/metrics", "/api/v1/status", "/livez"] {
        let io = UnixStream::connect(node.socket()).await.unwrap();
        assert_eq!(status(&ask(io, "GET", path, "host: x\r\n").await), 200, "{path}");
    }
    assert!(node.drain().await);
}
