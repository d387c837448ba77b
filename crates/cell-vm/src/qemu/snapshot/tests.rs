use std::{
    fs,
    io::{Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::SystemTime,
};

use crate::tools;

use super::{AGE_MAX, HEAD_BYTES, SNAPSHOTS_MAX, Shape, Store};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("guests"));
    (dir, store)
}

/// As another node sees it.
fn anew(store: &Store) -> Store {
    Store::new(store.dir.clone())
}

fn taken(store: &Store, material: &str, content: &[u8]) -> (Shape, PathBuf) {
    let shape = Shape::of(material);
    store.take(&shape).unwrap().write(content).unwrap().keep().unwrap();
    let path = store.path(&shape);
    (shape, path)
}

fn read(store: &Store, shape: &Shape) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    store.find(shape)?.file.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn what_was_taken_is_found_by_its_shape_and_by_no_other() {
    let (_dir, store) = store();
    let (shape, _) = taken(&store, "a", b"memory");
    assert_eq!(read(&store, &shape), Some(b"memory".to_vec()));
    assert_eq!(read(&anew(&store), &shape), Some(b"memory".to_vec()));
    assert_eq!(read(&store, &Shape::of("b")), None);
    // Without the note it is read whole, once.
    fs::remove_file(store.note(&shape)).unwrap();
    assert_eq!(read(&anew(&store), &shape), Some(b"memory".to_vec()));
    assert!(store.note(&shape).exists());
}

#[test]
fn one_that_was_changed_is_not_believed_and_removed() {
    let (_dir, store) = store();
    for at in [0, 20, 40, HEAD_BYTES] {
        let (shape, path) = taken(&store, "a", b"memory");
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(std::io::SeekFrom::Start(at)).unwrap();
        file.write_all(b"X").unwrap();
        assert_eq!(read(&anew(&store), &shape), None, "at {at}");
        assert!(!path.exists());
    }
    // Nor by the node that took it.
    let (shape, path) = taken(&store, "a", b"memory");
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    assert_eq!(read(&store, &shape), None);
}

#[test]
fn one_that_others_can_write_is_not_believed() {
    let (_dir, store) = store();
    let (shape, path) = taken(&store, "a", b"memory");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(read(&store, &shape), None);
    let (shape, _) = taken(&store, "a", b"memory");
    fs::set_permissions(&store.dir, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(read(&store, &shape), None);
    assert!(store.take(&shape).is_none());
}

#[test]
fn an_old_one_is_not_used_and_too_many_are_not_kept() {
    let (_dir, store) = store();
    let (shape, path) = taken(&store, "old", b"memory");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - AGE_MAX * 2).unwrap();
    assert_eq!(read(&store, &shape), None);
    for number in 0..SNAPSHOTS_MAX + 3 {
        taken(&store, &number.to_string(), b"memory");
    }
    let left = fs::read_dir(&store.dir).unwrap().map(|entry| entry.unwrap().path());
    let whole = left.filter(|path| path.extension().is_some_and(|end| end == "guest")).count();
    assert_eq!(whole, SNAPSHOTS_MAX);
}

#[test]
fn two_do_not_take_the_same_at_once_and_half_a_one_is_gone() {
    let (_dir, store) = store();
    let shape = Shape::of("a");
    let first = store.take(&shape).unwrap();
    assert!(store.take(&shape).is_none());
    drop(first.write(&b"as far as it came"[..]).unwrap());
    assert_eq!(fs::read_dir(&store.dir).unwrap().count(), 0);
    assert!(store.take(&shape).is_some());
}

#[test]
fn what_a_node_that_is_gone_left_half_taken_is_removed_and_what_is_not_ours_stays() {
    let (_dir, store) = store();
    drop(store.take(&Shape::of("a")));
    let living = tools::marked(tools::TAKING_PREFIX);
    let dead = living.replacen(&format!("-{}-", std::process::id()), "-4194305-", 1);
    let foreign = ["mine.guest", "mine.verified", "notes"].map(str::to_owned);
    let make = |name: &String| fs::File::create(store.dir.join(name)).unwrap();
    for name in foreign.iter().chain([&living, &dead]) {
        make(name).set_modified(SystemTime::now() - AGE_MAX * 2).unwrap();
    }
    drop(store.take(&Shape::of("a")).unwrap());
    assert!(foreign.iter().chain([&living]).all(|name| store.dir.join(name).exists()));
    assert!(!store.dir.join(dead).exists());
}
