//! OCI image layouts: from the index to the layers, each blob checked against its digest (OCI image specification 1.1).

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{decompressed, hex, tree::Tree};

/// Bytes of an index or manifest. Stops a layout from filling memory; past it the image is refused.
const JSON_BYTES_MAX: u64 = 4 << 20;
/// Layers of one image; usual ones have at most 127.
const LAYERS_MAX: usize = 256;
/// Indexes within indexes.
const DEPTH_MAX: usize = 4;

/// What is to be unpacked.
pub(super) struct Manifest {
    /// Of the manifest itself, hexadecimal.
    pub(super) digest: String,
    layers: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    platform: Option<Platform>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

/// An index has `manifests`, a manifest has `layers`.
#[derive(Deserialize)]
struct Document {
    manifests: Option<Vec<Descriptor>>,
    layers: Option<Vec<Descriptor>>,
}

/// The manifest for this machine.
pub(super) fn manifest(layout: &Path) -> io::Result<Manifest> {
    let mut text = Vec::new();
    File::open(layout.join("index.json"))?.take(JSON_BYTES_MAX).read_to_end(&mut text)?;
    let mut document: Document = serde_json::from_slice(&text)?;
    for _ in 0..DEPTH_MAX {
        let wanted = choose(document.manifests.as_deref().unwrap_or_default())?;
        let digest = checked(&wanted.digest)?.to_owned();
        document = serde_json::from_slice(&small_blob(layout, &digest)?)?;
        if let Some(layers) = document.layers.take() {
            if layers.len() > LAYERS_MAX {
                return Err(refuse(format!("{} layers, {LAYERS_MAX} allowed", layers.len())));
            }
            return Ok(Manifest { digest, layers });
        }
    }
    Err(refuse("no manifest within its indexes"))
}

/// Layer upon layer.
pub(super) fn unpack(layout: &Path, manifest: &Manifest, tree: &mut Tree) -> io::Result<()> {
    manifest.layers.iter().try_for_each(|layer| {
        let kind = &layer.media_type;
        // Docker's own names end like these, too.
        if !["tar", "tar+gzip", "tar.gzip"].iter().any(|known| kind.ends_with(known)) {
            return Err(refuse(format!("layers of type `{kind}` are not read, only tar and tar+gzip")));
        }
        let digest = checked(&layer.digest)?;
        let hash = Rc::new(RefCell::new(Sha256::new()));
        let file = Hashed { file: File::open(blob(layout, digest))?, hash: Rc::clone(&hash) };
        let mut rest = file.another()?;
        tree.unpack(decompressed(file)?, true)?;
        // An archive ends before its file does.
        io::copy(&mut rest, &mut io::sink())?;
        verify(digest, hash.take())
    })
}

fn choose(manifests: &[Descriptor]) -> io::Result<&Descriptor> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == architecture;
    let wanted = manifests.iter().find(|entry| entry.platform.as_ref().is_some_and(fits));
    let only = manifests.first().filter(|entry| manifests.len() == 1 && entry.platform.is_none());
    wanted.or(only).ok_or_else(|| refuse(format!("nothing for linux/{architecture} in its index")))
}

/// The hexadecimal part: what it is, it can be part of a path.
fn checked(digest: &str) -> io::Result<&str> {
    let digits = digest.strip_prefix("sha256:").unwrap_or_default();
    let plain =
        digits.len() == 64 && digits.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    if plain { Ok(digits) } else { Err(refuse(format!("`{digest}` is no sha256 digest"))) }
}

fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs/sha256").join(digest)
}

fn small_blob(layout: &Path, digest: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(blob(layout, digest))?.take(JSON_BYTES_MAX).read_to_end(&mut bytes)?;
    verify(digest, Sha256::new_with_prefix(&bytes))?;
    Ok(bytes)
}

fn verify(expected: &str, hash: Sha256) -> io::Result<()> {
    let got = hex(&hash.finalize());
    if got == expected {
        Ok(())
    } else {
        Err(refuse(format!("expected blob sha256:{expected}, got sha256:{got}")))
    }
}

fn refuse(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Reads a file and hashes what was read.
struct Hashed {
    file: File,
    hash: Rc<RefCell<Sha256>>,
}

impl Hashed {
    /// Another reader of the same place and the same hash, to go on where this one stops.
    fn another(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, hash: Rc::clone(&self.hash) })
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.borrow_mut().update(&buffer[..count]);
        Ok(count)
    }
}
