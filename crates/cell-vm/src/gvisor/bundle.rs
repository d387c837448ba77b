//! The OCI bundle: a directory with the root's mount points and made files, and what `runsc` is to do with it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use cella_cell::{CellError, Network, Spec};
use serde_json::{Value, json};

use crate::view::{HOME, PRIVATE, View};

/// Directories of the root that are always there.
const DIRS: [&str; 11] =
    ["dev", "proc", "sys", "tmp", "run", "home/cell", "etc", "var/tmp", "var/run", "opt", "srv"];

/// Writes it into `dir`.
pub(super) fn write(dir: &Path, spec: &Spec, view: &View) -> Result<(), CellError> {
    let root = dir.join("rootfs");
    make_root(&root, view)?;
    fs::create_dir(dir.join("empty-dir"))?;
    fs::write(dir.join("empty-file"), b"")?;
    fs::write(dir.join("shown.sh"), read_only(dir, view)?)?;
    let config = config(spec, view, dir);
    fs::write(dir.join("config.json"), config.to_string())?;
    Ok(())
}

/// Calls of the script's `show`, one for each part of the host that may only be read, and the places for them.
fn read_only(dir: &Path, view: &View) -> io::Result<String> {
    let mut calls = String::new();
    fs::create_dir(dir.join("shown"))?;
    for (number, shown) in view.shown.iter().enumerate().filter(|(_, shown)| !shown.write) {
        let place = dir.join("shown").join(number.to_string());
        if shown.is_dir {
            fs::create_dir(&place)?
        } else {
            fs::write(&place, b"")?
        }
        // One word for a shell, whatever is in it.
        let source = shown.source.to_string_lossy().replace('\'', r"'\''");
        calls.push_str(&format!("show '{source}' {number}\n"));
    }
    Ok(calls)
}

/// Mount points must exist before the root is made read-only.
fn make_root(root: &Path, view: &View) -> io::Result<()> {
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    for dir in DIRS {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    for shown in &view.shown {
        let place = inside(&shown.target);
        // Within another mount the place is that one's matter.
        let within = view
            .shown
            .iter()
            .any(|other| other.target != shown.target && shown.target.starts_with(&other.target));
        if within {
            continue;
        }
        if shown.is_dir {
            fs::create_dir_all(&place)?;
        } else {
            make_parent(&place)?;
            fs::write(&place, b"")?;
        }
    }
    for (path, bytes) in &view.files {
        let place = inside(path);
        if view.shown.iter().any(|shown| path.starts_with(&shown.target)) {
            continue;
        }
        make_parent(&place)?;
        fs::write(&place, bytes)?;
    }
    for (link, content) in &view.links {
        let place = inside(link);
        if view.shown.iter().any(|shown| link.starts_with(&shown.target)) {
            continue;
        }
        make_parent(&place)?;
        if fs::symlink_metadata(&place).is_err() {
            std::os::unix::fs::symlink(content, &place)?;
        }
    }
    Ok(())
}

fn make_parent(place: &Path) -> io::Result<()> {
    place.parent().map_or(Ok(()), fs::create_dir_all)
}

fn config(spec: &Spec, view: &View, dir: &Path) -> Value {
    let program = &spec.program;
    let cwd = program.cwd.clone().unwrap_or_else(|| PathBuf::from(HOME));
    let args: Vec<String> =
        std::iter::once(program.command.display().to_string()).chain(program.args.iter().cloned()).collect();
    let env: Vec<String> = spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let (uid, gid) = view.owner;
    // A brokered network is the one that `runsc` is started in.
    let brokered = matches!(spec.network, Network::Brokered { .. });
    let own = ["pid", "mount", "ipc", "uts"].into_iter().chain((!brokered).then_some("network"));
    let namespaces: Vec<Value> = own.map(|kind| json!({ "type": kind })).collect();
    json!({
        "ociVersion": "1.0.0",
        "process": {
            "terminal": false,
            "user": { "uid": uid, "gid": gid },
            "args": args,
            "env": env,
            "cwd": cwd,
            // Absent sets are empty sets.
            "capabilities": {},
            "noNewPrivileges": true,
            "rlimits": rlimits(spec),
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "cell",
        "mounts": mounts(spec, view, dir),
        "linux": { "namespaces": namespaces },
    })
}

fn rlimits(spec: &Spec) -> Vec<Value> {
    let limit = |kind: &str, value: u64| json!({ "type": kind, "soft": value, "hard": value });
    let limits = &spec.limits;
    let mut all = vec![limit("RLIMIT_NOFILE", limits.open_files), limit("RLIMIT_CORE", 0)];
    all.extend(limits.file_bytes.map(|bytes| limit("RLIMIT_FSIZE", bytes)));
    all.extend(limits.cpu_time.map(|time| limit("RLIMIT_CPU", time.as_secs().max(1))));
    all
}

fn mounts(spec: &Spec, view: &View, dir: &Path) -> Vec<Value> {
    let (uid, gid) = view.owner;
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] }),
    ];
    for (place, mode) in PRIVATE {
        let options = [
            format!("mode={mode:o}"),
            format!("uid={uid}"),
            format!("gid={gid}"),
            format!("size={}", spec.tmpfs.bytes),
        ];
        let options: Vec<String> = options.into_iter().chain(["nosuid".into(), "nodev".into()]).collect();
        mounts.push(json!({ "destination": place, "type": "tmpfs", "source": "tmpfs", "options": options }));
    }
    let bind = |source: &Path, target: &Path, access: &str| json!({ "destination": target, "type": "bind", "source": source, "options": ["rbind", access, "nosuid", "nodev"] });
    for (number, shown) in view.shown.iter().enumerate() {
        mounts.push(if shown.write {
            bind(&shown.source, &shown.target, "rw")
        } else {
            bind(&dir.join("shown").join(number.to_string()), &shown.target, "ro")
        });
    }
    for (target, is_dir) in &view.covers {
        mounts.push(bind(&dir.join(if *is_dir { "empty-dir" } else { "empty-file" }), target, "ro"));
    }
    mounts
}

#[cfg(test)]
mod tests {
    use cella_cell::{Program, Spec};

    use std::path::Path;

    use super::{View, config};

    #[test]
    fn a_program_gets_no_capability_no_network_and_nothing_writable_of_the_host() {
        let spec = Spec::new("test", Program { command: "/bin/sh".into(), ..Program::default() });
        let view = View::of(&spec).unwrap();
        let config = config(&spec, &view, Path::new("/d"));
        assert_eq!(config["process"]["capabilities"], serde_json::json!({}));
        assert_eq!(config["process"]["noNewPrivileges"], true);
        assert_eq!(config["root"]["readonly"], true);
        let kinds = config["linux"]["namespaces"].to_string();
        assert!(["pid", "network", "mount"].iter().all(|kind| kinds.contains(kind)));
        let binds = config["mounts"].as_array().unwrap().iter().filter(|mount| mount["type"] == "bind");
        assert!(binds.clone().count() > 0);
        assert!(binds.into_iter().all(|mount| mount["options"].as_array().unwrap().contains(&"ro".into())));
    }
}
