//! What the cell's first process hears of the one that becomes the program.

use std::{io, os::fd::OwnedFd};

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

    /// Waits until it has become the program.
    pub(crate) fn until_executed(&mut self) -> Result<(), Failure> {
        // For the end, not for words: they say more when there will be none after them.
        let mut end = [PollFd::new(&self.pipe, PollFlags::empty())];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut end, None)).map_err(|e| lost(&e.into()))?;
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
    use std::io;

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
        outcome.until_network().and_then(|()| outcome.until_executed()).map_err(|failure| failure.step)
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
