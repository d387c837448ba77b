//! A vault whose key is in a real keyring, on a bus of its own.

#![cfg(feature = "keyring")]

use std::{ffi::OsString, process::Command};

use cella_vault::{KeySource, Name, Secret, SourceKind, Vault};

/// Starts an unlocked keyring with the default collection that a login makes, and then the second half of this test.
const SESSION: &str = "printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null && \
    exec \"$0\" --ignored --exact within_the_session";

fn nothing(_: &str) -> Option<OsString> {
    None
}

#[test]
#[ignore = "needs dbus-run-session and gnome-keyring-daemon"]
fn a_key_is_kept_in_the_keyring_of_the_session() {
    let home = tempfile::tempdir().expect("a directory");
    let this = std::env::current_exe().expect("a path");
    let status = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", SESSION])
        .arg(this)
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .env("XDG_DATA_HOME", home.path())
        .env("CELLA_TEST_SESSION", "1")
        .status();
    assert!(status.expect("dbus-run-session").success());
}

#[test]
#[ignore = "the second half of the test above"]
fn within_the_session() {
    if std::env::var_os("CELLA_TEST_SESSION").is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("vault");
    let name = Name::parse("a").expect("a name");
    let source = KeySource::find(&path, &nothing).expect("a source");
    assert_eq!(source.kind(), SourceKind::Keyring, "{}", source.protects());
    let mut vault = Vault::open(&path, source).expect("opened");
    vault.set(&name, &Secret::from("value".to_owned())).expect("set");
    let source = KeySource::find(&path, &nothing).expect("a source");
    assert_eq!(source.kind(), SourceKind::Keyring);
    let vault = Vault::open(&path, source).expect("opened again");
    assert_eq!(vault.get(&name).expect("there").expose_text(), Some("value"));
    assert!(!dir.path().join("vault.key").exists());
    // Another vault has another key.
    let other = dir.path().join("other");
    let mut vault = Vault::open(&other, KeySource::Keyring).expect("opened");
    vault.set(&name, &Secret::from("value".to_owned())).expect("set");
    std::fs::copy(&path, &other).expect("copied");
    Vault::open(&other, KeySource::Keyring).expect("the copy of a vault opens with the key of that vault");
}

#[test]
fn without_a_bus_the_key_goes_to_a_file_and_the_reason_is_said() {
    let this = std::env::current_exe().expect("a path");
    let status = Command::new(this)
        .args(["--ignored", "--exact", "within_no_session"])
        .env_clear()
        .env("CELLA_TEST_SESSION", "1")
        .status();
    assert!(status.expect("started").success());
}

#[test]
#[ignore = "the second half of the test above"]
fn within_no_session() {
    if std::env::var_os("CELLA_TEST_SESSION").is_none() {
        return;
    }
    let source = KeySource::find("/nowhere/vault".as_ref(), &nothing).expect("a source");
    assert_eq!(source.kind(), SourceKind::File);
    assert!(source.protects().contains("there is no D-Bus session here"), "{}", source.protects());
    let error = Vault::open("/nowhere/vault", KeySource::Keyring).map(|vault| vault.exists());
    assert!(matches!(error, Ok(false)), "an empty vault asks for no key");
}
