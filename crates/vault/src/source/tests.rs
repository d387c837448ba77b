use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

/// An environment of these variables.
fn env(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + use<> {
    let pairs: Vec<(String, OsString)> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    move |key| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const DIGITS: &str = "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff";

#[test]
fn what_the_user_names_comes_first_and_only_one_may_be_named() {
    let vault = Path::new("/nowhere/vault");
    let found = |pairs: &[(&str, &str)]| KeySource::find(vault, &env(pairs));
    assert_eq!(found(&[(KEY_FILE, "/k"), (CREDENTIALS, "/run")]).unwrap().kind(), SourceKind::File);
    assert_eq!(found(&[(KEY_COMMAND, "age -d")]).unwrap(), KeySource::Command("age -d".into()));
    assert_eq!(found(&[(KEY_COMMAND, "a"), (KEY_FILE, "b")]).unwrap_err().code(), "CE2418");
    assert!(matches!(
        found(&[(KEY_FILE, "")]).unwrap(),
        KeySource::File { named: false, .. } | KeySource::Keyring
    ));
}

#[test]
fn a_credential_is_taken_where_the_unit_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let vault = dir.path().join("vault");
    let in_dir = env(&[(CREDENTIALS, dir.path().to_str().unwrap())]);
    assert_ne!(KeySource::find(&vault, &in_dir).unwrap().kind(), SourceKind::Credential);
    fs::write(dir.path().join(CREDENTIAL), DIGITS).unwrap();
    let source = KeySource::find(&vault, &in_dir).unwrap();
    assert_eq!(source.kind(), SourceKind::Credential);
    assert_eq!(*source.read("").unwrap().hex(), DIGITS);
    fs::write(dir.path().join(CREDENTIAL), "a passphrase").unwrap();
    assert_eq!(source.read("").unwrap_err().code(), "CE2416");
    fs::remove_file(dir.path().join(CREDENTIAL)).unwrap();
    assert_eq!(source.make("").unwrap_err().code(), "CE2415");
}

#[test]
fn a_key_that_moves_to_a_safer_place_opens_the_same_vault() {
    let dir = tempfile::tempdir().unwrap();
    let vault = dir.path().join("vault");
    let key = dir.path().join("vault.key");
    let name = crate::Name::parse("a").unwrap();
    let source = KeySource::File { path: key.clone(), named: false, instead: None };
    let mut made = crate::Vault::open(&vault, source).unwrap();
    made.set(&name, &crate::Secret::from("x".to_owned())).unwrap();
    let run = dir.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::rename(&key, run.join(CREDENTIAL)).unwrap();
    let in_unit = env(&[(CREDENTIALS, run.to_str().unwrap())]);
    let by_hand = env(&[(KEY_COMMAND, &format!("cat {}", run.join(CREDENTIAL).display()))]);
    for var in [&in_unit as &dyn Fn(&str) -> Option<OsString>, &by_hand] {
        let source = KeySource::find(&vault, var).unwrap();
        assert_ne!(source.kind(), SourceKind::File);
        assert!(crate::Vault::open(&vault, source).unwrap().contains(&name));
    }
    let error = crate::Vault::open(&vault, KeySource::Credential(PathBuf::new())).unwrap_err();
    assert!(error.to_string().contains("CREDENTIALS_DIRECTORY is not set"), "{error}");
}

#[test]
fn a_key_file_is_made_once_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deeper/vault.key");
    let source = KeySource::File { path: path.clone(), named: false, instead: None };
    assert_eq!(source.read("").unwrap_err().code(), "CE2415");
    let key = source.make("").unwrap().hex();
    assert_eq!(*source.make("").unwrap().hex(), *key);
    assert_eq!(*source.read("").unwrap().hex(), *key);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    set_mode(&path, 0o640);
    assert_eq!(source.read("").unwrap_err().code(), "CE2410");
    assert!(source.protects().contains("root can"), "{}", source.protects());
}

#[test]
fn a_named_key_file_may_be_readable_for_others_but_not_writable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, format!("{DIGITS}\n")).unwrap();
    let source = KeySource::File { path: path.clone(), named: true, instead: None };
    set_mode(&path, 0o444);
    assert_eq!(*source.read("").unwrap().hex(), DIGITS);
    set_mode(&path, 0o664);
    assert_eq!(source.read("").unwrap_err().code(), "CE2410");
}

#[test]
fn a_program_that_prints_the_key_is_asked_without_a_shell() {
    let read = |line: &str| KeySource::Command(line.into()).make("");
    assert_eq!(*read(&format!("echo {DIGITS}")).unwrap().hex(), DIGITS);
    let left_behind = tempfile::NamedTempFile::new().unwrap();
    fs::write(left_behind.path(), format!("sleep 5 & echo {DIGITS}")).unwrap();
    let since = std::time::Instant::now();
    let held = read(&format!("sh {}", left_behind.path().display())).unwrap_err();
    assert_eq!(held.code(), "CE2417", "what keeps the pipe open is not waited for");
    assert!(since.elapsed().as_secs() < 30);
    for (line, code) in [
        ("", "CE2415"),
        ("no-such-program-anywhere", "CE2417"),
        ("false", "CE2417"),
        ("echo $(id)", "CE2416"),
        ("yes", "CE2417"),
    ] {
        assert_eq!(read(line).unwrap_err().code(), code, "{line}");
    }
}

#[test]
#[cfg(not(feature = "keyring"))]
fn a_keyring_that_cannot_be_had_is_said_with_the_reason() {
    let error = KeySource::Keyring.read("id").unwrap_err();
    assert_eq!(error.code(), "CE2417");
    assert!(error.to_string().contains("feature `keyring`"), "{error}");
    let source = KeySource::find(Path::new("/nowhere/vault"), &|_| None).unwrap();
    assert!(source.protects().contains("not in a keyring"), "{}", source.protects());
}
