//! Copies of directories of the host: what changes lands beside them, and nothing that a program does there is more than a
//! change of its copy.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use cella_cell::{Access, Mount, Spec};

use super::{
    Outcome, Test,
    bench::{Bench, check, mount, skip},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_copy_is_changed_and_the_host_stays_as_it_was", host_stays),
    ("what_is_made_in_a_copy_belongs_to_the_owner_of_its_layer", owner),
    ("a_private_file_of_the_owner_is_read_and_changed_in_a_copy", private_file),
    ("a_program_in_a_copy_forges_no_note_of_the_kernel", forged),
    ("a_program_in_a_copy_makes_no_whiteout_itself", whiteout),
    ("a_program_in_a_copy_cannot_reach_what_lies_below_it", below),
    ("a_link_in_a_copy_does_not_lead_out", link),
    ("what_is_masked_stays_hidden_in_a_copy", masked),
    ("a_grant_within_a_copy_is_what_it_says", nested),
    ("a_single_file_is_not_copied_but_refused", single_file),
    ("a_directory_with_something_mounted_in_it_is_refused", mounted_within),
    ("what_belongs_to_somebody_else_is_read_in_a_copy_and_neither_changed_nor_removed", somebody_elses),
    ("a_layer_that_is_not_there_is_a_refusal", no_layer),
    ("a_copy_leaves_no_mount_behind", no_mount),
];

/// A copy of a directory of the test, its layer beside it.
fn copied(bench: &Bench, mut spec: Spec, dir: &str) -> Spec {
    let (source, layer) = (bench.path(dir), layer_of(bench, dir));
    for part in ["upper", "work"] {
        fs::create_dir_all(layer.join(part)).expect("a layer");
    }
    spec.mounts.push(mount(&source, Access::Copy));
    spec.layers.insert(source, layer);
    spec
}

fn layer_of(bench: &Bench, dir: &str) -> PathBuf {
    bench.path(&format!("{dir}.layer"))
}

fn upper(bench: &Bench, path: &str) -> PathBuf {
    layer_of(bench, "tree").join("upper").join(path)
}

/// A small tree.
fn tree(bench: &Bench) -> PathBuf {
    bench.file("tree/kept", "kept\n", 0o644);
    bench.file("tree/gone", "gone\n", 0o644);
    bench.file("tree/changed", "before\n", 0o644);
    bench.file("tree/dir/inner", "inner\n", 0o644);
    let tree = bench.path("tree");
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o755)).expect("permissions");
    tree
}

/// Everything below a directory, with its content.
fn all(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(all(&path));
        } else {
            found.push((path.clone(), fs::read_to_string(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

fn host_stays(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let before = all(&tree);
    let script = format!(
        "cd {} && rm gone && echo after >changed && mv kept moved && rm -r dir && echo file >dir && \
         mkdir -p new/deep && echo new >new/deep/file && ln -s /etc/passwd link && cat changed moved dir new/deep/file && ls",
        tree.display()
    );
    let ran = bench.run(&copied(bench, bench.script(&script), "tree"));
    let said = "after\nkept\nfile\nnew\nchanged\ndir\nlink\nmoved\nnew\n";
    check(ran.stdout == said, || format!("{ran:?}"))?;
    check(all(&tree) == before, || format!("the host was changed: {:?}", all(&tree)))?;
    let text = |path: &str| fs::read_to_string(upper(bench, path)).unwrap_or_default();
    check(
        text("changed") == "after\n" && text("new/deep/file") == "new\n" && text("dir") == "file\n",
        || format!("{:?}", all(&upper(bench, ""))),
    )?;
    let whiteout = fs::symlink_metadata(upper(bench, "gone")).map_err(|error| error.to_string())?;
    check(whiteout.file_type().is_char_device() && whiteout.rdev() == 0, || format!("{whiteout:?}"))
}

fn owner(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let ran = bench.run(&copied(
        bench,
        bench.script(&format!(
            "cd {} && echo hi >new && echo x >>changed && stat -c %u new changed",
            tree.display()
        )),
        "tree",
    ));
    check(ran.stdout == "1000\n1000\n", || format!("{ran:?}"))?;
    let own = rustix::process::geteuid().as_raw();
    for name in ["new", "changed"] {
        let found = fs::metadata(upper(bench, name)).map(|found| found.uid());
        check(found.as_ref().is_ok_and(|found| *found == own), || format!("{name}: {found:?}"))?;
    }
    Ok(())
}

fn private_file(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    bench.file("tree/private", "mine\n", 0o600);
    let script = format!("cd {} && cat private && echo yours >private && cat private", tree.display());
    let ran = bench.run(&copied(bench, bench.script(&script), "tree"));
    check(ran.stdout == "mine\nyours\n", || format!("{ran:?}"))
}

/// The attribute that would make a directory hide what it was copied from.
fn forged(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let dir = tree.join("dir").display().to_string();
    let ran = bench.run(&copied(bench, bench.attempt(&["mark-opaque", &dir]), "tree"));
    // Escaped or refused, by the version of the kernel; either way it is no note.
    check(ran.stdout.contains("OUT") || ran.stdout.contains("DENIED"), || format!("{ran:?}"))?;
    let mut value = [0; 8];
    let noted = rustix::fs::getxattr(upper(bench, "dir"), "user.overlay.opaque", &mut value[..]);
    check(noted != Ok(1), || "the kernel would take it for its own note".into())?;
    let ran = bench.run(&copied(bench, bench.script(&format!("ls {dir}")), "tree"));
    check(ran.stdout == "inner\n", || format!("what lies below is hidden: {ran:?}"))
}

fn whiteout(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let node = tree.join("node").display().to_string();
    let ran = bench.run(&copied(bench, bench.attempt(&["make-whiteout", &node]), "tree"));
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))?;
    check(fs::symlink_metadata(upper(bench, "node")).is_err(), || "it is in the layer".into())
}

fn below(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let layer = layer_of(bench, "tree").display().to_string();
    let script = format!(
        "umount {0} 2>/dev/null; echo after >{0}/changed; cat {0}/../tree/changed; ls {layer} 2>/dev/null; ls -a {0}/..",
        tree.display()
    );
    let ran = bench.run(&copied(bench, bench.script(&script), "tree"));
    check(ran.stdout == "after\n.\n..\ntree\n", || format!("{ran:?}"))
}

fn link(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let canary = bench.file("outside/canary", "canary", 0o666);
    symlink(&canary, tree.join("way")).map_err(|error| error.to_string())?;
    let way = tree.join("way").display().to_string();
    let ran = bench.run(&copied(bench, bench.attempt(&["write", &way]), "tree"));
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))?;
    check(fs::read_to_string(&canary).is_ok_and(|text| text == "canary"), || "it was changed".into())
}

