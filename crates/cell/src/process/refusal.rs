//! Turns what a launcher met into words for the operator.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::wire::{Failure, Step};
use crate::{CellError, Program};

/// What a failure means, without knowing the specification.
pub(crate) fn explain(failure: &Failure) -> CellError {
    let cause = failure.detail.clone();
    let wall = |wall: &str| CellError::Wall { wall: wall.into(), cause: cause.clone() };
    let path = failure.path.clone().unwrap_or_default();
    match failure.step {
        Step::Order => CellError::Launcher { cause },
        Step::Namespaces | Step::IdMap => user_namespaces(cause),
        // Ubuntu lets a plain user make the namespace and then denies every capability in it.
        Step::Mount | Step::Proc | Step::Network | Step::Identity if apparmor_restricts() => {
            user_namespaces(cause)
        }
        Step::NamespaceLock => wall("lock on new user namespaces"),
        Step::Source => CellError::Mount { path: path.clone(), cause: source_cause(&path, failure, cause) },
        Step::Idmapped => CellError::Idmap { path, cause },
        Step::Overlay => CellError::Overlay { path, cause },
        Step::Mount if failure.path.is_some() => CellError::Mount { path, cause },
        Step::Mount => wall("file tree"),
        Step::Proc => CellError::Wall {
            wall: "/proc".into(),
            cause: format!(
                "{cause}; inside a container, /proc must not be masked (podman, docker: unmask=/proc/*)"
            ),
        },
        Step::Network => wall("network"),
        Step::Identity => wall("user"),
        Step::Limits => wall("process limits"),
        Step::Cgroup => wall("control groups"),
        Step::Landlock => CellError::Landlock { cause },
        Step::Seccomp => wall("system call filter"),
        Step::Capabilities => wall("capabilities"),
        Step::WorkingDirectory => {
            CellError::MissingInside { path, hint: Some(format!("the working directory: {cause}")) }
        }
        Step::Exec => CellError::Exec { path, cause },
        Step::Gone => CellError::Launcher { cause: "the process that was to become the program died".into() },
    }
}

/// As [`explain`], with what the program is known to need.
pub(crate) fn refuse(failure: &Failure, program: &Program) -> CellError {
    if failure.step == Step::Exec && failure.errno == Some(libc::ENOENT) {
        return missing(program);
    }
    explain(failure)
}

/// The executable was not found inside: it, or the interpreter that its first line names.
fn missing(program: &Program) -> CellError {
    let command = &program.command;
    let interpreter = shebang(command).and_then(|words| words.first().map(PathBuf::from));
    if let Some(interpreter) = interpreter.filter(|path| path != command) {
        let hint = Some(format!("the interpreter that `{}` names in its first line", command.display()));
        return CellError::MissingInside { path: interpreter, hint };
    }
    let hint =
        if command.exists() { "it exists on the host, but is not shown inside" } else { "it does not exist" };
    CellError::MissingInside { path: command.clone(), hint: Some(hint.into()) }
}

/// The words of a script's first line: the interpreter and its arguments. `None` if it is no script.
pub fn shebang(script: &Path) -> Option<Vec<String>> {
    use io::Read;
    /// Bytes of the line that the kernel looks at (`BINPRM_BUF_SIZE`).
    const LINE_BYTES: u64 = 256;
    let mut start = Vec::new();
    fs::File::open(script).ok()?.take(LINE_BYTES).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

fn source_cause(path: &Path, failure: &Failure, cause: String) -> String {
    match (failure.errno, fs::canonicalize(path)) {
        (Some(libc::ENOENT), _) => "it does not exist".into(),
        (Some(libc::ELOOP), Ok(real)) => {
            format!(
                "it leads through a symbolic link, which could be changed under way; its real path is `{}`",
                real.display()
            )
        }
        _ => cause,
    }
}

fn user_namespaces(cause: String) -> CellError {
    let setting = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let fix = if apparmor_restricts() {
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give the cella binary an AppArmor profile with `userns,`, \
         or run the node as root"
    } else if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        "sysctl kernel.unprivileged_userns_clone=1, or run the node as root"
    } else if setting("/proc/sys/user/max_user_namespaces") == "0" {
        "sysctl user.max_user_namespaces=15000"
    } else if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        "the container's system call filter forbids it: run the container with a profile that allows unshare, clone and mount"
    } else {
        "run `cella doctor`, and ask for user namespaces to be allowed on this machine"
    };
    CellError::UserNamespaces { cause, fix: fix.into() }
}

fn apparmor_restricts() -> bool {
    let setting = fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    !rustix::process::geteuid().is_root() && setting.is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::{explain, refuse};
    use crate::{
        CellError, Program,
        process::wire::{Failure, Step},
    };

    #[test]
    fn a_script_whose_interpreter_is_missing_says_which() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("run");
        std::fs::write(&script, "#! /opt/none/python3 -u\nprint()\n").unwrap();
        let failure = Failure::at(Step::Exec, &script, &io::Error::from_raw_os_error(libc::ENOENT));
        let error = refuse(&failure, &Program { command: script, ..Program::default() });
        let CellError::MissingInside { path, .. } = &error else { panic!("{error}") };
        assert_eq!(path, Path::new("/opt/none/python3"));
        assert_eq!(error.code(), "CE2002");
    }

    #[test]
    fn a_mount_through_a_link_names_the_real_path() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        let link = dir.path().join("link");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let failure = Failure::at(Step::Source, &link, &io::Error::from_raw_os_error(libc::ELOOP));
        assert!(explain(&failure).to_string().contains(&*real.to_string_lossy()));
    }
}
