//! What every test stands on: a driver that works here, a directory of its own, and ways to run a script inside and outside.

use std::{
    fs,
    future::Future,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use cella_cell::{Access, Cell, CellError, Exit, Mount, Program, Running, Spec};
use cella_cell_vm::{Choice, Probe, Vm};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Outcome;

/// Argument under which this binary runs one test.
pub(crate) const TEST_ARG: &str = "__test";
/// Where a kernel for guests lies, if not where the driver looks by itself.
pub(crate) const GUEST: &str = "CELLA_TEST_GUEST";
/// Longest time that one test may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// See the file's head.
pub(crate) struct Bench {
    pub(crate) class: Vm,
    pub(crate) driver: String,
    runtime: tokio::runtime::Runtime,
    dir: TempDir,
}

/// What a program did.
#[derive(Debug)]
#[expect(dead_code, reason = "some of it is only shown when a check fails")]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
}

impl Bench {
    /// `None` where the driver cannot be used, which is said.
    pub(crate) fn new(driver: &str, name: &str) -> Option<Self> {
        let made = super::driver(driver);
        if let Probe::Unusable { why, fix } = made.probe() {
            println!("skipped: {driver} {why}; {fix}");
            return None;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let dir = tempfile::Builder::new().prefix(&format!("it-{name:.24}-")).tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let class = Vm::with(Choice::Auto, vec![Arc::from(made)]);
        Some(Self { class, driver: driver.to_owned(), runtime: runtime.expect("a runtime"), dir })
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("an answer in time") })
    }

    /// A path in this test's own directory, real.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).expect("a directory").join(name)
    }

    /// A file in it that everybody may read.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("directories");
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("permissions");
        file
    }

    pub(crate) fn spawn(&self, spec: &Spec) -> Result<Running, CellError> {
        self.block_on(self.class.spawn(spec))
    }

    /// Runs a cell to its end.
    pub(crate) fn run(&self, spec: &Spec) -> Ran {
        self.run_in(&self.class, spec)
    }

    /// The same in another class.
    pub(crate) fn run_in(&self, class: &Vm, spec: &Spec) -> Ran {
        self.block_on(async {
            let spawned = class.spawn(spec).await;
            let mut running =
                spawned.unwrap_or_else(|error| panic!("{}: {error}; {}", error.code(), error.fix()));
            // A program that does not read may be gone by now.
            let _gone = running.stdin.write_all(b"").await;
            drop(running.stdin);
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let (out, err) = tokio::join!(
                running.stdout.read_to_end(&mut stdout),
                running.stderr.read_to_end(&mut stderr)
            );
            out.and(err).expect("the whole output");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ran { stdout: text(&stdout), stderr: text(&stderr), exit: running.cell.wait().await }
        })
    }

    /// The same script without a cell.
    pub(crate) fn outside(&self, script: &str) -> String {
        let output = Command::new("/bin/sh").args(["-c", script]).output().expect("a control run");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A script that says OUT when it got out: outside it must, inside it must say DENIED.
    pub(crate) fn must_not_get_out(&self, text: &str) -> Outcome {
        let text = format!("if {text}; then echo OUT; else echo DENIED; fi");
        let control = self.outside(&text);
        check(control.contains("OUT"), || format!("the control run of `{text}` proves nothing: {control}"))?;
        let ran = self.run(&script(&text));
        // A crash before the attempt would look like a wall.
        check(ran.stdout.trim() == "DENIED", || format!("`{text}` got out or was not made: {ran:?}"))
    }
}

/// A cell that runs a shell script.
pub(crate) fn script(text: &str) -> Spec {
    let program =
        Program { command: "/bin/sh".into(), args: vec!["-c".into(), text.into()], ..Program::default() };
    Spec::new("script", program)
}

/// Inside and outside under the same path.
pub(crate) fn mount(path: &Path, access: Access) -> Mount {
    Mount { source: path.to_owned(), target: path.to_owned(), access }
}

pub(crate) fn check(holds: bool, seen: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(seen()) }
}

/// Runs a test in a process of its own, as this user or another.
pub(crate) fn run_apart(driver: &str, test: &str, uid: Option<u32>, snapshots: &Path) -> Outcome {
    let mut command = Command::new(visible_exe());
    command.args([TEST_ARG, driver, test]).current_dir("/").env(super::SNAPSHOTS, snapshots);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid).env("HOME", "/nonexistent");
    }
    let output = command.output().map_err(|error| format!("this binary cannot be run again: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines()
        .filter(|line| ["skipped: ", "measured: "].iter().any(|word| line.starts_with(word)))
        .for_each(|line| println!("{line}"));
    check(output.status.success(), || format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// This binary where every user may execute it: a copy, once, if the build directory is somebody's own.
pub(crate) fn visible_exe() -> PathBuf {
    let exe = std::env::current_exe().expect("a path");
    let open =
        |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o005 == 0o005);
    if exe.ancestors().all(open) {
        return exe;
    }
    let copy = std::env::temp_dir().join(format!("cella-cell-vm-it-{}", std::process::id()));
    if !copy.exists() {
        fs::copy(&exe, &copy).expect("a copy");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    copy
}
