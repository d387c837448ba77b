//! Files of the host: only what is declared, only as declared.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use cella_cell::{Access, Mount};

use super::{
    Outcome, Test,
    bench::{Bench, check, mount, skip},
};

/// In this test a shell may show what is not there any more when it is asked for, and is not used then.
pub(crate) const HOST_CHANGES: &str = "a_path_swapped_for_a_link_is_refused_or_harmless";

pub(crate) const TESTS: &[Test] = &[
    ("a_canary_on_the_host_is_not_read", canary_is_not_read),
    ("another_servers_directory_is_not_read", other_directory),
    ("a_file_on_the_host_is_not_written", not_written),
    ("the_systems_directories_are_not_written", system_is_read_only),
    ("a_read_mount_is_not_changed", read_mount),
    ("a_link_made_inside_does_not_lead_out", link_made_inside),
    ("a_link_in_a_mount_does_not_lead_out", link_in_mount),
    ("proc_root_of_another_process_does_not_lead_out", proc_root),
    ("etc_is_synthesised_without_secrets", etc_without_secrets),
    ("a_write_mount_is_written_as_its_owner", write_mount_owner),
    ("a_mount_below_a_link_of_the_root_is_seen_at_both_places", mount_below_link),
    ("a_private_file_of_the_owner_is_read_in_a_declared_mount", private_file_of_owner),
    ("a_single_file_can_be_mounted", single_file),
    ("a_mount_source_through_a_link_is_refused", source_through_link),
    ("a_missing_mount_source_is_refused", missing_source),
    ("a_mount_point_is_never_made_on_the_host", mount_point_on_host),
    (HOST_CHANGES, swapped_path),
    ("a_setuid_program_gives_no_rights", setuid),
    ("no_setuid_file_is_left_on_the_host", no_setuid_file),
    ("what_is_masked_stays_hidden_in_a_mount", masked),
    ("what_is_needed_within_a_mask_is_shown", shown_within_mask),
    ("device_nodes_are_dead", device_nodes),
];

const SECRET: &str = "canary-7d1f";

fn canary_is_not_read(bench: &Bench) -> Outcome {
    let dir = if bench.is_root() { "/root" } else { "/var/tmp" };
    let dir = tempfile::tempdir_in(dir).map_err(|error| error.to_string())?;
    let file = dir.path().join("canary");
    fs::write(&file, SECRET).map_err(|error| error.to_string())?;
    bench.must_not_get_out(&["read", &file.to_string_lossy()])
}

fn other_directory(bench: &Bench) -> Outcome {
    let other = bench.file("other/canary", SECRET, 0o644);
    let own = bench.file("own/file", "mine", 0o644);
    let words = ["read", &other.to_string_lossy()];
    let mut spec = bench.attempt(&words);
    spec.mounts = vec![mount(own.parent().expect("a parent"), Access::Write)];
    bench.must_not(&spec, &words)
}

fn not_written(bench: &Bench) -> Outcome {
    let file = bench.path("written");
    let words = ["write", &file.to_string_lossy()];
    let spec = bench.attempt(&words);
    let ran = bench.run(&spec);
    // Its directory does not exist inside, nor is it made.
    check(ran.stdout.contains("DENIED") && !file.exists(), || format!("{ran:?}"))?;
    check(bench.outside(&words).contains("OUT") && file.exists(), || "control".into())
}

fn system_is_read_only(bench: &Bench) -> Outcome {
    if !bench.is_root() {
        return skip("a plain user cannot write there outside either");
    }
    let file = format!("/usr/local/share/cella-it-{}", std::process::id());
    bench.must_not_get_out(&["write", &file])?;
    fs::remove_file(&file).map_err(|error| format!("the control run left nothing: {error}"))?;
    let ran = bench.run(&bench.attempt(&["append", "/etc/passwd"]));
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))
}

fn read_mount(bench: &Bench) -> Outcome {
    let file = bench.file("shown/file", SECRET, 0o666);
    let path = file.to_string_lossy().into_owned();
    let dir = file.parent().expect("a parent");
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).map_err(|error| error.to_string())?;
    for attempt in ["append", "chmod", "remove"] {
        let mut spec = bench.attempt(&[attempt, &path]);
        spec.mounts = vec![mount(dir, Access::Read)];
        let ran = bench.run(&spec);
        let untouched = fs::read_to_string(&file).is_ok_and(|text| text == SECRET)
            && fs::metadata(&file).is_ok_and(|metadata| metadata.mode() & 0o777 == 0o666);
        check(ran.stdout.contains("DENIED") && untouched, || format!("{attempt}: {ran:?}"))?;
    }
    let mut spec = bench.attempt(&["read", &path]);
    spec.mounts = vec![mount(dir, Access::Read)];
    check(bench.run(&spec).stdout.contains(SECRET), || "a declared file is not readable".into())?;
    for attempt in ["append", "chmod", "remove"] {
        check(bench.outside(&[attempt, &path]).contains("OUT"), || format!("the control of {attempt}"))?;
    }
    Ok(())
}

