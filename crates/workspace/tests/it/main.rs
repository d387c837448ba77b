//! Workspaces on a real file system: layers are filled as the kernel fills them, whiteouts and all.
#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod broken_off;
mod checkpoints;
mod vectors;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use cella_workspace::{About, After, COPY_BYTES, Delta, Kept, Layers, Seen, State, Store, WorkspaceError};
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
    store: Store,
}

impl Bench {
    /// A host's directory with a small tree in it.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("state/workspaces"));
        let bench = Self { dir, store };
        bench.host("kept", "kept");
        bench.host("changed", "before");
        bench.host("gone", "gone");
        bench.host("dir/one", "1");
        bench.host("dir/two", "2");
        bench.tick();
        bench
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join("host")
    }

    fn host(&self, path: &str, text: &str) {
        write(&self.root().join(path), text);
    }

    /// Lets the clock of the file system go on: what is made from here on is younger than what was there.
    fn tick(&self) {
        let time = || {
            let probe = self.dir.path().join("probe");
            fs::write(&probe, "").unwrap();
            let found = fs::metadata(&probe).unwrap();
            (found.ctime(), found.ctime_nsec())
        };
        let before = time();
        while time() == before {
            std::thread::yield_now();
        }
    }

    fn seen(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| error.kind().to_string())
    }

    fn begin(&self) -> Layers {
        self.store
            .begin(About { name: "exec".into(), ..About::default() }, &[self.root()], COPY_BYTES, None)
            .unwrap()
    }

    /// A run that does this in its layer.
    fn run(&self, does: impl FnOnce(&Path)) -> Kept {
        let layers = self.begin();
        does(&upper(&layers));
        layers.capture().unwrap().unwrap()
    }

    fn change(&self, kept: &Kept, path: &str) -> (Seen, After) {
        let delta = self.store.delta(kept).unwrap();
        let changes = delta.areas.into_iter().flat_map(|area| area.changes);
        let found = changes.into_iter().find(|change| change.path.to_string() == path).unwrap();
        (found.base, found.after)
    }
}

fn upper(layers: &Layers) -> PathBuf {
    layers.places().next().unwrap().1.join("upper")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What the kernel puts where something was removed.
fn whiteout(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

fn opaque(path: &Path) {
    fs::create_dir_all(path).unwrap();
    rustix::fs::setxattr(path, "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty()).unwrap();
}

fn conflicts(error: WorkspaceError) -> Vec<String> {
    let WorkspaceError::Conflicts { conflicts } = error else { panic!("{error}") };
    conflicts.iter().map(|conflict| conflict.path.to_string()).collect()
}

fn some_work(upper: &Path) {
    write(&upper.join("changed"), "after");
    write(&upper.join("new/deep/file"), "new");
    whiteout(&upper.join("gone"));
    symlink("/etc/passwd", upper.join("link")).unwrap();
}

#[test]
fn what_a_run_changed_is_kept_and_the_host_is_as_it_was() {
    let bench = Bench::new();
    let kept = bench.run(some_work);
    assert_eq!(bench.store.delta(&kept).unwrap().counts(), (4, 1, 1));
    assert_eq!((bench.seen("changed").as_str(), bench.seen("gone").as_str()), ("before", "gone"));
    assert!(matches!(bench.change(&kept, "gone"), (Seen::File { .. }, After::Removed)));
    assert_eq!(bench.store.list().unwrap(), vec![kept]);
    assert!(bench.store.running().unwrap().is_empty(), "its layers are gone");
}

#[test]
fn a_run_that_changed_nothing_leaves_nothing() {
    let bench = Bench::new();
    let layers = bench.begin();
    // Opened for writing, and a directory that the kernel copied on the way.
    write(&upper(&layers).join("changed"), "before");
    write(&upper(&layers).join("dir/one"), "1");
    assert_eq!(layers.capture().unwrap(), None);
    assert!(bench.store.list().unwrap().is_empty());
}

#[test]
fn a_commit_makes_the_host_what_the_copy_was() {
    let bench = Bench::new();
    let kept = bench.run(some_work);
    let committed = bench.store.commit(&kept, false).unwrap();
    assert_eq!((committed.applied, committed.already, committed.forced), (6, 0, 0));
    assert_eq!((bench.seen("changed").as_str(), bench.seen("new/deep/file").as_str()), ("after", "new"));
    assert!(!bench.root().join("gone").exists());
    assert_eq!(fs::read_link(bench.root().join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(bench.store.find(&kept.id).unwrap().state, State::Committed);
    let names: Vec<_> = fs::read_dir(bench.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with(".cella-")), "{names:?}");
    let again = bench.store.commit(&kept, false).unwrap();
    assert_eq!((again.applied, again.already), (0, 6));
}

#[test]
fn a_directory_becomes_a_file_and_a_file_a_directory() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("dir"), "a file");
        write(&upper.join("kept/inner"), "inner");
    });
    assert!(matches!(bench.change(&kept, "dir").0, Seen::Tree { entries: 2, .. }));
    bench.store.commit(&kept, false).unwrap();
    assert_eq!((bench.seen("dir").as_str(), bench.seen("kept/inner").as_str()), ("a file", "inner"));
}

