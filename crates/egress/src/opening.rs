//! Waits for what a client says first and lets it pass only when it is for the name that was resolved.

use std::{io, time::Duration};

use cella_contract::DomainName;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    denial::Denial,
    hello::{Opening, read},
    limits::OPENING_BYTES_MAX,
};

/// Reads of one opening. Threat: a client that sends byte by byte and has each looked at again. Past it: reset.
const READS_MAX: usize = 256;

/// What came within the time that a client is waited for.
pub(crate) enum First {
    /// An opening that is for the name.
    Said(Said),
    /// Nothing yet: the peer probably speaks first.
    Silence,
}

/// The first bytes of a client, which must be passed on, and what they are.
pub(crate) struct Said {
    pub(crate) bytes: Vec<u8>,
    pub(crate) opening: Opening,
}

// === impl First ===

impl First {
    /// What was said so far.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Said(said) => said.bytes,
            Self::Silence => Vec::new(),
        }
    }
}

/// Waits a moment for the client.
pub(crate) async fn first(
    client: &TcpStream,
    expected: &DomainName,
    port: u16,
    silence: Duration,
    patience: Duration,
) -> Result<First, Denial> {
    let mut bytes = Vec::new();
    let Ok(begun) = timeout(silence, more(client, &mut bytes)).await else { return Ok(First::Silence) };
    begun?;
    complete(client, expected, port, patience, bytes).await.map(First::Said)
}

/// Waits for the client's opening as long as it takes to begin and a limited time for it to be complete.
pub(crate) async fn heard(
    client: &TcpStream,
    expected: &DomainName,
    port: u16,
    patience: Duration,
) -> Result<Said, Denial> {
    let mut bytes = Vec::new();
    more(client, &mut bytes).await?;
    complete(client, expected, port, patience, bytes).await
}

/// Reads on from the first bytes until it is clear whom they are for.
async fn complete(
    client: &TcpStream,
    expected: &DomainName,
    port: u16,
    patience: Duration,
    mut bytes: Vec<u8>,
) -> Result<Said, Denial> {
    if bytes.is_empty() {
        // the client will say nothing, which is for nobody in particular
        return Ok(Said { bytes, opening: Opening::Opaque });
    }
    let reading = async {
        for _ in 0..READS_MAX {
            match read(&bytes) {
                Opening::Incomplete if bytes.len() >= OPENING_BYTES_MAX => return Err(Denial::OpeningLimit),
                Opening::Incomplete => {}
                opening => return Ok(opening),
            }
            if more(client, &mut bytes).await? == 0 {
                return Err(Denial::Opening);
            }
        }
        Err(Denial::OpeningLimit)
    };
    let opening = timeout(patience, reading).await.unwrap_or(Err(Denial::OpeningLimit))?;
    opening.must_be_for(expected, port)?;
    Ok(Said { bytes, opening })
}

/// Waits for bytes; none at the end of what the client says. Loses nothing when it is dropped.
async fn more(client: &TcpStream, bytes: &mut Vec<u8>) -> Result<usize, Denial> {
    loop {
        // an error shows again when the socket is read, and readiness may be a mistake
        let _ = client.readable().await;
        bytes.reserve(OPENING_BYTES_MAX.saturating_sub(bytes.len()).clamp(1, 2048));
        match client.try_read_buf(bytes) {
            Ok(count) => return Ok(count),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(Denial::Opening),
        }
    }
}