fn link_made_inside(bench: &Bench) -> Outcome {
    let canary = bench.file("hidden/canary", SECRET, 0o644);
    let work = bench.path("work");
    fs::create_dir(&work).map_err(|error| error.to_string())?;
    let words = ["read-through-link", &work.to_string_lossy(), &canary.to_string_lossy()];
    let mut spec = bench.attempt(&words);
    spec.mounts = vec![mount(&work, Access::Write)];
    bench.must_not(&spec, &words)
}

fn link_in_mount(bench: &Bench) -> Outcome {
    let canary = bench.file("hidden/canary", SECRET, 0o644);
    let work = bench.file("work/file", "", 0o644).parent().expect("a parent").to_owned();
    let link = work.join("link");
    symlink(&canary, &link).map_err(|error| error.to_string())?;
    let words = ["read", &link.to_string_lossy()];
    let mut spec = bench.attempt(&words);
    spec.mounts = vec![mount(&work, Access::Read)];
    bench.must_not(&spec, &words)
}

fn proc_root(bench: &Bench) -> Outcome {
    let canary = bench.file("hidden/canary", SECRET, 0o644);
    let path = format!("/proc/{}/root{}", std::process::id(), canary.display());
    bench.must_not_get_out(&["read", &path])?;
    for process in ["1", "self", "2"] {
        let ran = bench.run(&bench.attempt(&["read", &format!("/proc/{process}/root{}", canary.display())]));
        check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))?;
    }
    let ran =
        bench.run(&bench.attempt(&["read", &format!("/proc/self/cwd/../../../..{}", canary.display())]));
    check(ran.stdout.contains("DENIED"), || format!("{ran:?}"))
}

fn etc_without_secrets(bench: &Bench) -> Outcome {
    let ran = bench
        .run(&bench.script("cat /etc/passwd; ls -A /etc /etc/ssl; ls /root /sys /run /var/lib /boot; true"));
    let host = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let host_user = host.lines().last().unwrap_or("nobody-at-all");
    check(ran.stdout.contains("cell:x:1000") && !ran.stdout.contains(host_user), || format!("{ran:?}"))?;
    let secrets = ["shadow", "private", "ssh", "sudoers"];
    let shown = secrets.iter().find(|name| ran.stdout.lines().any(|line| line == **name));
    check(shown.is_none(), || format!("{shown:?} is shown"))?;
    check(ran.stderr.matches("cannot access").count() == 5, || format!("{ran:?}"))
}

fn write_mount_owner(bench: &Bench) -> Outcome {
    let work = bench.path("work");
    fs::create_dir(&work).map_err(|error| error.to_string())?;
    fs::set_permissions(&work, fs::Permissions::from_mode(0o700)).map_err(|error| error.to_string())?;
    let mut spec =
        bench.script(&format!("cd {} && echo hi >new && mkdir d && id -u && stat -c %u new", work.display()));
    spec.mounts = vec![mount(&work, Access::Write)];
    let ran = bench.run(&spec);
    check(ran.stdout == "1000\n1000\n", || format!("{ran:?}"))?;
    let owner = |name: &str| fs::metadata(work.join(name)).map(|metadata| (metadata.uid(), metadata.gid()));
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    check(owner("new").is_ok_and(|found| found == own), || format!("{:?}", owner("new")))?;
    check(owner("d").is_ok_and(|found| found == own), || format!("{:?}", owner("d")))
}

fn mount_below_link(bench: &Bench) -> Outcome {
    let shown = bench.file("shown/mark", "seen\n", 0o644);
    let dir = shown.parent().ok_or("no parent")?;
    let mut spec = bench.script("cat /var/tmp/a/mark /tmp/a/mark /var/run/b/mark /run/b/mark");
    let at = |target: &str| Mount { target: target.into(), ..mount(dir, Access::Read) };
    spec.mounts = vec![at("/var/tmp/a"), at("/var/run/b")];
    let ran = bench.run(&spec);
    check(ran.stdout == "seen\n".repeat(4), || format!("{ran:?}"))?;
    let mut spec = bench.script("cat /var/tmp/mark; echo x >/tmp/x && ls /tmp");
    spec.mounts = vec![at("/var/tmp")];
    let ran = bench.run(&spec);
    check(ran.stdout == "seen\nx\n", || format!("{ran:?}"))
}

