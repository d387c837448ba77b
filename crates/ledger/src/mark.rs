//! The last acknowledged event, written beside the database after each durable commit and before its acknowledgement.
//!
//! It is not synced: a crash of the process keeps it, a loss of power may leave an older one, and neither ever leaves a
//! newer one than the database. So a mark ahead of the database proves that acknowledged events went missing (a deleted
//! WAL, a disk that lied about a flush), which SQLite alone would pass over in silence.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use cella_event::{Hash, Head, Seq, event_hash};

use crate::{StoreError, private::open_file};

/// Sequence number, hash, and the first bytes of a digest over both.
const MARK_BYTES: usize = 8 + 32 + 8;

const FILE: &str = "ledger.mark";

#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    path: PathBuf,
}

// === impl Mark ===

impl Mark {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        Ok(Self { file: open_file(&path)?, path })
    }

    /// Reads the mark of a directory without opening it for writing.
    pub(crate) fn read_in(dir: &Path) -> Option<Head> {
        let path = dir.join(FILE);
        Self { file: File::open(&path).ok()?, path }.read()
    }

    /// `None` when nothing was ever acknowledged, or the mark is torn: then it proves nothing.
    pub(crate) fn read(&self) -> Option<Head> {
        let mut bytes = [0; MARK_BYTES];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        let (seq, rest) = bytes.split_first_chunk::<8>()?;
        let (hash, _) = rest.split_first_chunk::<32>()?;
        let head = Head { seq: Seq(u64::from_le_bytes(*seq)), hash: Hash::from_bytes(*hash) };
        (encode(head) == bytes).then_some(head)
    }

    pub(crate) fn write(&self, head: Head) -> Result<(), StoreError> {
        self.file.write_all_at(&encode(head), 0).map_err(StoreError::file("writing", &self.path))
    }
}

fn encode(head: Head) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[..8].copy_from_slice(&head.seq.0.to_le_bytes());
    bytes[8..40].copy_from_slice(head.hash.as_bytes());
    let check = event_hash(&bytes[..40]);
    bytes[40..].copy_from_slice(&check.as_bytes()[..8]);
    bytes
}
