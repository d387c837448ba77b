//! Contents of files, by their digest. The ledger's objects do not fit: there each payload is salted and has a file of its
//! own, so that one can be deleted without asking who else needs it; here the same file of a hundred runs is to be kept once.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    Digest, WorkspaceError,
    digest::copied,
    layers::{draw, free},
    store::make_dir,
};

/// For the node's user alone.
const FILE_MODE: u32 = 0o600;
/// Begins the name of one that is being written.
const UNFINISHED: &str = ".new-";

/// The directory of contents.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    dir: PathBuf,
}

impl Objects {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn place(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.dir.join(&text[..2]).join(&text[2..])
    }

    /// Keeps what can be read, at most so much of it. On the disk after [`Objects::sync`].
    pub(crate) fn put(&self, from: impl Read, most: u64) -> io::Result<(Digest, u64)> {
        let staged = self.dir.join(format!("{UNFINISHED}{}", draw()?));
        let put = self.stage(&staged, from, most);
        if put.is_err() {
            let _left_for_the_next_sweep = fs::remove_file(&staged);
        }
        put
    }

    fn stage(&self, staged: &Path, from: impl Read, most: u64) -> io::Result<(Digest, u64)> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(staged)?;
        let (digest, size) = copied(from, &mut file, most)?;
        let place = self.place(digest);
        make_dir(place.parent().unwrap_or(&self.dir))?;
        // The same content under the same name: whichever is there in the end is right.
        fs::rename(staged, place)?;
        Ok((digest, size))
    }

    /// Bytes free on the disk that they lie on.
    pub(crate) fn free(&self) -> io::Result<u64> {
        free(&self.dir)
    }

    /// Bytes of all that is kept.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for shard in fs::read_dir(&self.dir)? {
            let shard = shard?;
            if !shard.file_type()?.is_dir() {
                continue;
            }
            for object in fs::read_dir(shard.path())? {
                bytes += object?.metadata()?.len();
            }
        }
        Ok(bytes)
    }

    /// Puts all that was kept on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(&self.dir)?)?)
    }

    /// Copies a content, and checks that it is what its name says.
    pub(crate) fn copy_to(&self, digest: Digest, to: &mut File) -> Result<(), WorkspaceError> {
        let place = self.place(digest);
        let damaged = |cause: String| WorkspaceError::Damaged { path: place.clone(), cause };
        let from = File::open(&place).map_err(|error| damaged(error.to_string()))?;
        let (found, _) = copied(from, to, u64::MAX).map_err(WorkspaceError::system(&place))?;
        if found == digest { Ok(()) } else { Err(damaged(format!("its digest is {found}"))) }
    }

    /// Whether a content is there, as long as it should be.
    pub(crate) fn check(&self, digest: Digest, size: u64) -> Result<(), WorkspaceError> {
        let place = self.place(digest);
        let cause = match fs::metadata(&place) {
            Ok(found) if found.len() == size => return Ok(()),
            Ok(found) => format!("it has {} bytes, not {size}", found.len()),
            Err(error) => error.to_string(),
        };
        Err(WorkspaceError::Damaged { path: place, cause })
    }

    /// A content, if it is no larger than that.
    pub(crate) fn read(&self, digest: Digest, most: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        File::open(self.place(digest))?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= most).then_some(bytes))
    }

    /// Removes every content that nobody needs.
    pub(crate) fn retain(&self, needed: &dyn Fn(Digest) -> bool) -> io::Result<()> {
        for shard in fs::read_dir(&self.dir)? {
            let shard = shard?;
            let Some(first) = shard.file_name().to_str().map(str::to_owned) else { continue };
            if !shard.file_type()?.is_dir() {
                // Of a capture that broke off: none goes on while this does.
                if first.starts_with(UNFINISHED) {
                    fs::remove_file(shard.path())?;
                }
                continue;
            }
            for object in fs::read_dir(shard.path())? {
                let object = object?;
                let digest =
                    object.file_name().to_str().and_then(|rest| format!("{first}{rest}").parse().ok());
                if digest.is_some_and(|digest| !needed(digest)) {
                    fs::remove_file(object.path())?;
                }
            }
        }
        Ok(())
    }
}
