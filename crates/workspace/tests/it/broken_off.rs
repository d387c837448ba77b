//! Commits that were killed: made again, or discarded.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use cella_workspace::{Kept, State};

use super::{Bench, conflicts, whiteout, write};

/// What is written down when a commit begins.
fn begun(bench: &Bench, kept: &Kept) -> Kept {
    let record = bench.dir.path().join("state/workspaces/deltas").join(&kept.id).join("record.json");
    let text = fs::read_to_string(&record).unwrap().replace("\"kept\"", "\"committing\"");
    fs::write(&record, text).unwrap();
    let kept = bench.store.find(&kept.id).unwrap();
    assert_eq!(kept.state, State::Committing);
    kept
}

fn close(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn own_names(bench: &Bench) -> Vec<PathBuf> {
    let entries = fs::read_dir(bench.root()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".cella-")).collect()
}

#[test]
fn a_directory_that_takes_the_place_of_a_file_is_finished_without_force() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("kept/one"), "1");
        write(&upper.join("kept/two"), "2");
        close(&upper.join("kept"), 0o750);
    });
    fs::remove_file(bench.root().join("kept")).unwrap();
    bench.host("kept/one", "1");
    close(&bench.root().join("kept"), 0o700);
    assert_eq!(conflicts(bench.store.commit(&kept, false).unwrap_err()), ["kept"], "nobody has begun");
    let kept = begun(&bench, &kept);
    bench.store.commit(&kept, false).unwrap();
    assert_eq!((bench.seen("kept/two").as_str(), mode(&bench.root().join("kept"))), ("2", 0o750));
}

#[test]
fn a_directory_that_was_opened_to_be_filled_is_closed_again_without_force() {
    let bench = Bench::new();
    close(&bench.root().join("dir"), 0o555);
    bench.tick();
    let kept = bench.run(|upper| {
        write(&upper.join("dir/three"), "3");
        whiteout(&upper.join("dir/one"));
        close(&upper.join("dir"), 0o500);
    });
    close(&bench.root().join("dir"), 0o755);
    bench.host("dir/three", "3");
    let kept = begun(&bench, &kept);
    bench.store.commit(&kept, false).unwrap();
    assert_eq!(mode(&bench.root().join("dir")), 0o500);
    assert!(!bench.root().join("dir/one").exists());
}

#[test]
fn what_somebody_else_changed_is_a_conflict_for_a_commit_that_goes_on_too() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("kept/one"), "1");
        write(&upper.join("changed"), "after");
    });
    let kept = begun(&bench, &kept);
    bench.host("changed", "somebody else");
    assert_eq!(conflicts(bench.store.commit(&kept, false).unwrap_err()), ["changed"]);
}

#[test]
fn a_discard_after_a_commit_that_broke_off_leaves_nothing_of_it_beside() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("changed"), "after");
        write(&upper.join("new"), "new");
    });
    let half = bench.root().join(format!(".cella-{}-1", kept.id));
    write(&half, "half");
    let somebodys = bench.root().join(".cella-other-1");
    write(&somebodys, "somebody's");
    bench.store.discard(&begun(&bench, &kept)).unwrap();
    assert_eq!(own_names(&bench), [somebodys]);
    assert_eq!(bench.seen("changed"), "before");
}

#[test]
fn a_directory_that_was_closed_last_is_not_looked_into_again() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("new/dir/file"), "new");
        whiteout_where_one_can(&upper.join("gone"));
        close(&upper.join("new/dir"), 0o200);
        close(&upper.join("new"), 0o000);
    });
    let first = bench.store.commit(&kept, false).unwrap();
    let record = bench.dir.path().join("state/workspaces/deltas").join(&kept.id).join("record.json");
    let text = fs::read_to_string(&record).unwrap().replace("\"committed\"", "\"committing\"");
    fs::write(&record, text).unwrap();
    let again = bench.store.commit(&bench.store.find(&kept.id).unwrap(), false).unwrap();
    assert_eq!((again.applied, again.already), (0, first.applied));
    close(&bench.root().join("new"), 0o700);
    close(&bench.root().join("new/dir"), 0o700);
    assert_eq!(bench.seen("new/dir/file"), "new");
}

/// Only root makes one by hand.
fn whiteout_where_one_can(path: &Path) {
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        whiteout(path);
    }
}
