//! A server that speaks HTTP inside its cell.

use std::net::TcpStream;

use super::home::Home;

/// Listens on a port of its loopback, later than its start, and says which user runs it.
const SERVER: &str = r#"import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
time.sleep(float(sys.argv[2]))
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        ask = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method = ask.get("method")
        answers = {
            "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "h", "version": "1"}},
            "tools/list": {"tools": [{"name": "uid", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": "uid " + str(os.getuid()) + " " + self.path}]},
        }
        if "id" not in ask:
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = {"jsonrpc": "2.0", "id": ask["id"]}
        if method in answers:
            body["result"] = answers[method]
        else:
            body["error"] = {"code": -32601, "message": "no such method"}
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("printed, and no protocol", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

/// Above what the kernel gives out by itself, so that nobody else on the machine listens there by chance.
const PORT: u16 = 61_733;

fn home(wait: &str, more: &str) -> Home {
    let home = Home::new();
    let script = home.write("server.py", SERVER);
    home.write(
        ".config/cella/cella.toml",
        &format!(
            "[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.web]\ncommand = \"python3\"\n\
             args = [\"{}\", \"{PORT}\", \"{wait}\"]\nport = {PORT}\n{more}\n",
            script.display()
        ),
    );
    home
}

#[test]
fn a_port_within_a_cell_is_reached_by_the_node_and_by_nobody_else() {
    let home = home("0.5", "path = \"/tools\"");
    let node = home.up();
    let call = home.cella(&["call", "web", "uid"]);
    assert!(call.out.contains("uid 1000 /tools"), "{call:?}");
    assert!(TcpStream::connect(("127.0.0.1", PORT)).is_err(), "the port is open outside of the cell");
    let status = home.cella(&["status", "--json"]).out;
    assert!(status.contains("printed, and no protocol"), "{status}");
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_program_that_never_listens_is_an_error_that_says_so() {
    let home = home("1000", "start_timeout = \"3s\"");
    let node = home.up();
    let call = home.cella(&["call", "web", "uid"]);
    assert!(call.status != 0 && call.err.contains(&format!("port {PORT} of its cell")), "{call:?}");
    assert_eq!(node.stop(), 0);
}
