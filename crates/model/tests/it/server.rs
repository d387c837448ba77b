//! A provider of bytes: what it writes and when is the script's, whatever HTTP says.

use std::time::Duration;

use cella_dialogue::Wire;
use cella_model::Provider;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// What it does for one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Write(&'static str),
    /// Then nothing, for ever.
    Stall,
}

/// Serves one request, and hands over what it was asked.
pub(crate) async fn serve(wire: Wire, acts: Vec<Act>) -> (Provider, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (told, asked) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _nobody_asks = told.send(request(&mut stream).await);
        for act in acts {
            match act {
                Act::Write(text) => {
                    // A client that left is the point of some tests.
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                    stream.flush().await.expect("flushed");
                }
                Act::Stall => tokio::time::sleep(Duration::from_secs(3600)).await,
            }
        }
    });
    (Provider::at("p", wire, &format!("http://127.0.0.1:{port}/v1")).expect("a URL"), asked)
}

async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let got = stream.read(&mut chunk).await.expect("a request");
        bytes.extend_from_slice(&chunk[..got]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or_default() {
                return text;
            }
        }
    }
}
