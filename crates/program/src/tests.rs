use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::program_files;
use cella_cell::{CellError, Program};

/// A made-up machine below a temporary directory.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join(path)
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn link(&self, path: &str, content: &Path) {
        let link = self.path(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(content, link).unwrap();
    }

    fn program(&self, command: &str, args: &[&str], cwd: Option<&str>) -> Result<Program, CellError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        program_files(command, &args, cwd.map(|dir| self.path(dir)).as_deref(), &OsString::from(path))
    }
}

#[test]
fn a_program_of_the_system_needs_nothing() {
    let program = Host::new().program("sh", &["-c", "true"], None).unwrap();
    assert!(program.files.is_empty() && program.hidden_paths.is_empty() && program.links.is_empty());
    assert!(program.command.ends_with("sh"));
}

#[test]
fn an_interpreter_elsewhere_brings_its_installation() {
    let host = Host::new();
    let real = host.file("opt/node/v20/bin/node", "\x7fELF");
    host.file("opt/node/v20/lib/x", "");
    host.link("bin/node", &real);
    let program = host.program("node", &[], None).unwrap();
    assert_eq!(program.command, host.path("bin/node"));
    assert!(program.files.contains(&host.path("opt/node/v20")), "{program:?}");
    assert!(!program.files.contains(&host.path("opt/node")));
}

#[test]
fn a_script_brings_its_package_and_what_it_is_given_beside_stays_hidden() {
    let host = Host::new();
    host.file("srv/app/package.json", "{}");
    let script = host.file("srv/app/dist/index.js", "");
    let data = host.file("data/secret.txt", "");
    let args = [script.to_str().unwrap(), data.to_str().unwrap()];
    let program = host.program("sh", &args, None).unwrap();
    assert_eq!(program.files, [host.path("srv/app")]);
    assert_eq!(program.hidden_paths, [data]);
}

#[test]
fn data_is_never_taken_for_a_script() {
    let host = Host::new();
    let config = host.file("home/.kube/config", "token");
    let tool = host.file("bin/kube-server", "\x7fELF");
    for args in [["--kubeconfig", config.to_str().unwrap()], [config.to_str().unwrap(), "--verbose"]] {
        let program = host.program("kube-server", &args, None).unwrap();
        assert_eq!(program.files, std::slice::from_ref(&tool));
        assert_eq!(program.hidden_paths, std::slice::from_ref(&config));
    }
    host.file("srv/app/package.json", "{}");
    let script = host.file("srv/app/index.js", "");
    let args = ["-e", "0", "--kubeconfig", config.to_str().unwrap()];
    assert_eq!(host.program("sh", &args, None).unwrap().hidden_paths, std::slice::from_ref(&config));
    let args = [script.to_str().unwrap(), config.to_str().unwrap()];
    let program = host.program("sh", &args, None).unwrap();
    assert_eq!((program.files, program.hidden_paths), (vec![host.path("srv/app")], vec![config]));
}

#[test]
fn a_script_among_settings_is_shown_alone() {
    let home = std::env::home_dir().expect("a home");
    let Ok(dir) = tempfile::Builder::new().prefix(".cella-test-").tempdir_in(&home) else { return };
    let dir = fs::canonicalize(dir.path()).unwrap();
    let script = dir.join("server.js");
    fs::write(&script, "").unwrap();
    // Even what looks like the root of a package: such directories hold credentials.
    fs::write(dir.join("package.json"), "{}").unwrap();
    let program = Host::new().program("sh", &[script.to_str().unwrap()], None).unwrap();
    assert_eq!(program.files, [script]);
}

#[test]
fn a_program_behind_a_link_brings_the_link_and_not_a_mount_through_it() {
    let host = Host::new();
    let real = host.file("opt/tool/run", "\x7fELF");
    host.link("bin/run", &real);
    let program = host.program("run", &[], None).unwrap();
    assert_eq!(program.command, host.path("bin/run"));
    assert_eq!(program.files, std::slice::from_ref(&real));
    assert_eq!(program.links, [(host.path("bin/run"), real)]);
}

#[test]
fn a_relative_script_is_found_in_the_working_directory() {
    let host = Host::new();
    host.file("srv/app/pyproject.toml", "");
    host.file("srv/app/src/server.py", "");
    let program = host.program("sh", &["src/server.py"], Some("srv/app")).unwrap();
    assert_eq!(program.files, [host.path("srv/app")]);
    assert!(program.hidden_paths.is_empty(), "{program:?}");
}

#[test]
fn a_module_is_shown_with_the_outermost_modules_directory() {
    let host = Host::new();
    let script = host.file("app/node_modules/a/node_modules/b/index.js", "");
    host.file("app/secret.env", "");
    let program = host.program("sh", &[script.to_str().unwrap()], None).unwrap();
    assert_eq!(program.files, [host.path("app/node_modules")]);
}

#[test]
fn a_virtual_environment_brings_the_python_it_was_made_from_and_the_links_between() {
    let host = Host::new();
    host.file("py/cpython-3.11.9/bin/python3.11", "\x7fELF");
    host.file("py/cpython-3.11.9/lib/x", "");
    host.link("py/cpython-3.11.9/bin/python3", Path::new("python3.11"));
    host.link("py/cpython-3.11", Path::new("cpython-3.11.9"));
    let home = host.path("py/cpython-3.11/bin");
    host.file("app/.venv/pyvenv.cfg", &format!("home = {}\nversion = 3.11\n", home.display()));
    host.link("app/.venv/bin/python", &home.join("python3"));
    let shebang = format!("#!{}\n", host.path("app/.venv/bin/python").display());
    let server = host.file("app/.venv/bin/server", &shebang);
    let program = host.program(server.to_str().unwrap(), &[], None).unwrap();
    assert_eq!(program.files, [host.path("app/.venv"), host.path("py/cpython-3.11.9")]);
    assert_eq!(program.links, [(host.path("py/cpython-3.11"), PathBuf::from("cpython-3.11.9"))]);
}

#[test]
fn an_interpreter_looked_up_by_env_is_put_on_the_path_inside() {
    let host = Host::new();
    host.file("bin/deno", "\x7fELF");
    let script = host.file("app/run", "#!/usr/bin/env -S deno run\n");
    let program = host.program(script.to_str().unwrap(), &[], None).unwrap();
    assert_eq!(program.path_dirs, [host.path("bin")]);
    assert_eq!(program.files, [host.path("app"), host.path("bin/deno")]);
}

#[test]
fn a_version_switchers_shim_is_followed_to_the_real_program() {
    let host = Host::new();
    host.file("env/shims/python3", "#!/bin/sh\n");
    host.file("env/version", "3.12.1\n3.11.7\n");
    let real = host.file("env/versions/3.11.7/bin/python3", "\x7fELF");
    host.file("env/versions/3.11.7/lib/x", "");
    let path = OsString::from(host.path("env/shims"));
    let program = program_files("python3", &[], None, &path).unwrap();
    assert_eq!(program.command, real);
    assert_eq!(program.files, [host.path("env/versions/3.11.7")]);
}

#[test]
fn a_missing_program_says_so() {
    let error = Host::new().program("no-such-program-anywhere", &[], None).unwrap_err();
    assert_eq!(error.code(), "CE2001");
    let error = Host::new().program("./relative", &[], None).unwrap_err();
    assert!(error.to_string().contains("cwd"), "{error}");
}
