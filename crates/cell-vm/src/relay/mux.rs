//! One end of the port: carries sockets over it, and says what else comes.
//!
//! No stream can hold up another: each side sends at most [`WINDOW`] bytes of one before the other has passed them on, so
//! whoever reads the port never waits for anybody. What arrives is queued; everything that can be queued is either charged
//! against the window or can be said once only.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::wire::{BODY_BYTES_MAX, HEAD_BYTES, Said};

/// Charge of one stream's frames that are under way at most, each way, in bytes. Stops a guest from filling the node's memory;
/// past it the relay ends. A stream holds no more than this and two bodies on their way to the port, so all of them together
/// hold at most [`STREAMS_MAX`] times 96 KiB, and the port [`FRAMES_WAITING`] bodies: 27 MiB.
const WINDOW: u32 = 64 << 10;
/// What a frame of data is charged beyond its bytes, in bytes: its place in a queue, and the least that is ever allocated for
/// bytes. Stops a guest from having a byte cost a hundred; it is no byte on the wire.
const FRAME_CHARGE: u32 = 96;
/// Connections at the same time, those included that are over and not yet let go. Stops a guest from taking the node's
/// descriptors; past it a connection is reset. The broker serves 256, and some more are for what the program itself serves.
pub(super) const STREAMS_MAX: usize = 256 + 16;
/// How long one frame to a guest may wait until it is read. Stops a guest that reads no more from holding what belongs to its
/// streams; past it its relay ends. An honest relay reads whatever else it does, and needs a fraction of a second in
/// software translation.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// How long a reset waits for its turn. Past it the other side does not hear of it, which reads nothing anyhow.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);
/// Who opens a stream gives it its number, and each side has its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// The guest.
    Inside = 0,
    /// The node.
    Outside = 1,
}

/// Frames that wait for the port.
const FRAMES_WAITING: usize = 64;

/// Bytes read from the port at once, so that a frame does not cost two calls of the system.
const READ_BYTES: usize = 16 << 10;

/// One end.
#[derive(Clone, Debug)]
pub(super) struct Mux {
    side: Side,
    frames: mpsc::Sender<(u32, Said)>,
    streams: Arc<Mutex<HashMap<u32, Stream>>>,
    next: Arc<AtomicU32>,
    places: Arc<Semaphore>,
}

/// What the reader of the port knows of a stream.
#[derive(Debug)]
struct Stream {
    arrived: mpsc::UnboundedSender<Said>,
    /// Charge of what may be sent.
    credit: Arc<Semaphore>,
    /// Charge of what has arrived and is not passed on.
    held: Arc<AtomicU32>,
    /// What may still be said of it once.
    once: Once,
}

/// What is said of a stream at most once.
#[derive(Debug)]
struct Once {
    /// Of one that this side opened: that it was taken.
    opened: bool,
    /// The end; then no bytes come any more.
    end: bool,
}

/// A stream that waits for its socket.
#[derive(Debug)]
pub(super) struct Carried {
    number: u32,
    mux: Mux,
    arrived: mpsc::UnboundedReceiver<Said>,
    credit: Arc<Semaphore>,
    held: Arc<AtomicU32>,
    /// Given back with the stream, not when the other side calls it over: until then its socket may be there.
    _place: OwnedSemaphorePermit,
}

/// What the other side says that concerns no stream that is there already.
#[derive(Debug)]
pub(super) enum News {
    /// A stream to this address.
    Open(std::net::SocketAddr, Carried),
    /// See [`Said::Tried`].
    Tried {
        /// As there.
        datagram: bool,
        /// As there.
        to: std::net::SocketAddr,
    },
}

// === impl Mux ===