#[test]
fn a_directory_that_was_made_anew_has_only_what_is_new_in_it() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        opaque(&upper.join("dir"));
        write(&upper.join("dir/three"), "3");
        write(&upper.join("dir/two"), "zwei");
    });
    assert!(matches!(bench.change(&kept, "dir").1, After::Directory { opaque: true, .. }));
    bench.store.commit(&kept, false).unwrap();
    assert_eq!((bench.seen("dir/three").as_str(), bench.seen("dir/two").as_str()), ("3", "zwei"));
    assert!(!bench.root().join("dir/one").exists());
}

#[test]
fn what_changed_on_the_host_is_a_conflict_and_nothing_at_all_is_committed() {
    let bench = Bench::new();
    let kept = bench.run(some_work);
    bench.host("changed", "somebody else");
    bench.host("new/deep/file", "somebody else too");
    let refused = bench.store.commit(&kept, false).unwrap_err();
    assert_eq!(refused.code(), "CE2502");
    assert_eq!(conflicts(refused), ["changed", "new/deep/file"]);
    assert_eq!(bench.seen("gone"), "gone");
    assert_eq!(bench.store.find(&kept.id).unwrap().state, State::Kept);
    let forced = bench.store.commit(&kept, true).unwrap();
    assert_eq!((forced.forced, bench.seen("changed").as_str()), (2, "after"));
}

#[test]
fn what_changed_on_the_host_while_the_cell_ran_is_a_conflict() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("changed"), "after");
        bench.tick();
        bench.host("changed", "meanwhile");
    });
    assert_eq!(bench.change(&kept, "changed").0, Seen::Changed);
    assert_eq!(conflicts(bench.store.commit(&kept, false).unwrap_err()), ["changed"]);
}

#[test]
fn what_replaced_an_earlier_own_file_does_not_hide_what_changed_on_the_host_between() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("changed"), "first");
        bench.tick();
        bench.host("changed", "meanwhile");
        bench.tick();
        write(&upper.join("temporary"), "second");
        fs::rename(upper.join("temporary"), upper.join("changed")).unwrap();
    });
    assert_eq!(bench.change(&kept, "changed").0, Seen::Changed);
    assert_eq!(conflicts(bench.store.commit(&kept, false).unwrap_err()), ["changed"]);
}

#[test]
fn what_the_kernel_copied_up_after_the_host_changed_is_made_of_that() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        bench.tick();
        bench.host("changed", "meanwhile");
        bench.tick();
        write(&upper.join("changed"), "meanwhile, and more");
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(upper.join("changed"), "user.overlay.origin", b"", flags).unwrap();
    });
    assert!(matches!(bench.change(&kept, "changed").0, Seen::File { size: 9, .. }));
    bench.store.commit(&kept, false).unwrap();
}

#[test]
fn a_removed_directory_is_removed_only_as_the_cell_saw_it() {
    let bench = Bench::new();
    let kept = bench.run(|upper| whiteout(&upper.join("dir")));
    bench.host("dir/three", "mine");
    assert_eq!(conflicts(bench.store.commit(&kept, false).unwrap_err()), ["dir"]);
    fs::remove_file(bench.root().join("dir/three")).unwrap();
    bench.store.commit(&kept, false).unwrap();
    assert!(!bench.root().join("dir").exists());
}