fn private_file_of_owner(bench: &Bench) -> Outcome {
    let file = bench.file("shown/private", SECRET, 0o600);
    let mut spec = bench.script(&format!("cat {}", file.display()));
    spec.mounts = vec![mount(file.parent().expect("a parent"), Access::Read)];
    let ran = bench.run(&spec);
    check(ran.stdout == SECRET, || format!("{ran:?}"))
}

fn single_file(bench: &Bench) -> Outcome {
    let file = bench.file("some/file", SECRET, 0o600);
    bench.file("some/neighbour", SECRET, 0o644);
    let mut spec = bench.script("cat /data/renamed; echo new >/data/renamed; ls /data");
    spec.mounts = vec![Mount { source: file.clone(), target: "/data/renamed".into(), access: Access::Write }];
    let ran = bench.run(&spec);
    check(ran.stdout == format!("{SECRET}renamed\n"), || format!("{ran:?}"))?;
    check(fs::read_to_string(&file).is_ok_and(|text| text == "new\n"), || "not written".into())
}

fn source_through_link(bench: &Bench) -> Outcome {
    let real = bench.file("real/file", SECRET, 0o644);
    symlink(bench.path("real"), bench.path("link")).map_err(|error| error.to_string())?;
    for source in [bench.path("link"), bench.path("link/file")] {
        let mut spec = bench.script("true");
        spec.mounts = vec![Mount { source, target: "/data".into(), access: Access::Read }];
        let refused = bench.try_run(&spec, "").err();
        let good = refused.as_ref().is_some_and(|error| {
            error.code() == "CE2006" && error.to_string().contains(&*bench.path("real").to_string_lossy())
        });
        check(good, || format!("{refused:?}"))?;
    }
    drop(real);
    Ok(())
}

fn missing_source(bench: &Bench) -> Outcome {
    let mut spec = bench.script("true");
    spec.mounts = vec![mount(&bench.path("nothing"), Access::Read)];
    let refused = bench.try_run(&spec, "").err();
    check(refused.as_ref().is_some_and(|error| error.to_string().contains("does not exist")), || {
        format!("{refused:?}")
    })
}

fn mount_point_on_host(bench: &Bench) -> Outcome {
    let outer = bench.path("outer");
    fs::create_dir(&outer).map_err(|error| error.to_string())?;
    let inner = bench.file("inner/file", "", 0o644).parent().expect("a parent").to_owned();
    let mut spec = bench.script("true");
    spec.mounts = vec![
        mount(&outer, Access::Write),
        Mount { source: inner, target: outer.join("made/here"), access: Access::Read },
    ];
    let refused = bench.try_run(&spec, "").err();
    check(refused.as_ref().is_some_and(|error| error.code() == "CE2006"), || format!("{refused:?}"))?;
    check(!outer.join("made").exists(), || "a directory was made on the host".into())
}

/// A neighbour who can write beside the source swaps it for a link to a secret, over and over.
fn swapped_path(bench: &Bench) -> Outcome {
    let secret = bench.file("secret/file", SECRET, 0o644).parent().expect("a parent").to_owned();
    bench.file("data/dir/file", "harmless", 0o644);
    let (dir, aside) = (bench.path("data/dir"), bench.path("data/aside"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _swap = fs::rename(&dir, &aside).and_then(|()| symlink(&secret, &dir));
                let _back = fs::remove_file(&dir).and_then(|()| fs::rename(&aside, &dir));
            }
        });
        let mut spec = bench.script(&format!("cat {}/file", dir.display()));
        spec.mounts = vec![mount(&dir, Access::Read)];
        let leaked =
            (0..40).find_map(|_| bench.try_run(&spec, "").ok().filter(|ran| ran.stdout.contains(SECRET)));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        check(leaked.is_none(), || format!("{leaked:?}"))
    })
}

fn setuid(bench: &Bench) -> Outcome {
    if !bench.is_root() {
        return skip("only root can make a setuid-root program to try");
    }
    let id = bench.path("id");
    fs::copy("/usr/bin/id", &id).map_err(|error| error.to_string())?;
    fs::set_permissions(&id, fs::Permissions::from_mode(0o4755)).map_err(|error| error.to_string())?;
    let words = ["euid-of", &id.to_string_lossy()];
    let mut spec = bench.attempt(&words);
    spec.mounts = vec![mount(&id, Access::Read)];
    bench.must_not(&spec, &words)
}