impl Mux {
    /// Over a port. The future is its life: it ends when the port does, or when the other side breaks the rules.
    pub(super) fn over(
        side: Side,
        reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
        news: mpsc::Sender<News>,
    ) -> (Self, impl Future<Output = io::Result<()>>) {
        let (frames, mut waiting) = mpsc::channel::<(u32, Said)>(FRAMES_WAITING);
        let (next, places) = (Arc::new(AtomicU32::new(side as u32)), Arc::new(Semaphore::new(STREAMS_MAX)));
        let mux = Self { side, frames, streams: Arc::default(), next, places };
        let reading = mux.clone();
        let life = async move {
            let write = async {
                while let Some((stream, said)) = waiting.recv().await {
                    let frame = said.encode(stream);
                    let written = writer.write_all(&frame);
                    match side {
                        // The node is believed.
                        Side::Inside => written.await?,
                        Side::Outside => timeout(UNREAD_MAX, written).await??,
                    }
                }
                Ok(())
            };
            let lived = tokio::select! {
                read = reading.read(reader, &news) => read,
                written = write => written,
            };
            // Whoever still has a stream finds it broken.
            reading.lock().clear();
            lived
        };
        (mux, life)
    }

    /// Opens a stream to this address; `None` if there are too many or the port is gone.
    pub(super) async fn open(&self, to: std::net::SocketAddr) -> Option<Carried> {
        let carried = self.add(self.next.fetch_add(2, Ordering::Relaxed), true)?;
        self.frames.send((carried.number, Said::Open(to))).await.ok()?;
        Some(carried)
    }

    /// Tells that something was tried, unless there is too much to tell already.
    pub(super) fn tried(&self, datagram: bool, to: std::net::SocketAddr) {
        let _enough_is_told = self.frames.try_send((0, Said::Tried { datagram, to }));
    }

    fn add(&self, number: u32, ours: bool) -> Option<Carried> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (tell, arrived) = mpsc::unbounded_channel();
        let window = usize::try_from(WINDOW).unwrap_or_default();
        let (credit, held) = (Arc::new(Semaphore::new(window)), Arc::<AtomicU32>::default());
        let stream = Stream {
            arrived: tell,
            credit: Arc::clone(&credit),
            held: Arc::clone(&held),
            once: Once { opened: ours, end: true },
        };
        let mut streams = self.lock();
        if streams.contains_key(&number) {
            return None;
        }
        streams.insert(number, stream);
        Some(Carried { number, mux: self.clone(), arrived, credit, held, _place: place })
    }

    async fn read(&self, reader: impl AsyncRead + Unpin, news: &mpsc::Sender<News>) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(READ_BYTES, reader);
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        loop {
            let mut head = [0; HEAD_BYTES];
            reader.read_exact(&mut head).await?;
            let (number, length) = Said::head(&head).ok_or_else(|| broken("a frame that is too long"))?;
            let mut body = vec![0; length];
            reader.read_exact(&mut body).await?;
            let said = Said::decode(head[0], body).ok_or_else(|| broken("a frame that says nothing"))?;
            match said {
                Said::Open(_) if number % 2 == self.side as u32 => {
                    return Err(broken("a stream with a number of this side"));
                }
                Said::Open(to) => {
                    let carried = self.add(number, false);
                    let taken = carried.is_some_and(|carried| news.try_send(News::Open(to, carried)).is_ok());
                    if !taken {
                        // The reader does not wait: an answer that does not fit is one more connection that hangs.
                        let _it_hangs = self.frames.try_send((number, Said::Reset));
                    }
                }
                Said::Tried { datagram, to } => drop(news.try_send(News::Tried { datagram, to })),
                of_a_stream => self.arrive(number, of_a_stream).map_err(broken)?,
            }
        }
    }

    /// Something for a stream. What comes for one that is over is late, which is nobody's fault.
    fn arrive(&self, number: u32, said: Said) -> Result<(), &'static str> {
        let mut streams = self.lock();
        let Some(stream) = streams.get_mut(&number) else { return Ok(()) };
        match said {
            Said::Credit(bytes) => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                let most = usize::try_from(WINDOW).unwrap_or_default();
                if stream.credit.available_permits().saturating_add(bytes) > most {
                    return Err("more credit than was used");
                }
                stream.credit.add_permits(bytes);
            }
            Said::Reset => drop(streams.remove(&number)),
            queued => stream.queue(queued)?,
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Stream ===