#[test]
fn no_link_on_the_host_is_followed() {
    let bench = Bench::new();
    let kept = bench.run(|upper| write(&upper.join("dir/made"), "x"));
    let outside = bench.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::rename(bench.root().join("dir"), bench.root().join("aside")).unwrap();
    symlink(&outside, bench.root().join("dir")).unwrap();
    assert_eq!(conflicts(bench.store.commit(&kept, false).unwrap_err()), ["dir/made"]);
    assert!(bench.store.commit(&kept, true).is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_link_in_the_layer_is_neither_read_nor_followed() {
    let bench = Bench::new();
    let secret = bench.dir.path().join("secret");
    write(&secret.join("file"), "secret");
    let kept = bench.run(|upper| {
        symlink(&secret, upper.join("way")).unwrap();
        symlink(secret.join("file"), upper.join("changed")).unwrap();
    });
    assert!(matches!(bench.change(&kept, "changed").1, After::Link { .. }));
    let delta = bench.store.delta(&kept).unwrap();
    assert_eq!((delta.areas[0].changes.len(), delta.contents().count()), (2, 0));
    bench.store.commit(&kept, false).unwrap();
    assert!(fs::symlink_metadata(bench.root().join("changed")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(secret.join("file")).unwrap(), "secret");
}

#[test]
fn a_commit_that_broke_off_goes_on() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        some_work(upper);
        write(&upper.join("dir"), "a file");
    });
    // It had done one, had made another and not yet placed it, and had exchanged a third and not yet removed the old one.
    bench.host("changed", "after");
    write(&bench.root().join(format!(".cella-{}-2", kept.id)), "half");
    fs::rename(bench.root().join("dir"), bench.root().join(format!(".cella-{}-1", kept.id))).unwrap();
    bench.host("dir", "a file");
    let committed = bench.store.commit(&kept, false).unwrap();
    assert_eq!((committed.applied, committed.already), (5, 2));
    let names: Vec<_> = fs::read_dir(bench.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with(".cella-")), "{names:?}");
}

#[test]
fn two_names_of_one_file_are_committed_one_after_the_other() {
    let bench = Bench::new();
    fs::hard_link(bench.root().join("kept"), bench.root().join("twin")).unwrap();
    bench.tick();
    let kept = bench.run(|upper| {
        whiteout(&upper.join("kept"));
        write(&upper.join("twin"), "its own now");
    });
    bench.store.commit(&kept, false).unwrap();
    assert_eq!((bench.seen("twin").as_str(), bench.root().join("kept").exists()), ("its own now", false));
}

#[test]
fn what_cannot_be_taken_back_wants_an_id() {
    let bench = Bench::new();
    let kept = bench.run(some_work);
    assert_eq!(bench.store.find("exec").unwrap(), kept, "a name is for looking");
    let named = bench.store.find_id("exec").unwrap_err();
    assert!(named.to_string().contains(&kept.id) && named.code() == "CE2501", "{named}");
    assert_eq!(bench.store.find_id(&kept.id[..4]).unwrap(), kept);
}

#[test]
fn a_discarded_workspace_takes_only_its_own_contents_along() {
    let bench = Bench::new();
    let one = bench.run(|upper| {
        write(&upper.join("a"), "shared");
        write(&upper.join("b"), "its own");
    });
    let two = bench.run(|upper| write(&upper.join("c"), "shared"));
    let contents: Vec<_> = bench.store.delta(&one).unwrap().contents().collect();
    let staged = bench.dir.path().join("state/workspaces/objects/.new-0");
    fs::write(&staged, "broke off").unwrap();
    bench.store.discard(&one).unwrap();
    assert!(!staged.exists());
    assert_eq!(bench.store.find(&one.id).unwrap_err().code(), "CE2501");
    let there = |digest| bench.store.content(digest, 100).is_ok();
    assert_eq!(contents.into_iter().map(there).collect::<Vec<_>>(), [true, false]);
    bench.store.commit(&two, false).unwrap();
    assert_eq!(bench.seen("c"), "shared");
}

#[test]
fn a_run_can_start_from_another_ones_changes() {
    let bench = Bench::new();
    let first = bench.run(some_work);
    let begin = || bench.store.begin(About::default(), &[bench.root()], COPY_BYTES, Some(&first.id)).unwrap();
    assert_eq!(begin().capture().unwrap(), None, "it changed nothing more");
    let layers = begin();
    let made = upper(&layers);
    assert_eq!(fs::read_to_string(made.join("changed")).unwrap(), "after");
    assert_eq!(fs::symlink_metadata(made.join("gone")).unwrap().rdev(), 0);
    write(&made.join("second"), "second");
    let second = layers.capture().unwrap().unwrap();
    assert_eq!(second.from, Some(first.id.clone()));
    let (one, two) = (bench.store.delta(&first).unwrap(), bench.store.delta(&second).unwrap());
    assert_eq!(two.parent, Some(one.digest()));
    assert_eq!(two.areas[0].changes.len(), one.areas[0].changes.len() + 1);
    bench.store.discard(&first).unwrap();
    bench.store.commit(&second, false).unwrap();
    assert_eq!((bench.seen("second").as_str(), bench.seen("changed").as_str()), ("second", "after"));
}

