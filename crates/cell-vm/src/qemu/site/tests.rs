use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
};

use cella_cell::Limits;
use tokio::net::UnixListener;

use super::{MACHINES, Site};
use crate::{
    groups::{Groups, Overhead},
    tools,
};

const SOMEBODY: u32 = 65_534;

fn site() -> Site {
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let owner = if own.0 == 0 { (SOMEBODY, SOMEBODY) } else { own };
    let groups =
        Groups::make(&tools::next_name(), &Limits::default(), Overhead { memory_bytes: 0, threads: None });
    Site::lay_out(owner, groups).unwrap()
}

#[test]
fn nothing_but_an_empty_directory_is_the_machines() {
    let site = site();
    site.file("kernel", &mut &b"kernel"[..]).unwrap();
    let of = |name: &str| fs::symlink_metadata(site.dir.path().join(name)).unwrap();
    let own = rustix::process::geteuid().as_raw();
    for (name, mode) in [("node", 0o700), ("node/log", 0o600), ("kernel", 0o644)] {
        assert_eq!((of(name).uid(), of(name).mode() & 0o777), (own, mode), "{name}");
    }
    assert_eq!(of(MACHINES).uid(), site.owner.0);
    assert_eq!(fs::read_dir(site.dir.path().join(MACHINES)).unwrap().count(), 0);
    let top = fs::metadata(site.dir.path()).unwrap();
    assert_eq!((top.uid(), top.mode() & 0o022), (own, 0));
}

#[test]
fn a_complaint_is_what_was_said_and_not_what_lies_in_its_place() {
    use std::io::Write;
    let site = site();
    (&site.log).write_all(&[&[b'x'; 4000][..], b" no machine\n"].concat()).unwrap();
    let log = site.dir.path().join("node/log");
    fs::remove_file(&log).unwrap();
    symlink("/etc/passwd", &log).unwrap();
    let said = site.complaint();
    assert!(said.ends_with("x no machine") && said.len() <= 2048, "{said}");
}

#[tokio::test]
async fn a_link_to_a_socket_of_somebody_elses_is_not_taken_for_the_machines() {
    let site = site();
    let own = site.owner.0 == rustix::process::geteuid().as_raw();
    let elsewhere = tempfile::tempdir().unwrap();
    let _listens = UnixListener::bind(elsewhere.path().join("control")).unwrap();
    symlink(elsewhere.path().join("control"), site.place("control")).unwrap();
    // A node that is not root has a machine of its own user.
    assert_eq!(site.connected("control").await.is_ok(), own);
}
