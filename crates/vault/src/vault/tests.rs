use std::{fs, os::unix::fs::PermissionsExt as _, thread};

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state/vault")
    }

    fn source(&self) -> KeySource {
        KeySource::File { path: self.dir.path().join("state/vault.key"), named: false, instead: None }
    }

    fn open(&self) -> Result<Vault, VaultError> {
        Vault::open(self.path(), self.source())
    }

    /// A vault with one secret in it.
    fn filled() -> Self {
        let place = Self::new();
        place.open().unwrap().set(&name("a"), &secret("value-of-a")).unwrap();
        place
    }

    fn refused(&self) -> &'static str {
        self.open().unwrap_err().code()
    }
}

#[test]
fn an_empty_vault_needs_no_file_and_no_key() {
    let place = Place::new();
    let vault = place.open().unwrap();
    assert!(!vault.exists() && vault.list().is_empty());
    assert_eq!(vault.get(&name("a")).unwrap_err().code(), "CE2401");
    assert!(!place.dir.path().join("state").exists());
}

#[test]
fn what_is_set_is_there_for_the_next_who_opens() {
    let place = Place::filled();
    let mut vault = place.open().unwrap();
    assert_eq!(vault.get(&name("a")).unwrap(), secret("value-of-a"));
    assert!(vault.set(&name("a"), &secret("second")).unwrap());
    assert!(!vault.set(&name("b"), &secret("third")).unwrap());
    let vault = place.open().unwrap();
    assert_eq!(vault.get(&name("a")).unwrap(), secret("second"));
    let names: Vec<String> = vault.list().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(super::names(&place.path()).len(), 2);
}

#[test]
fn what_is_removed_is_gone_and_a_name_that_is_not_there_is_said() {
    let place = Place::filled();
    let mut vault = place.open().unwrap();
    let error = vault.remove(&[&name("a"), &name("b")]).unwrap_err();
    assert_eq!(error.code(), "CE2401");
    assert!(place.open().unwrap().contains(&name("a")), "all or none");
    vault.remove(&[&name("a")]).unwrap();
    assert!(place.open().unwrap().list().is_empty());
}

#[test]
fn a_name_that_was_meant_is_offered() {
    let place = Place::new();
    let mut vault = place.open().unwrap();
    vault.set(&name("github_token"), &secret("x")).unwrap();
    let said = vault.get(&name("github_tokn")).unwrap_err().to_string();
    assert!(said.contains("is `github_token` meant?"), "{said}");
}

#[test]
fn no_file_holds_a_value_or_can_be_read_by_others() {
    let place = Place::filled();
    for entry in fs::read_dir(place.dir.path().join("state")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(10).any(|w| w == b"value-of-a"), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let dir = fs::metadata(place.dir.path().join("state")).unwrap();
    assert_eq!(dir.permissions().mode() & 0o777, 0o700);
}

#[test]
fn each_way_a_file_can_be_wrong_has_its_own_code() {
    let place = Place::filled();
    let good = fs::read(place.path()).unwrap();
    let with = |bytes: &[u8]| {
        fs::write(place.path(), bytes).unwrap();
        place.refused()
    };
    assert_eq!(with(&good[..good.len() - 9]), "CE2405");
    let mut flipped = good.clone();
    *flipped.iter_mut().rev().nth(40).unwrap() ^= 1;
    assert_eq!(with(&flipped), "CE2406");
    assert_eq!(with(b"[servers]\n"), "CE2403");
    assert_eq!(with(b"\xff\xfe"), "CE2403");
    assert_eq!(with(b"cella-vault v9\n"), "CE2404");
    fs::write(place.path(), &good).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(place.refused(), "CE2410");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let key = place.dir.path().join("state/vault.key");
    fs::write(&key, "0f".repeat(32)).unwrap();
    assert_eq!(place.refused(), "CE2409");
    fs::write(&key, "short").unwrap();
    assert_eq!(place.refused(), "CE2416");
    fs::remove_file(&key).unwrap();
    assert_eq!(place.refused(), "CE2415");
    assert_eq!(place.open().unwrap_err().code(), "CE2415", "no key is made for a vault that has one");
}

#[test]
fn a_key_that_is_lost_is_not_made_anew_under_a_vault() {
    let place = Place::filled();
    let mut vault = place.open().unwrap();
    fs::remove_file(place.dir.path().join("state/vault.key")).unwrap();
    assert_eq!(vault.set(&name("b"), &secret("x")).unwrap_err().code(), "CE2415");
    assert!(!place.dir.path().join("state/vault.key").exists());
}

#[test]
fn values_that_nothing_can_hold_are_refused_and_the_limit_itself_is_not() {
    let place = Place::new();
    let mut vault = place.open().unwrap();
    let mut refused = |value: Vec<u8>| vault.set(&name("a"), &Secret::from(value)).map_err(|e| e.code());
    assert_eq!(refused(Vec::new()), Err("CE2413"));
    assert_eq!(refused(vec![b'x'; VALUE_BYTES_MAX + 1]), Err("CE2413"));
    assert_eq!(refused(b"a\0b".to_vec()), Err("CE2413"));
    assert_eq!(refused(vec![0xff]), Err("CE2413"));
    assert_eq!(refused(vec![b'x'; VALUE_BYTES_MAX]), Ok(false));
}

#[test]
fn a_vault_takes_512_secrets_and_no_more() {
    let place = Place::new();
    let mut vault = place.open().unwrap();
    let names: Vec<Name> = (0..=SECRETS_MAX).map(|n| name(&format!("n{n}"))).collect();
    let value = secret("x");
    let all: Vec<(&Name, &Secret)> = names.iter().map(|n| (n, &value)).collect();
    assert_eq!(vault.set_all(&all).unwrap_err().code(), "CE2414");
    assert!(!place.open().unwrap().exists(), "all or none");
    vault.set_all(&all[1..]).unwrap();
    assert_eq!(vault.set(&names[0], &value).unwrap_err().code(), "CE2414");
    vault.set(&names[1], &value).unwrap();
}

#[test]
fn writers_at_the_same_time_lose_nothing_of_each_other() {
    const WRITERS: usize = 8;
    const EACH: usize = 6;
    let place = Place::new();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let place = &place;
            scope.spawn(move || {
                let mut vault = place.open().unwrap();
                for n in 0..EACH {
                    vault.set(&name(&format!("w{writer}-{n}")), &secret("x")).unwrap();
                }
            });
        }
        // A reader never sees half a file.
        for _ in 0..50 {
            place.open().unwrap();
        }
    });
    assert_eq!(place.open().unwrap().list().len(), WRITERS * EACH);
}

#[test]
fn what_a_killed_writer_left_behind_does_not_matter() {
    let place = Place::filled();
    fs::write(file::beside(&place.path(), "new"), b"cella-vault v1\n{\"sour").unwrap();
    let mut vault = place.open().unwrap();
    vault.set(&name("b"), &secret("x")).unwrap();
    assert!(!file::beside(&place.path(), "new").exists());
    assert_eq!(place.open().unwrap().list().len(), 2);
}

#[test]
fn a_file_that_is_no_file_of_ours_is_not_replaced() {
    let place = Place::new();
    fs::create_dir_all(place.path()).unwrap();
    assert_eq!(place.refused(), "CE2403");
}