fn masked(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let token = bench.file("tree/state/token", "canary-51c2", 0o644);
    let mut spec = copied(bench, bench.attempt(&["read", &token.to_string_lossy()]), "tree");
    spec.masks = vec![tree.join("state")];
    let ran = bench.run(&spec);
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))
}

fn nested(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    let script = format!(
        "cd {} && echo direct >dir/made && echo copy >made && cat dir/inner dir/made made",
        tree.display()
    );
    let mut spec = copied(bench, bench.script(&script), "tree");
    spec.mounts.push(mount(&tree.join("dir"), Access::Write));
    let ran = bench.run(&spec);
    check(ran.stdout == "inner\ndirect\ncopy\n", || format!("{ran:?}"))?;
    check(tree.join("dir/made").exists() && !tree.join("made").exists(), || format!("{:?}", all(&tree)))?;
    check(!upper(bench, "dir").exists(), || "the grant within was copied".into())
}

fn single_file(bench: &Bench) -> Outcome {
    let file = bench.file("one/file", "text", 0o644);
    let refused = bench.try_run(&copied(bench, bench.script("true"), "one/file"), "").err();
    let told = refused.as_ref().is_some_and(|error| {
        error.code() == "CE2015"
            && error.to_string().contains(&*file.to_string_lossy())
            && !error.fix().is_empty()
    });
    check(told, || format!("{refused:?}"))
}

fn mounted_within(bench: &Bench) -> Outcome {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    if !table.lines().any(|line| line.split(' ').nth(4).is_some_and(|point| point.starts_with("/dev/"))) {
        return skip("nothing is mounted in /dev");
    }
    let mut spec = copied(bench, bench.script("true"), "dev");
    spec.mounts = vec![Mount { source: "/dev".into(), target: "/data".into(), access: Access::Copy }];
    spec.layers = [("/data".into(), layer_of(bench, "dev"))].into();
    let refused = bench.try_run(&spec, "").err();
    let told = refused
        .as_ref()
        .is_some_and(|error| error.code() == "CE2015" && error.to_string().contains("is mounted in it"));
    check(told, || format!("{refused:?}"))
}

fn somebody_elses(bench: &Bench) -> Outcome {
    if !bench.is_root() {
        return skip("only root can give a file away");
    }
    let tree = tree(bench);
    for name in ["other", "another"] {
        let file = bench.file(&format!("tree/{name}"), "theirs\n", 0o666);
        std::os::unix::fs::chown(file, Some(4242), Some(4242)).map_err(|error| error.to_string())?;
    }
    let script = format!(
        "cd {}; cat other; (echo mine >other) 2>/dev/null || echo no; rm -f another 2>/dev/null || echo no; ls",
        tree.display()
    );
    let ran = bench.run(&copied(bench, bench.script(&script), "tree"));
    check(ran.stdout == "theirs\nno\nno\nanother\nchanged\ndir\ngone\nkept\nother\n", || format!("{ran:?}"))?;
    check(fs::read_to_string(tree.join("other")).is_ok_and(|text| text == "theirs\n"), || "changed".into())
}

fn no_layer(bench: &Bench) -> Outcome {
    tree(bench);
    let spec = copied(bench, bench.script("true"), "tree");
    fs::remove_dir_all(layer_of(bench, "tree")).map_err(|error| error.to_string())?;
    let refused = bench.try_run(&spec, "").err();
    check(refused.as_ref().is_some_and(|error| error.code() == "CE2006"), || format!("{refused:?}"))
}

fn no_mount(bench: &Bench) -> Outcome {
    let tree = tree(bench);
    bench.run(&copied(bench, bench.script(&format!("echo x >{}/new", tree.display())), "tree"));
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    check(!table.contains(&*tree.to_string_lossy()), || table.clone())
}
