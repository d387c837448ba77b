//! A confined program with this process's own standard streams: bytes pass unchanged in both directions, the end of input
//! is passed on, and signals end the program in order.
//!
//! Threads that block carry the bytes, not tasks: a standard stream is shared with other processes, and to make it
//! non-blocking would change it for them.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use cella_cell::{Exit, Handle};
use cella_node::confine::Confined;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

/// Time a program has between the request to end and the end. A second signal does not wait for it.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// Bytes carried at once: what a pipe of this kernel holds.
const CHUNK_BYTES: usize = 64 << 10;

/// Signals that ask this process to end; made before the program starts, so that none is missed.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// The operating system refuses it.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Carries until the last process of the cell is gone and what it wrote is passed on.
pub async fn attached(running: Confined, signals: &mut Signals) -> io::Result<Exit> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let input = running.stdin.into_blocking_fd()?;
    let output = [
        (running.stdout.into_blocking_fd()?, own(stdout.as_fd())?),
        (running.stderr.into_blocking_fd()?, own(stderr.as_fd())?),
    ];
    let from = own(stdin.as_fd())?;
    // Never joined: it may wait for a person who types nothing, and ends with this process.
    thread::spawn(move || carry(from, input));
    let carried = output.map(|(from, to)| {
        let (done, seen) = oneshot::channel();
        thread::spawn(move || {
            carry(from, to);
            let _nobody_waits = done.send(());
        });
        seen
    });
    let exit = until_gone(&running.cell, signals).await;
    let [out, err] = carried;
    tokio::select! {
        _ = async { (out.await, err.await) } => {}
        // A reader of ours that reads nothing must not hold this process for ever.
        () = signals.next() => {}
    }
    Ok(exit)
}

/// Waits; the first signal asks the program to end, the second kills it.
async fn until_gone(cell: &Handle, signals: &mut Signals) -> Exit {
    tokio::select! {
        exit = cell.wait() => return exit,
        () = signals.next() => {}
    }
    tokio::select! {
        exit = cell.stop(STOP_GRACE) => exit,
        () = signals.next() => cell.kill().await,
    }
}

fn own(stream: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    stream.try_clone_to_owned()
}

/// Copies until the end of either side. Dropping both ends says so to the program: end of file, or a broken pipe.
fn carry(from: OwnedFd, to: OwnedFd) {
    let (mut from, mut to) = (File::from(from), File::from(to));
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if waited(&error, from.as_fd(), PollFlags::IN) => continue,
            Err(_) => return,
        };
        let mut rest = &chunk[..count];
        while !rest.is_empty() {
            match to.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if waited(&error, to.as_fd(), PollFlags::OUT) => {}
                Err(_) => return,
            }
        }
    }
}

/// True when the call is to be made again. Whoever started us may have made the stream non-blocking.
fn waited(error: &io::Error, on: BorrowedFd<'_>, until: PollFlags) -> bool {
    match error.kind() {
        ErrorKind::Interrupted => true,
        ErrorKind::WouldBlock => poll(&mut [PollFd::from_borrowed_fd(on, until)], None).is_ok(),
        _ => false,
    }
}
