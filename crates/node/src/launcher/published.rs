//! A program that speaks HTTP inside its cell. Its port exists nowhere but there: the node connects through the cell, and
//! nobody else on the machine can.

use std::{
    io::{self, ErrorKind},
    sync::Weak,
    time::{Duration, Instant},
};

use cella_cell::{Handle, StderrTail};
use cella_contract::{CellEndpoint, Transport};
use cella_link::{Endpoint, Wire};
use cella_transport::net::{Dial, Dialer, Dialled};
use tokio::net::unix::pipe;

/// Pause between two tries to connect while the program starts.
const PAUSE: Duration = Duration::from_millis(50);

/// A port within a cell.
struct Published {
    cell: Weak<Handle>,
    port: u16,
    /// Until then nobody listening means that it is still starting.
    starting_until: Instant,
}

impl Dial for Published {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async move {
            loop {
                let cell = self.cell.upgrade().filter(|cell| cell.exit().is_none());
                let cell =
                    cell.ok_or_else(|| io::Error::new(ErrorKind::NotConnected, "its program ended"))?;
                match cell.connect(self.port).await {
                    Err(e)
                        if e.kind() == ErrorKind::ConnectionRefused
                            && Instant::now() < self.starting_until =>
                    {
                        drop(cell);
                        tokio::time::sleep(PAUSE).await;
                    }
                    done => return done,
                }
            }
        })
    }
}

/// The wire to a program whose start has begun and may take so long.
pub(super) fn wire(
    cell: Weak<Handle>,
    endpoint: &CellEndpoint,
    transport: Option<Transport>,
    (begun, start): (Instant, Duration),
) -> Wire {
    let port = endpoint.port.get();
    // Earlier than the end of the whole start, so that what is said is that nobody listens.
    let published = Published { cell, port, starting_until: begun + start / 10 * 9 };
    let mut to = Endpoint::new(format!("http://localhost:{port}{}", endpoint.path));
    to.dialer = Some(Dialer::new(format!("port {port} of its cell"), published));
    match transport {
        Some(Transport::Sse) => Wire::event_stream(to),
        Some(Transport::Http) => Wire::Http(to),
        _ => Wire::DetectHttp(to),
    }
}

/// What such a program prints is no protocol: it goes where its standard error goes.
pub(super) fn read_along(tail: &StderrTail, stdout: pipe::Receiver) {
    let tail = tail.clone();
    tokio::spawn(async move { tail.fill_from(stdout).await });
}
