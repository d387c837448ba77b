//! The SQLite storage keeps the law of `Store`.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::path::Path;

#[path = "support/small_disk.rs"]
mod small_disk;

use cella_ledger::{
    Options, Store,
    kit::{Subject, run_all},
    sqlite_store,
};
use small_disk::SmallDisk;

struct Sqlite {
    dir: tempfile::TempDir,
}

/// On a disk that can be filled.
struct SqliteOnSmallDisk(SmallDisk);

impl Subject for SqliteOnSmallDisk {
    fn open(&mut self) -> Result<Box<dyn Store>, String> {
        sqlite_store(&Options::new(self.0.path())).map_err(|e| e.to_string())
    }

    fn holds(&self, needle: &[u8]) -> Option<bool> {
        Some(holds(self.0.path(), needle))
    }

    fn starve(&mut self) -> bool {
        self.0.fill();
        true
    }

    fn feed(&mut self) {
        self.0.free();
    }
}

impl Subject for Sqlite {
    fn open(&mut self) -> Result<Box<dyn Store>, String> {
        sqlite_store(&Options::new(self.dir.path())).map_err(|e| e.to_string())
    }

    fn holds(&self, needle: &[u8]) -> Option<bool> {
        Some(holds(self.dir.path(), needle))
    }

    fn starve(&mut self) -> bool {
        false
    }

    fn feed(&mut self) {}
}

fn holds(dir: &Path, needle: &[u8]) -> bool {
    let files = std::fs::read_dir(dir).unwrap().flatten();
    files
        .filter(|f| f.path().is_file())
        .any(|file| std::fs::read(file.path()).unwrap().windows(needle.len()).any(|window| window == needle))
}

#[test]
fn sqlite_keeps_the_law() {
    let untried = run_all(&mut Sqlite { dir: tempfile::tempdir().unwrap() }).unwrap();
    assert_eq!(untried.len(), 2, "{untried:?}");
}

#[test]
fn sqlite_keeps_the_law_on_a_disk_that_fills_up() {
    let Some(disk) = SmallDisk::mount(1024 * 1024) else { return };
    let untried = run_all(&mut SqliteOnSmallDisk(disk)).unwrap();
    assert_eq!(untried.len(), 1, "{untried:?}");
}