#[test]
fn a_run_does_not_start_from_changes_of_something_else() {
    let bench = Bench::new();
    let first = bench.run(some_work);
    let other = bench.dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let begun =
        bench.store.begin(About::default(), &[fs::canonicalize(other).unwrap()], COPY_BYTES, Some(&first.id));
    assert_eq!(begun.unwrap_err().code(), "CE2505");
    bench.host("changed", "meanwhile");
    let begun = bench.store.begin(About::default(), &[bench.root()], COPY_BYTES, Some(&first.id));
    assert_eq!(conflicts(begun.unwrap_err()), ["changed"]);
}

#[test]
fn layers_of_a_node_that_is_gone_are_found_and_captured() {
    let bench = Bench::new();
    let layers = bench.begin();
    some_work(&upper(&layers));
    assert!(bench.store.orphans().unwrap().is_empty(), "somebody works there");
    let id = layers.id().to_owned();
    assert_eq!(bench.store.find(&id).unwrap_err().code(), "CE2507");
    drop(layers);
    let mut orphans = bench.store.orphans().unwrap();
    let kept = orphans.remove(0).capture().unwrap().unwrap();
    assert_eq!(kept.id, id);
    bench.store.commit(&kept, false).unwrap();
    assert_eq!(bench.seen("changed"), "after");
}

#[test]
fn layers_are_kept_when_what_is_known_of_them_or_the_host_cannot_be_read() {
    let bench = Bench::new();
    let layers = bench.begin();
    some_work(&upper(&layers));
    let dir = bench.dir.path().join("state/workspaces/live").join(layers.id());
    drop(layers);
    let about = fs::read(dir.join("about.json")).unwrap();
    fs::write(dir.join("about.json"), &about[1..]).unwrap();
    assert!(bench.store.orphans().unwrap().is_empty());
    fs::write(dir.join("about.json"), about).unwrap();
    let away = bench.dir.path().join("away");
    fs::rename(bench.root(), &away).unwrap();
    assert_eq!(bench.store.orphans().unwrap().remove(0).capture().unwrap_err().code(), "CE2508");
    fs::rename(away, bench.root()).unwrap();
    let kept = bench.store.orphans().unwrap().remove(0).capture().unwrap().unwrap();
    assert!(matches!(bench.change(&kept, "gone").1, After::Removed));
}

#[test]
fn cellas_own_state_and_single_files_are_no_copies() {
    let bench = Bench::new();
    let dir = fs::canonicalize(bench.dir.path()).unwrap();
    let begin =
        |path: PathBuf| bench.store.begin(About::default(), &[path], COPY_BYTES, None).unwrap_err().code();
    assert_eq!(begin(dir.clone()), "CE2503");
    assert_eq!(begin(dir.join("state/workspaces/live")), "CE2503");
    assert_eq!(begin(bench.root().join("kept")), "CE2504");
}

#[test]
fn what_no_delta_can_hold_is_named() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        rustix::fs::mknodat(CWD, upper.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::create_dir_all(upper.join(["d"; 140].join("/"))).unwrap();
        fs::write(upper.join("closed"), "closed").unwrap();
        fs::set_permissions(upper.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    });
    let delta = bench.store.delta(&kept).unwrap();
    let named: Vec<_> = delta.areas[0].left_out.iter().map(|left| left.what.as_str()).collect();
    assert_eq!(named, ["too deep, or too long a name", "a named pipe"]);
    assert!(matches!(bench.change(&kept, "closed").1, After::File { mode: 0, .. }));
}

