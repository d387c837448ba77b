//! What every test stands on: a class, a directory of its own, and ways to run the same attempt inside and outside.

use std::{
    fs,
    future::Future,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use cella_cell::{Access, Cell, CellError, Class, Exit, Mount, Process, Program, Running, SpawnFuture, Spec};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Outcome, attempt};

/// Argument under which this binary runs one test.
pub(crate) const TEST_ARG: &str = "__test";
/// Longest time one program may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the cells of a test come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made when they are asked for.
    Cold,
    /// Shells that waited.
    Shell,
}

impl Origin {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Shell => "shell",
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        if word == Self::Shell.as_str() { Self::Shell } else { Self::Cold }
    }
}

/// The class, with cells from where the test wants them.
pub(crate) struct Source {
    pub(crate) process: Process,
    origin: Origin,
    turn: tokio::sync::Mutex<()>,
    /// Cells that came out of no shell although one waited.
    missed: AtomicUsize,
}

impl Cell for Source {
    fn class(&self) -> Class {
        self.process.class()
    }

    fn spawn<'a>(&'a self, spec: &'a Spec) -> SpawnFuture<'a> {
        match self.origin {
            Origin::Cold => self.process.spawn(spec),
            Origin::Shell => Box::pin(self.out_of_shell(spec)),
        }
    }
}

impl Source {
    /// A cell out of a shell. What cannot wait is refused when it is asked for, and must be refused as it is.
    async fn out_of_shell(&self, spec: &Spec) -> Result<Running, CellError> {
        // Two who start at the same time would take each other's.
        let _turn = self.turn.lock().await;
        let shells = self.process.keep_warm(spec, 1);
        if !shells.is_ready().await {
            return self.process.spawn(spec).await;
        }
        let waiting = shells.pids();
        let running = self.process.spawn(spec).await?;
        if !running.cell.pid().is_none_or(|pid| waiting.contains(&pid)) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(running)
    }
}

/// See the file's head.
pub(crate) struct Bench {
    pub(crate) class: Source,
    runtime: tokio::runtime::Runtime,
    dir: TempDir,
    exe: PathBuf,
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
}

impl Bench {
    pub(crate) fn new(name: &str, origin: Origin) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let dir =
            tempfile::Builder::new().prefix(&format!("cella-{name:.24}-")).tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).expect("permissions");
        let class = Source {
            process: runtime.block_on(async { Process::new() }),
            origin,
            turn: tokio::sync::Mutex::default(),
            missed: AtomicUsize::new(0),
        };
        Self { class, runtime, dir, exe: visible_exe() }
    }

    /// Fails if a cell that was to come out of a shell did not.
    pub(crate) fn all_from_shells(&self) -> Outcome {
        let missed = self.class.missed.load(Ordering::Relaxed);
        check(missed == 0, || format!("{missed} cells came out of no shell"))
    }

    pub(crate) fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("an answer in time") })
    }

    /// This binary, where every user may execute it.
    pub(crate) fn exe(&self) -> String {
        self.exe.to_string_lossy().into_owned()
    }

    /// A path in this test's own directory, real.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).expect("a directory").join(name)
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let file = self.path(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("directories");
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("permissions");
        file
    }

    /// A cell that runs a shell script.
    pub(crate) fn script(&self, script: &str) -> Spec {
        let program = Program {
            command: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            ..Program::default()
        };
        Spec::new("script", program)
    }

    /// A cell that makes an attempt of this binary.
    pub(crate) fn attempt(&self, words: &[&str]) -> Spec {
        let args = std::iter::once(attempt::ARG).chain(words.iter().copied());
        let program = Program {
            command: self.exe.clone(),
            args: args.map(str::to_owned).collect(),
            files: vec![self.exe.clone()],
            ..Program::default()
        };
        Spec::new(words[0], program)
    }

    pub(crate) fn spawn(&self, spec: &Spec) -> Result<Running, CellError> {
        self.block_on(self.class.spawn(spec))
    }

    /// Runs a cell to its end.
    pub(crate) fn run(&self, spec: &Spec) -> Ran {
        self.try_run(spec, "").unwrap_or_else(|error| panic!("{}: {error}; {}", error.code(), error.fix()))
    }

    pub(crate) fn try_run(&self, spec: &Spec, input: &str) -> Result<Ran, CellError> {
        self.block_on(async {
            let mut running = self.class.spawn(spec).await?;
            // A program that does not read may be gone by now.
            let _gone = running.stdin.write_all(input.as_bytes()).await;
            drop(running.stdin);
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let (out, err) = tokio::join!(
                running.stdout.read_to_end(&mut stdout),
                running.stderr.read_to_end(&mut stderr)
            );
            out?;
            err?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok(Ran { stdout: text(&stdout), stderr: text(&stderr), exit: running.cell.wait().await })
        })
    }

    /// The same attempt without a cell.
    pub(crate) fn outside(&self, words: &[&str]) -> String {
        let output = Command::new(&self.exe).arg(attempt::ARG).args(words).output().expect("a control run");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// This binary as something else, with pipes.
    pub(crate) fn command(&self, arg: &str) -> Command {
        let mut command = Command::new(&self.exe);
        command.arg(arg).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// An attempt that must fail inside and succeed outside: success is the word `OUT` on its output.
    pub(crate) fn must_not_get_out(&self, words: &[&str]) -> Outcome {
        self.must_not(&self.attempt(words), words)
    }

    pub(crate) fn must_not(&self, spec: &Spec, words: &[&str]) -> Outcome {
        let control = self.outside(words);
        check(control.contains("OUT"), || format!("the control run of {words:?} proves nothing: {control}"))?;
        let ran = self.run(spec);
        check(!ran.stdout.contains("OUT"), || format!("{words:?} got out: {ran:?}"))?;
        // A crash before the attempt would look like a wall.
        check(ran.stdout.contains("DENIED"), || format!("{words:?} was not made: {ran:?}"))
    }
}

/// Inside and outside under the same path.
pub(crate) fn mount(path: &Path, access: Access) -> Mount {
    Mount { source: path.to_owned(), target: path.to_owned(), access }
}

pub(crate) fn check(holds: bool, seen: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(seen()) }
}

/// For what cannot be tried here. The suite's runner counts it.
pub(crate) fn skip(why: &str) -> Outcome {
    println!("skipped: {why}");
    Ok(())
}

/// Runs a test in a process of its own, as this user or another.
pub(crate) fn run_apart(test: &str, uid: Option<u32>, origin: Origin) -> Outcome {
    let mut command = Command::new(visible_exe());
    command.args([TEST_ARG, test, origin.as_str()]).current_dir("/");
    if let Some(uid) = uid {
        command.uid(uid).gid(uid).env("HOME", "/nonexistent");
    }
    let output = command.output().map_err(|error| format!("this binary cannot be run again: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| println!("{line}"));
    check(output.status.success(), || format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// This binary where every user may execute it: a copy, once, if the build directory is somebody's own.
fn visible_exe() -> PathBuf {
    let exe = std::env::current_exe().expect("a path");
    let open =
        |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o005 == 0o005);
    if exe.ancestors().all(open) {
        return exe;
    }
    let copy = std::env::temp_dir().join(format!("cella-cell-it-{}", std::process::id()));
    if !copy.exists() {
        fs::copy(&exe, &copy).expect("a copy");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    copy
}