impl Stream {
    /// The queue has no end of its own: what comes into it is charged, or comes once.
    fn queue(&mut self, said: Said) -> Result<(), &'static str> {
        match &said {
            Said::Data(bytes) if bytes.is_empty() => return Err("data without bytes"),
            Said::Data(_) if !self.once.end => return Err("data after its end"),
            Said::Data(bytes) => {
                let charge = charge(bytes.len());
                if self.held.fetch_add(charge, Ordering::AcqRel).saturating_add(charge) > WINDOW {
                    return Err("more bytes than were allowed");
                }
            }
            Said::End if !std::mem::take(&mut self.once.end) => return Err("a second end"),
            Said::Opened if !std::mem::take(&mut self.once.opened) => {
                return Err("a stream taken that was not offered");
            }
            _once => {}
        }
        let _nobody_takes_it = self.arrived.send(said);
        Ok(())
    }
}

// === impl Carried ===

impl Carried {
    /// Whether the other side took it, of a stream that this one opened.
    pub(super) async fn is_taken(&mut self) -> bool {
        self.arrived.recv().await == Some(Said::Opened)
    }

    /// Takes it.
    pub(super) async fn take(&self) {
        let _port_is_gone = self.mux.frames.send((self.number, Said::Opened)).await;
    }

    /// Moves bytes between the stream and a socket until both ways have ended or one has broken.
    pub(super) async fn carry(mut self, socket: TcpStream) {
        let _slower_without = socket.set_nodelay(true);
        let (mut from, mut to) = socket.into_split();
        let (mux, number) = (self.mux.clone(), self.number);
        let (credit, held) = (Arc::clone(&self.credit), Arc::clone(&self.held));
        let up = async {
            let mut chunk = vec![0; BODY_BYTES_MAX];
            loop {
                let count = from.read(&mut chunk).await.ok()?;
                if count == 0 {
                    return mux.frames.send((number, Said::End)).await.ok();
                }
                credit.acquire_many(charge(count)).await.ok()?.forget();
                mux.frames.send((number, Said::Data(chunk[..count].to_vec()))).await.ok()?;
            }
        };
        let down = async {
            loop {
                match self.arrived.recv().await? {
                    Said::Data(bytes) => {
                        to.write_all(&bytes).await.ok()?;
                        let charge = charge(bytes.len());
                        held.fetch_sub(charge, Ordering::AcqRel);
                        mux.frames.send((number, Said::Credit(charge))).await.ok()?;
                    }
                    Said::End => return to.shutdown().await.ok(),
                    _out_of_turn => return None,
                }
            }
        };
        let whole = tokio::try_join!(async { up.await.ok_or(()) }, async { down.await.ok_or(()) });
        if whole.is_err() {
            // The program is to see that it broke, not that it ended; and at once, for the reset may wait.
            let _only_less_clear = from.as_ref().set_zero_linger();
            to.forget();
            drop(from);
            self.reset().await;
        }
    }

    /// Lets go of it.
    pub(super) async fn reset(self) {
        let reset = self.mux.frames.send((self.number, Said::Reset));
        let _port_is_gone_or_unread = timeout(RESET_TIMEOUT, reset).await;
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // The other side may have called this one over and opened another under its number.
        if let Entry::Occupied(stream) = self.mux.lock().entry(self.number)
            && Arc::ptr_eq(&stream.get().held, &self.held)
        {
            stream.remove();
        }
    }
}

// === free functions ===

/// What a frame with so many bytes of data is charged, on both sides.
fn charge(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(WINDOW).saturating_add(FRAME_CHARGE)
}

#[cfg(test)]
mod tests;
