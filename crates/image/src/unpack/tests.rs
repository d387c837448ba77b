use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use sha2::{Digest, Sha256};
use tar::EntryType;

use super::{ImageCaps, hex, unpack_image};

/// An archive of entries: name as it stands in the header, kind, and content or target.
fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o6755);
        let is_file = *kind == EntryType::Regular;
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_size(if is_file { content.len() as u64 } else { 0 });
        header.set_cksum();
        builder.append(&header, if is_file { content.as_bytes() } else { b"" }).unwrap();
    }
    builder.into_inner().unwrap()
}

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        Self(dir)
    }

    fn unpack(&self, entries: &[(&str, EntryType, &str)]) -> Result<std::path::PathBuf, crate::ImageError> {
        let tar = self.0.path().join("root.tar");
        fs::write(&tar, archive(entries)).unwrap();
        unpack_image(&tar, &self.0.path().join("store"), &ImageCaps::default())
    }

    /// Nothing unfinished is left, and nothing outside was touched.
    fn store(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join("store")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn an_archive_is_unpacked_once_under_its_digest_and_without_lending_modes() {
    let place = Place::new();
    let entries = [("./usr/", DIR, ""), ("usr/run", FILE, "x"), ("bin", LINK, "usr"), ("b", HARD, "usr/run")];
    let root = place.unpack(&entries).unwrap();
    assert_eq!(fs::metadata(root.join("usr/run")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_to_string(root.join("b")).unwrap(), "x");
    fs::write(root.join("mark"), "").unwrap();
    assert_eq!(place.unpack(&entries).unwrap(), root);
    assert!(root.join("mark").exists());
    assert_eq!(place.store().len(), 1);
}

#[test]
fn names_that_lead_out_are_refused_and_leave_nothing() {
    for name in ["../out", "/out", "a/../../out"] {
        let place = Place::new();
        let refused = place.unpack(&[(name, FILE, "x")]).unwrap_err();
        assert_eq!(refused.code(), "CE2014");
        assert!(place.store().is_empty() && !place.0.path().join("out").exists());
    }
}

#[test]
fn links_lead_nowhere_outside() {
    let place = Place::new();
    let outside = place.0.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "s").unwrap();
    let target = outside.to_str().unwrap();
    let secret = format!("a{target}/secret");
    // Resolved below the root, where there is nothing of that name.
    for entries in [
        vec![("a", LINK, target), ("a/file", FILE, "x")],
        vec![("a", LINK, "../../../.."), ("a/file", FILE, "x")],
        vec![("a", LINK, "/"), ("b", HARD, secret.as_str())],
    ] {
        let _refused_or_inside = place.unpack(&entries);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert!(!Path::new("/file").exists() && !place.0.path().join("file").exists());
    }
    assert!(place.unpack(&[("b", HARD, "../outside/secret")]).is_err());
    let root = place.unpack(&[("a", LINK, target), ("a", FILE, "over")]).unwrap();
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "over");
}

#[test]
fn a_directory_over_a_link_to_one_is_the_same_directory() {
    let place = Place::new();
    let entries =
        [("run/", DIR, ""), ("var/run", LINK, "/run"), ("var/run/", DIR, ""), ("var/run/pid", FILE, "1")];
    let root = place.unpack(&entries).unwrap();
    assert_eq!(fs::read_to_string(root.join("run/pid")).unwrap(), "1");
}

#[test]
fn devices_are_left_out_and_floods_refused() {
    let place = Place::new();
    let root =
        place.unpack(&[("dev/null", EntryType::Char, ""), ("p", EntryType::Fifo, ""), ("f", FILE, "")]);
    let root = root.unwrap();
    assert!(!root.join("dev/null").exists() && !root.join("p").exists() && root.join("f").exists());
    let tar = place.0.path().join("many.tar");
    fs::write(&tar, archive(&[("a", FILE, "12345"), ("b", FILE, "12345")])).unwrap();
    for caps in [ImageCaps { bytes: 9, entries: 9 }, ImageCaps { bytes: 99, entries: 1 }] {
        assert!(unpack_image(&tar, &place.0.path().join("store"), &caps).is_err());
    }
    assert_eq!(place.store().len(), 1);
}

/// Writes a layout with these layers, the second gzipped; gives the blobs' directory.
fn layout(dir: &Path, layers: &[Vec<u8>]) -> std::path::PathBuf {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = hex(&Sha256::digest(bytes));
        fs::write(blobs.join(&digest), bytes).unwrap();
        digest
    };
    let descriptors: Vec<String> = layers
        .iter()
        .enumerate()
        .map(|(number, layer)| {
            let mut zipped = flate2::read::GzEncoder::new(&layer[..], flate2::Compression::fast());
            let mut bytes = Vec::new();
            if number == 1 { std::io::copy(&mut zipped, &mut bytes).map(drop).unwrap() } else { bytes.clone_from(layer) }
            let kind = if number == 1 { "tar+gzip" } else { "tar" };
            let digest = put(&bytes);
            format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.{kind}","digest":"sha256:{digest}","size":1}}"#)
        })
        .collect();
    let manifest = put(format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, descriptors.join(",")).as_bytes());
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let index = format!(
        r#"{{"manifests":[{{"digest":"sha256:{}","platform":{{"os":"linux","architecture":"s390x"}}}},
            {{"digest":"sha256:{manifest}","platform":{{"os":"linux","architecture":"{arch}"}}}}]}}"#,
        "0".repeat(64)
    );
    fs::write(dir.join("index.json"), index).unwrap();
    blobs
}

#[test]
fn layers_lie_upon_each_other_and_remove_what_they_white_out() {
    let place = Place::new();
    let dir = place.0.path().join("layout");
    let lower =
        archive(&[("etc/a", FILE, "old"), ("etc/b", FILE, "b"), ("opt/x", FILE, ""), ("opt/y/z", FILE, "")]);
    let upper = archive(&[
        ("etc/a", FILE, "new"),
        ("etc/.wh.b", FILE, ""),
        ("opt/own", FILE, ""),
        ("opt/.wh..wh..opq", FILE, ""),
    ]);
    layout(&dir, &[lower, upper]);
    let root = unpack_image(&dir, &place.0.path().join("store"), &ImageCaps::default()).unwrap();
    assert_eq!(fs::read_to_string(root.join("etc/a")).unwrap(), "new");
    assert!(!root.join("etc/b").exists());
    let left: Vec<_> =
        fs::read_dir(root.join("opt")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["own"]);
}

#[test]
fn a_blob_that_is_not_its_digest_is_refused() {
    let place = Place::new();
    let dir = place.0.path().join("layout");
    let blobs = layout(&dir, &[archive(&[("a", FILE, "honest")])]);
    for entry in fs::read_dir(blobs).unwrap().flatten() {
        let text = fs::read(entry.path()).unwrap();
        if text.windows(6).any(|part| part == b"honest") {
            File::create(entry.path()).unwrap();
            fs::write(entry.path(), archive(&[("a", FILE, "forged")])).unwrap();
        }
    }
    let refused = unpack_image(&dir, &place.0.path().join("store"), &ImageCaps::default()).unwrap_err();
    assert!(refused.to_string().contains("expected blob"), "{refused}");
    assert!(place.store().is_empty());
}