/// Told apart from root's case only where the tests run as somebody else.
#[test]
fn what_a_run_closed_is_measured_as_it_is_and_kept_with_its_mode() {
    let bench = Bench::new();
    let layers = bench.begin();
    let top = upper(&layers);
    let modes = [("listed", 0o444), ("hidden", 0o000), ("fixed", 0o555)];
    for (name, mode) in modes {
        write(&top.join(name).join("in/file"), name);
        fs::set_permissions(top.join(name).join("in"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let measured = layers.measure().take().unwrap();
    assert!(measured.entries >= 3 && !measured.is_over(COPY_BYTES));
    for (name, mode) in modes {
        assert_eq!(
            fs::symlink_metadata(top.join(name)).unwrap().mode() & 0o777,
            mode,
            "the cell would see it"
        );
    }
    fs::set_permissions(&top, fs::Permissions::from_mode(0o000)).unwrap();
    assert!(layers.measure().take().is_ok());
    let kept = layers.capture().unwrap().unwrap();
    for (name, mode) in modes {
        assert_eq!(bench.change(&kept, name).1, After::Directory { mode, opaque: false });
        assert!(matches!(bench.change(&kept, &format!("{name}/in")).1, After::Directory { mode: 0o555, .. }));
        assert!(matches!(bench.change(&kept, &format!("{name}/in/file")).1, After::File { .. }));
    }
    let live = bench.dir.path().join("state/workspaces/live");
    assert_eq!(fs::read_dir(live).unwrap().count(), 0, "closed directories are removed all the same");
}

#[test]
fn a_set_id_bit_is_not_kept() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("tool"), "x");
        fs::set_permissions(upper.join("tool"), fs::Permissions::from_mode(0o6755)).unwrap();
    });
    bench.store.commit(&kept, false).unwrap();
    assert_eq!(fs::metadata(bench.root().join("tool")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_file_past_the_limit_is_left_out_and_named() {
    let bench = Bench::new();
    let layers = bench.store.begin(About::default(), &[bench.root()], 1000, None).unwrap();
    write(&upper(&layers).join("large"), &"x".repeat(2000));
    write(&upper(&layers).join("small"), "x");
    assert!(layers.measure().take().unwrap().is_over(1000));
    let kept = layers.capture().unwrap().unwrap();
    let delta = bench.store.delta(&kept).unwrap();
    assert_eq!((delta.areas[0].changes.len(), delta.areas[0].left_out.len()), (1, 1));
}

#[test]
fn a_damaged_store_is_noticed_before_the_host_is_changed() {
    let bench = Bench::new();
    let kept = bench.run(|upper| write(&upper.join("changed"), "after"));
    let manifest = bench.dir.path().join("state/workspaces/deltas").join(&kept.id).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("changed", "chang%65d")).unwrap();
    assert_eq!(bench.store.commit(&kept, false).unwrap_err().code(), "CE2506");
    fs::write(&manifest, text.replace("\"changed\"", "\"../changed\"")).unwrap();
    assert_eq!(bench.store.commit(&kept, false).unwrap_err().code(), "CE2506");
    fs::write(&manifest, &text).unwrap();
    let Some(After::File { sha256, .. }) = Some(bench.change(&kept, "changed").1) else { panic!("no file") };
    let digest = sha256.to_string();
    let object = bench.dir.path().join("state/workspaces/objects").join(&digest[..2]).join(&digest[2..]);
    fs::write(object, "other").unwrap();
    assert_eq!(bench.store.commit(&kept, false).unwrap_err().code(), "CE2506");
    assert_eq!(bench.seen("changed"), "before");
    assert!(Delta::parse(&text).is_ok());
    fs::remove_file(&manifest).unwrap();
    let sound = bench.run(|upper| write(&upper.join("sound"), "x"));
    bench.store.discard(&bench.store.find(&kept.id).unwrap()).unwrap();
    assert_eq!(bench.store.list().unwrap(), [sound]);
}

#[test]
fn a_workspace_without_its_record_is_listed_and_can_be_discarded() {
    let bench = Bench::new();
    let kept = bench.run(|upper| write(&upper.join("changed"), "after"));
    let sound = bench.run(|upper| write(&upper.join("sound"), "x"));
    let deltas = bench.dir.path().join("state/workspaces/deltas");
    fs::write(deltas.join(&kept.id).join("record.json"), "{").unwrap();
    let found = bench.store.find(&kept.id).unwrap();
    assert_eq!(found.state, State::Damaged);
    assert!(bench.store.commit(&found, true).is_err());
    bench.store.commit(&sound, false).unwrap();
    bench.store.discard(&found).unwrap();
    assert_eq!(fs::read_dir(&deltas).unwrap().count(), 1);
    fs::create_dir(deltas.join(".new-0")).unwrap();
    bench.store.orphans().unwrap();
    assert_eq!(
        fs::read_dir(&deltas).unwrap().count(),
        1,
        "a discard that broke off is finished at the start"
    );
    assert_eq!((bench.store.list().unwrap().len(), bench.seen("changed").as_str()), (1, "before"));
}

#[test]
fn a_content_that_is_gone_is_noticed_before_the_first_path_is_changed() {
    let bench = Bench::new();
    let kept = bench.run(|upper| {
        write(&upper.join("changed"), "after");
        write(&upper.join("last"), "lost");
    });
    let Some(After::File { sha256, .. }) = Some(bench.change(&kept, "last").1) else { panic!("no file") };
    let digest = sha256.to_string();
    let objects = bench.dir.path().join("state/workspaces/objects");
    fs::remove_file(objects.join(&digest[..2]).join(&digest[2..])).unwrap();
    assert_eq!(bench.store.commit(&kept, false).unwrap_err().code(), "CE2506");
    assert_eq!(bench.seen("changed"), "before");
    assert_eq!(bench.store.find(&kept.id).unwrap().state, State::Kept);
}
