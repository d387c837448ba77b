//! An OTLP collector: it takes what is posted, and keeps it for the test.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::Duration,
};

/// A collector on a port of loopback, for as long as the test runs.
#[derive(Debug)]
pub struct Collector {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub url: String,
    posted: Receiver<Posted>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Posted {
    /// `POST /v1/traces HTTP/1.1`.
    pub line: String,
    /// A protobuf message.
    pub body: Vec<u8>,
}

// === impl Collector ===

impl Collector {
    /// One that answers every request with this status line: `200 OK`.
    ///
    /// # Errors
    /// There is no free port.
    pub fn answering(status: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (tell, posted) = mpsc::channel();
        std::thread::spawn(move || {
            // ends when the test is over, which drops the other end, or when a peer speaks nonsense: then nothing comes
            let served = listener.incoming().try_for_each(|stream| serve(stream?, status, &tell));
            served.is_ok()
        });
        Ok(Self { url, posted })
    }

    /// What was posted next.
    ///
    /// # Errors
    /// Nothing came in that time.
    pub fn next(&self, within: Duration) -> Result<Posted, RecvTimeoutError> {
        self.posted.recv_timeout(within)
    }
}

/// One request of a connection; the others of it are not looked at.
fn serve(stream: TcpStream, status: &str, tell: &Sender<Posted>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")?;
    tell.send(Posted { line: first.trim().to_owned(), body }).map_err(io::Error::other)
}
