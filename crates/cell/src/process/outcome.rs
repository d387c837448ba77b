//! What the cell's first process hears of the one that becomes the program.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::event::{PollFd, PollFlags};

use super::wire::{self, Failure, Step, Told};

/// The pipe from it. `exec` closes its other end, and so does death; the words before tell one from the other.
#[derive(Debug)]
pub(crate) struct Outcome {
    pipe: OwnedFd,
    received: Vec<u8>,
}

impl Outcome {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe, received: Vec::new() }
    }

    /// Waits until it has made the network.
    pub(crate) fn until_network(&mut self) -> Result<(), Failure> {
        match self.next()? {
            Some(Told::Network) => Ok(()),
            Some(Told::Failed(failure)) => Err(failure),
            Some(Told::Executing) | None => Err(gone()),
        }
    }

    /// Waits until it has become the program. What stands between may take for ever (a directory on a filesystem that does
    /// not answer), so the node's end of `lifeline` is watched as well: without it nothing is to become anything.
    pub(crate) fn until_executed(&mut self, lifeline: BorrowedFd<'_>) -> Result<(), Failure> {
        // For the end, not for words: they say more when there will be none after them.
        let mut ends = [
            PollFd::new(&self.pipe, PollFlags::empty()),
            PollFd::from_borrowed_fd(lifeline, PollFlags::RDHUP),
        ];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut ends, None)).map_err(|e| lost(&e.into()))?;
        if ends[0].revents().is_empty() {
            return Err(gone());
        }
        let mut executing = false;
        loop {
            match self.next()? {
                Some(Told::Executing) => executing = true,
                Some(Told::Network) => {}
                Some(Told::Failed(failure)) => return Err(failure),
                None if executing => return Ok(()),
                None => return Err(gone()),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Told>, Failure> {
        loop {
            if let Some(told) = wire::decode(&mut self.received).map_err(|e| lost(&e))? {
                return Ok(Some(told));
            }
            let mut chunk = [0u8; 4096];
            match rustix::io::retry_on_intr(|| rustix::io::read(&self.pipe, &mut chunk)) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) => return Err(lost(&error.into())),
            }
        }
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::new(Step::Gone, error)
}

fn gone() -> Failure {
    lost(&io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        os::{fd::AsFd, unix::net::UnixStream},
    };

    use super::Outcome;
    use crate::process::wire::{Failure, Step, Told, encode};

    /// What is made of these words and the end after them.
    fn heard(words: &[Told]) -> Result<(), Step> {
        let (pipe, mut tell) = io::pipe().unwrap();
        for word in words {
            io::Write::write_all(&mut tell, &encode(word).unwrap()).unwrap();
        }
        drop(tell);
        let mut outcome = Outcome::new(pipe.into());
        let (lifeline, _node) = UnixStream::pair().unwrap();
        let executed = |outcome: &mut Outcome| outcome.until_executed(lifeline.as_fd());
        outcome.until_network().and_then(|()| executed(&mut outcome)).map_err(|failure| failure.step)
    }

    #[test]
    fn without_a_node_nobody_waits_for_the_program() {
        let (pipe, _still_busy) = io::pipe().unwrap();
        let (lifeline, node) = UnixStream::pair().unwrap();
        drop(node);
        let mut outcome = Outcome::new(pipe.into());
        assert_eq!(outcome.until_executed(lifeline.as_fd()).map_err(|failure| failure.step), Err(Step::Gone));
    }

    #[test]
    fn only_who_was_about_to_execute_has_become_the_program() {
        assert_eq!(heard(&[Told::Network, Told::Executing]), Ok(()));
        assert_eq!(heard(&[Told::Network]), Err(Step::Gone));
        assert_eq!(heard(&[]), Err(Step::Gone));
        let failure = Failure::new(Step::Exec, &io::ErrorKind::NotFound.into());
        let failed = [Told::Network, Told::Executing, Told::Failed(failure)];
        assert_eq!(heard(&failed), Err(Step::Exec));
    }
}
