#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::{os::unix::fs::MetadataExt as _, sync::Mutex};

use super::*;

/// A disk that fails the syncs it is told to, and notes what was synced: the inode of a file, the path of a directory.
#[derive(Clone, Debug, Default)]
struct SickDisk(Arc<Mutex<Syncs>>);

#[derive(Debug, Default)]
struct Syncs {
    failing: Vec<&'static str>,
    done: Vec<String>,
}

impl SickDisk {
    fn sync(&self, what: &'static str, which: String) -> io::Result<()> {
        let mut syncs = self.0.lock().unwrap();
        if let Some(at) = syncs.failing.iter().position(|w| *w == what) {
            syncs.failing.remove(at);
            return Err(io::Error::from_raw_os_error(5));
        }
        syncs.done.push(format!("{what} {which}"));
        Ok(())
    }

    fn fail_next(&self, what: &'static str) {
        self.0.lock().unwrap().failing.push(what);
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().done)
    }
}

impl Disk for SickDisk {
    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.sync("file", file.metadata()?.ino().to_string())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync("dir", dir.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }
}

fn staged() -> (tempfile::TempDir, SickDisk, Objects, Staged) {
    let (dir, disk) = (tempfile::tempdir().unwrap(), SickDisk::default());
    let objects = Objects::on(dir.path(), Box::new(disk.clone()));
    objects.prepare().unwrap();
    let staged = objects.stage(&Hash::ZERO, b"bytes".to_vec()).unwrap();
    (dir, disk, objects, staged)
}

#[test]
fn an_object_is_on_the_disk_with_its_name_and_its_directory() {
    let (_dir, disk, objects, mut staged) = staged();
    staged.place().unwrap();
    let inode = staged.file.metadata().unwrap().ino();
    assert_eq!(disk.done(), [format!("file {inode}"), "dir objects".into(), "dir 00".into()]);
    assert_eq!(objects.read(&Hash::ZERO).unwrap().unwrap(), b"bytes");
    staged.place().unwrap();
    assert!(disk.done().is_empty(), "what is durable is not synced again");
}

#[test]
fn after_a_failed_sync_the_bytes_are_written_to_another_file() {
    let (_dir, disk, objects, mut staged) = staged();
    disk.fail_next("file");
    let doubtful = staged.file.metadata().unwrap();
    assert!(staged.place().is_err());
    assert!(objects.read(&Hash::ZERO).unwrap().is_none(), "a file in doubt has no name");
    // Held open so that its inode is not given to the next file.
    let held = staged.file.try_clone().unwrap();
    staged.place().unwrap();
    assert_ne!(staged.file.metadata().unwrap().ino(), doubtful.ino());
    assert_eq!(objects.read(&Hash::ZERO).unwrap().unwrap(), b"bytes");
    drop(held);
}

#[test]
fn a_directory_whose_sync_failed_is_synced_before_an_object_counts_as_placed() {
    for which in ["the directory of directories", "the directory of the object"] {
        let (_dir, disk, objects, mut staged) = staged();
        if which == "the directory of the object" {
            staged.shared.confirm(&objects.dir.join("00")).unwrap();
            disk.done();
        }
        disk.fail_next("dir");
        assert!(staged.place().is_err(), "{which}");
        disk.done();
        staged.place().unwrap();
        assert!(disk.done().contains(&"dir 00".to_owned()), "{which}");
        drop(staged);

        // The next object of that directory finds both confirmed and syncs its own name only.
        let mut next = objects.stage(&Hash::ZERO, b"bytes".to_vec()).unwrap();
        next.place().unwrap();
        assert_eq!(disk.done()[1..], ["dir 00".to_owned()], "{which}");
    }
}

#[test]
fn a_directory_that_exists_already_is_confirmed_once_by_each_process() {
    let (_dir, disk, objects, mut staged) = staged();
    make_dir(&objects.dir.join("00")).unwrap();
    staged.place().unwrap();
    assert_eq!(disk.done()[1..], ["dir objects".to_owned(), "dir 00".to_owned()]);
}
