//! Root filesystems that somebody else made: unpacked once, safely, into a place named by what is in it.
//!
//! An image is data of a stranger. Nothing of it is run while it is unpacked, no path of it leads out of the directory
//! made for it (the kernel resolves each below that directory, as `chroot` would), no device and no mode that lends rights
//! is made, and what it may take is capped.

mod oci;
mod tree;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::CellError;
use tree::Tree;

const GIB: u64 = 1 << 30;

/// What an image may take when it is unpacked. Past either, it is refused and what was made of it removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageCaps {
    /// Bytes of all files. Stops a small archive from filling the disk.
    pub bytes: u64,
    /// Files, directories and links, of all layers. Stops an archive of empty files from using up the disk's inodes.
    pub entries: u64,
}

impl Default for ImageCaps {
    fn default() -> Self {
        Self { bytes: 8 * GIB, entries: 500_000 }
    }
}

/// Makes a directory for [`crate::Root::Image`] of an image, and gives its path. Blocks for as long as unpacking takes;
/// the second time nothing is unpacked.
///
/// `source` is a directory with a root filesystem in it (given back as it is), an OCI image layout (`index.json` and
/// `blobs`; layers as tar or tar+gzip, digests checked), or one archive of a root filesystem (`.tar`, `.tar.gz`).
/// `store` is a directory of the node; the image goes to `store/sha256-<digest>`, of the layout's manifest or of the
/// archive.
///
/// # Errors
/// [`CellError::Image`] says what is wrong with it.
pub fn unpack_image(source: &Path, store: &Path, caps: &ImageCaps) -> Result<PathBuf, CellError> {
    let failed = |error: io::Error| CellError::Image { path: source.to_owned(), cause: error.to_string() };
    let source_path = fs::canonicalize(source).map_err(failed)?;
    if source_path.is_dir() {
        if !source_path.join("index.json").is_file() {
            return Ok(source_path);
        }
        let manifest = oci::manifest(&source_path).map_err(failed)?;
        let digest = manifest.digest.clone();
        return once(store, &digest, |tree| oci::unpack(&source_path, &manifest, tree), caps).map_err(failed);
    }
    let mut archive = File::open(&source_path).map_err(failed)?;
    let mut hash = Sha256::new();
    io::copy(&mut archive, &mut HashWriter(&mut hash)).map_err(failed)?;
    let digest = hex(&hash.finalize());
    let unpack = |tree: &mut Tree| tree.unpack(decompressed(File::open(&source_path)?)?, false);
    once(store, &digest, unpack, caps).map_err(failed)
}

/// Unpacks beside the place and moves it there when it is whole: what has the name is complete.
fn once(
    store: &Path,
    digest: &str,
    unpack: impl FnOnce(&mut Tree) -> io::Result<()>,
    caps: &ImageCaps,
) -> io::Result<PathBuf> {
    let store = fs::canonicalize(store)?;
    let place = store.join(format!("sha256-{digest}"));
    if place.is_dir() {
        return Ok(place);
    }
    let number = getrandom::u64().map_err(io::Error::other)?;
    let workplace = store.join(format!(".unpacking-{number:016x}"));
    fs::create_dir(&workplace)?;
    let unpacked = Tree::new(&workplace, *caps).and_then(|mut tree| unpack(&mut tree)).and_then(|()| {
        // A mode by which every cell can read it, whatever the node's own mask is.
        fs::set_permissions(&workplace, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        match fs::rename(&workplace, &place) {
            // Somebody else was faster; theirs has the same digest.
            Err(_) if place.is_dir() => fs::remove_dir_all(&workplace),
            renamed => renamed,
        }
    });
    if let Err(error) = unpacked {
        let _what_is_left_has_no_name = fs::remove_dir_all(&workplace);
        return Err(error);
    }
    Ok(place)
}

/// The stream itself, or what gzip made it of; the first bytes tell.
fn decompressed(mut stream: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let mut start = Vec::new();
    stream.by_ref().take(2).read_to_end(&mut start)?;
    let zipped = start == GZIP;
    let whole = io::Cursor::new(start).chain(stream);
    if zipped { Ok(Box::new(flate2::read::MultiGzDecoder::new(whole))) } else { Ok(Box::new(whole)) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
