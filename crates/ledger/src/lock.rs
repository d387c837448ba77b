//! One writer per ledger: an advisory lock on a file that says who holds it. The kernel drops the lock with its holder,
//! however that died.

use std::{
    fmt,
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use crate::{OpenError, StoreError, clock, private::open_file};

/// Who writes a ledger, as it said itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Its process id; `None` when the file says nothing legible.
    pub pid: Option<u32>,
    /// When it opened the ledger, in microseconds since 1970.
    pub since: Option<i64>,
}

/// The held lock. Dropping it lets the next writer in.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

const FILE: &str = "ledger.lock";

// === impl Lock ===

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let mut file = open_file(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Held { dir: dir.to_owned(), holder: Holder::read(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::file("locking", &path)(e).into()),
        }
        // Only for the message of the one who is turned away: a failure here must not stop the ledger.
        let text = format!("{} {}\n", std::process::id(), clock::now().0);
        let _best_effort =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        Ok(Self { _file: file })
    }
}

// === impl Holder ===

impl Holder {
    fn read(file: &mut File) -> Self {
        let mut text = String::new();
        let _illegible = file.take(64).read_to_string(&mut text).is_err();
        let mut words = text.split_whitespace();
        Self {
            pid: words.next().and_then(|w| w.parse().ok()),
            since: words.next().and_then(|w| w.parse().ok()),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}