/// A granted directory with a directory, a file and a socket in it that are nobody's business.
fn masked(bench: &Bench) -> Outcome {
    let token = bench.file("granted/state/token", SECRET, 0o644);
    let config = bench.file("granted/app/config", SECRET, 0o666);
    bench.file("granted/app/other", "harmless", 0o644);
    let granted = bench.path("granted");
    let (state, socket) = (granted.join("state"), granted.join("socket"));
    let _listener = std::os::unix::net::UnixListener::bind(&socket).map_err(|error| error.to_string())?;
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let masked = |words: &[&str]| {
        let mut spec = bench.attempt(words);
        spec.mounts = vec![mount(&granted, Access::Write)];
        spec.masks =
            vec![token.clone(), state.clone(), config.clone(), socket.clone(), granted.join("nothing")];
        spec
    };
    let made = text(&state.join("made"));
    for words in [["read", &text(&token)], ["list", &text(&state)], ["unix", &text(&socket)]] {
        bench.must_not(&masked(&words), &words)?;
    }
    for words in [["write", &made], ["append", &text(&config)], ["remove", &text(&config)]] {
        let ran = bench.run(&masked(&words));
        check(ran.stdout.contains("DENIED"), || format!("{words:?}: {ran:?}"))?;
    }
    check(fs::read_to_string(&config).is_ok_and(|text| text == SECRET), || "it was changed".into())?;
    check(!state.join("made").exists(), || "something was made".into())?;
    let mut spec = bench.script(&format!(
        "cd {}; cat app/config app/other; mv state moved; mv app/other app/config; echo new > app/new; ls",
        granted.display()
    ));
    spec.mounts = masked(&["read"]).mounts;
    spec.masks = masked(&["read"]).masks;
    let ran = bench.run(&spec);
    check(ran.stdout == "harmlessapp\nsocket\nstate\n", || format!("{ran:?}"))?;
    check(ran.stderr.matches("busy").count() == 2 && granted.join("app/new").exists(), || format!("{ran:?}"))
}

fn shown_within_mask(bench: &Bench) -> Outcome {
    bench.file("granted/store/secret", SECRET, 0o644);
    let program = bench.file("granted/store/package/run", "needed", 0o644);
    let granted = bench.path("granted");
    let mut spec = bench.script(&format!("cat {}; ls {}/store", program.display(), granted.display()));
    spec.mounts = vec![mount(&granted, Access::Read)];
    spec.masks = vec![granted.join("store")];
    spec.program.files = vec![granted.join("store/package")];
    let ran = bench.run(&spec);
    check(ran.stdout == "neededpackage\n", || format!("{ran:?}"))?;
    // What a program is shown of itself has the same holes.
    spec.mounts.clear();
    spec.program.files = vec![granted];
    let ran = bench.run(&spec);
    check(ran.stdout.is_empty() && ran.stderr.contains("No such file"), || format!("{ran:?}"))
}

fn no_setuid_file(bench: &Bench) -> Outcome {
    let ways = [
        "chmod",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "group-chmodat",
        "open",
        "openat",
        "openat2",
        "tmpfile",
        "creat",
        "mknod",
        "mknodat",
    ];
    let work = bench.file("work/file", "", 0o644).parent().expect("a parent").to_owned();
    let lends = |file: &std::path::Path| fs::metadata(file).is_ok_and(|made| made.mode() & 0o6000 != 0);
    for way in ways {
        let (inside, outside) = (work.join(way), work.join(format!("{way}-outside")));
        let control = bench.outside(&["lend", way, &outside.to_string_lossy()]);
        check(lends(&outside), || format!("the control run of {way} proves nothing: {control}"))?;
        let mut spec = bench.attempt(&["lend", way, &inside.to_string_lossy()]);
        spec.mounts = vec![mount(&work, Access::Write)];
        let ran = bench.run(&spec);
        check(ran.stdout.contains("DENIED") && !lends(&inside), || format!("{way}: {ran:?}"))?;
    }
    // Ordinary modes, and opening with rubbish where a mode would be, are nobody's business.
    let mut spec = bench
        .script(&format!("umask 0; cp -p /bin/true {0}/t; chmod 1777 {0}/t; cat {0}/file", work.display()));
    spec.mounts = vec![mount(&work, Access::Write)];
    let ran = bench.run(&spec);
    check(ran.exit.success() && ran.stderr.is_empty(), || format!("{ran:?}"))
}

fn device_nodes(bench: &Bench) -> Outcome {
    let ran = bench
        .run(&bench.script("mknod /tmp/mem c 1 1; mknod /tmp/zero c 1 5 && head -c1 /tmp/zero; ls /dev"));
    check(ran.stderr.matches("not permitted").count() + ran.stderr.matches("denied").count() >= 2, || {
        format!("{ran:?}")
    })?;
    let wanted = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"];
    check(ran.stdout.lines().eq(wanted), || format!("{ran:?}"))
}
