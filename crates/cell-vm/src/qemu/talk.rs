//! The node's side of the guest's ports: three streams, and a fourth on which the two sides talk in lines.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf, pipe},
    },
    sync::mpsc,
};

use super::{
    machine::{PORTS, RELAY},
    site::Site,
};
use crate::{
    capped::Allowance,
    tree::Tree,
    ward::{Ended, Streams},
};

/// Between two looks whether a port is there.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long output that is under way is waited for when the program has ended. It is only long when nobody reads it; then
/// the rest is lost.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes of one line of talk. Stops a guest that was taken over from filling the node's memory; past it the line ends.
const LINE_BYTES: u64 = 256;

/// The ports of a guest that does not know yet what it is for.
#[derive(Debug)]
pub(super) struct Ports {
    /// Input, output, error.
    streams: [UnixStream; 3],
    lines: Lines,
    /// Of a machine that has one.
    relay: Option<UnixStream>,
}

/// The ports of a guest whose program runs.
#[derive(Debug)]
pub(super) struct Talk {
    ports: Lines,
    counts: [Arc<AtomicU64>; 2],
}

/// The fourth port.
#[derive(Debug)]
struct Lines {
    lines: BufReader<OwnedReadHalf>,
    answers: OwnedWriteHalf,
}

/// How the program ended, once the guest has told.
pub(super) type Told = Arc<Mutex<Option<Ended>>>;

// === impl Ports ===

impl Ports {
    /// Waits for the machine. `None` if it ends before.
    pub(super) async fn connect(site: &Site, tree: &mut Tree, relay: bool) -> io::Result<Option<Self>> {
        let mut ports = Vec::new();
        for port in PORTS {
            let Some(stream) = site.connect(port, tree).await? else { return Ok(None) };
            ports.push(stream);
        }
        let Ok([input, output, error, talk]) = <[UnixStream; 4]>::try_from(ports) else { return Ok(None) };
        let (lines, answers) = talk.into_split();
        let lines = Lines { lines: BufReader::new(lines), answers };
        let relay = if relay { site.connect(RELAY, tree).await? } else { None };
        Ok(Some(Self { streams: [input, output, error], lines, relay }))
    }

    /// One line of the guest; `None` when it is gone.
    pub(super) async fn line(&mut self) -> Option<String> {
        self.lines.line().await
    }

    /// Whether it answers.
    pub(super) async fn is_awake(&mut self) -> bool {
        self.lines.say(b"hello\n").await.is_ok() && self.line().await.as_deref() == Some("ready")
    }

    /// Tells the guest what it is for; what it says to that, `up` if its program runs.
    pub(super) async fn begin(&mut self, seed: &[u8], cell: &[u8]) -> Option<String> {
        // A guest that stops half way says why.
        let _said = self.lines.say(&[b"cell\n", seed, cell].concat()).await;
        self.line().await
    }

    /// The port of connections, once.
    pub(super) fn relay(&mut self) -> Option<UnixStream> {
        self.relay.take()
    }

    /// The streams of the program that runs now.
    pub(super) fn open(self, allowance: &Allowance) -> io::Result<(Talk, Streams)> {
        let Self { streams: [input, output, error], lines: ports, .. } = self;
        let (source, stdin) = io::pipe()?;
        tokio::spawn(feed(pipe::Receiver::from_owned_fd(source.into())?, input));
        let counts = [Arc::<AtomicU64>::default(), Arc::default()];
        let stdout = drained(output, &counts[0], allowance)?;
        let stderr = drained(error, &counts[1], allowance)?;
        let stdin = pipe::Sender::from_owned_fd(stdin.into())?;
        Ok((Talk { ports, counts }, Streams { stdin, stdout, stderr }))
    }
}

// === impl Lines ===

impl Lines {
    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(LINE_BYTES).read_until(b'\n', &mut line).await;
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        (read.is_ok() && !line.is_empty()).then_some(line)
    }

    async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.answers.write_all(bytes).await
    }
}

// === impl Talk ===

impl Talk {
    /// Passes orders on until the guest tells the end; then everything it has sent is waited for. Returning lets go of the
    /// guest: whoever waits for this kills the machine.
    pub(super) async fn attend(mut self, mut orders: mpsc::UnboundedReceiver<&'static str>, told: Told) {
        let line = loop {
            tokio::select! {
                line = self.ports.line() => break line,
                Some(order) = orders.recv() => {
                    // A guest that is gone needs no orders.
                    let _gone = self.ports.say(format!("{order}\n").as_bytes()).await;
                }
            }
        };
        let Some(end) = line.as_deref().and_then(End::parse) else { return };
        let drained = async {
            while self.counts.iter().zip(end.sent).any(|(seen, sent)| seen.load(Ordering::Acquire) < sent) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _nobody_reads = tokio::time::timeout(DRAIN, drained).await;
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(end.ended());
    }
}

/// What the guest's last line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    status: i32,
    sent: [u64; 2],
}

impl End {
    /// `end STATUS OUT ERR OOM`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("end ")?.split(' ');
        let status = words.next()?.parse().ok()?;
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        Some(Self { status, sent: [number(), number()] })
    }

    /// A shell tells a signal as 128 and its number; a program that exits with such a status itself is taken for one that
    /// was killed.
    fn ended(self) -> Ended {
        // Any number may come.
        match self.status.checked_sub(128) {
            Some(signal @ 1..=64) => Ended { code: None, signal: Some(signal) },
            _ => Ended { code: Some(self.status), signal: None },
        }
    }
}

// === free functions ===

pub(super) async fn connect(path: &Path, tree: &mut Tree) -> io::Result<Option<UnixStream>> {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(Some(stream)),
            Err(_) if tree.has_ended() => return Ok(None),
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind()) =>
            {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Standard input. Its end is told by shutting down this direction only: QEMU throws away what it has not yet read of a
/// connection that is closed both ways.
async fn feed(mut source: pipe::Receiver, mut port: UnixStream) {
    let _guest_is_gone = tokio::io::copy(&mut source, &mut port).await;
    let _guest_is_gone = port.shutdown().await;
    // Held open until the machine closes it.
    let _end = port.read(&mut [0]).await;
}

fn drained(port: UnixStream, count: &Arc<AtomicU64>, allowance: &Allowance) -> io::Result<pipe::Receiver> {
    let (ours, theirs) = io::pipe()?;
    let sink = pipe::Sender::from_owned_fd(theirs.into())?;
    let (count, allowance) = (Arc::clone(count), allowance.clone());
    tokio::spawn(async move { allowance.copy(Counted { port, count }, sink).await });
    pipe::Receiver::from_owned_fd(ours.into())
}

/// Counts what was read. A chunk counts when the next is asked for, which is when it has been passed on.
struct Counted {
    port: UnixStream,
    count: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = std::pin::Pin::new(&mut self.port).poll_read(context, buffer);
        let read = u64::try_from(buffer.filled().len() - before).unwrap_or_default();
        self.count.fetch_add(read, Ordering::Release);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Ended};

    #[test]
    fn an_end_is_a_status_or_a_signal() {
        let end = End::parse("end 139 12 0 0").unwrap();
        assert_eq!((end.sent, end.ended()), ([12, 0], Ended { code: None, signal: Some(11) }));
        assert_eq!(End::parse("end 37 0 0 0").unwrap().ended(), Ended { code: Some(37), signal: None });
        let least = End::parse(&format!("end {} 0 0 0", i32::MIN)).unwrap();
        assert_eq!(least.ended(), Ended { code: Some(i32::MIN), signal: None });
        assert_eq!(End::parse("ready"), None);
    }
}
