//! Checkpoints of real cells: made between two orders to a shell that lives on. This binary is its own launcher.
//!
//! `cargo test -p cella-workspace --test cell -- --ignored --nocapture` prints what a checkpoint of a gibibyte costs.
#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]
#![expect(clippy::print_stdout, reason = "figures, and why a test was skipped")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use cella_cell::{Access, Ask, Cell, Mount, Process, Program, Running, Spec};
use cella_contract::Contract;
use cella_event::{Kind, Seq};
use cella_ledger::{Ledger, Options};
use cella_workspace::{Checkpoint, Layers, Store, Workspace, Workspaces};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::unix::pipe,
};

/// What a large run has, in mebibytes, and how many files that is.
const LARGE: (u64, u64) = (1024, 1024);
/// What a checkpoint may come to after a mebibyte of it has changed.
const TIME_MAX_SECONDS: f64 = 1.0;
const BYTES_MAX: u64 = 2 << 20;

fn main() -> ExitCode {
    cella_cell::launcher_main();
    let started = || runtime().block_on(started_from_a_checkpoint()).map_err(Failed::from);
    let recorded = || runtime().block_on(on_record()).map_err(Failed::from);
    let owed = || runtime().block_on(owed_is_paid()).map_err(Failed::from);
    let large = || runtime().block_on(large_and_little_changed()).map_err(Failed::from);
    let trials = vec![
        Trial::test("a_second_cell_sees_what_was_there_at_the_checkpoint_and_nothing_later", started),
        Trial::test("a_checkpoint_is_on_record_with_what_it_is_of", recorded),
        Trial::test("what_a_node_kept_and_died_before_it_was_on_record_is_put_there_by_the_next", owed),
        Trial::test("a_checkpoint_of_a_gibibyte_with_a_mebibyte_changed", large).with_ignored_flag(true),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A directory of the host, and the workspaces over it.
struct Bench {
    dir: TempDir,
    ledger: Ledger,
    workspaces: Workspaces,
}

/// A shell in a cell that works on a copy of it.
struct Shell {
    running: Option<Running>,
    stdin: pipe::Sender,
    said: BufReader<pipe::Receiver>,
    workspace: Workspace,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("host")).unwrap();
        fs::write(dir.path().join("host/file"), "host\n").unwrap();
        let (ledger, _) = Ledger::open(&Options::new(dir.path().join("ledger"))).unwrap();
        let store = Store::new(dir.path().join("workspaces"));
        Self { dir, workspaces: Workspaces::of_node(store, ledger.clone()), ledger }
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.dir.path().join("host")).unwrap()
    }

    async fn shell(&self, from: Option<String>) -> Result<Shell, String> {
        let script = "while read -r line; do eval \"$line\"; echo done; done";
        let program = Program {
            command: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            ..Program::default()
        };
        let mut spec = Spec::new("shell", program);
        let root = self.root();
        spec.mounts.push(Mount { source: root.clone(), target: root, access: Access::Copy });
        spec.limits.processes = Ask::Prefer(100);
        let store = self.workspaces.store().clone();
        let layers = Layers::of(&mut spec, &Contract::parse("cell.toml", "").map_err(text)?, (store, from))
            .await
            .map_err(text)?
            .unwrap();
        let mut running = Process::new().spawn(&spec).await.map_err(text)?;
        let workspace = Workspace::new(layers, &running.cell);
        let (_, none) = pipe::pipe().map_err(text)?;
        let said = BufReader::new(std::mem::replace(&mut running.stdout, none));
        let (none, _) = pipe::pipe().map_err(text)?;
        let stdin = std::mem::replace(&mut running.stdin, none);
        Ok(Shell { running: Some(running), stdin, said, workspace })
    }

    /// What is on record of deltas that were captured.
    fn captured(&self) -> Result<Vec<serde_json::Value>, String> {
        let reader = self.ledger.reader();
        let head = reader.head().map_err(text)?;
        let mut captured = Vec::new();
        for entry in reader.range(Seq(1), head.seq) {
            let entry = entry.map_err(text)?;
            if entry.event.kind == Kind::WorkspaceCaptured {
                let event: serde_json::Value = serde_json::from_slice(&entry.canonical).map_err(text)?;
                captured.push(event["body"].clone());
            }
        }
        Ok(captured)
    }

    async fn checkpoint(&self, shell: &Shell) -> Result<Checkpoint, String> {
        self.workspaces.checkpoint(&shell.workspace).await.map_err(text)
    }
}

impl Shell {
    /// Carries an order out; gives what it printed.
    async fn does(&mut self, order: &str) -> Result<String, String> {
        self.stdin.write_all(format!("{order}\n").as_bytes()).await.map_err(text)?;
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            if self.said.read_line(&mut line).await.map_err(text)? == 0 {
                return Err(format!("it ended after {printed:?}"));
            }
            if line == "done\n" {
                return Ok(printed);
            }
            printed.push_str(&line);
        }
    }

    async fn ended(mut self) -> Workspace {
        drop(self.stdin);
        if let Some(running) = self.running.take() {
            running.cell.wait().await;
        }
        self.workspace
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn host(path: &Path) -> String {
    path.display().to_string()
}

async fn started_from_a_checkpoint() -> Result<(), String> {
    let bench = Bench::new();
    let root = host(&bench.root());
    let mut first = bench.shell(None).await?;
    first.does(&format!("cd {root}; echo early > file; echo early > new")).await?;
    let made = bench.checkpoint(&first).await?;
    println!("frozen: {}", made.frozen);
    let kept = made.kept.unwrap();
    first.does("echo late > file; echo late > late; rm new").await?;
    assert_eq!(first.does("cat file").await?, "late\n", "it lives on in its copy");
    let last = first.ended().await.capture().await.map_err(text)?.unwrap();
    assert_ne!(last.digest, kept.digest);
    let mut second = bench.shell(Some(kept.id.clone())).await?;
    assert_eq!(second.does(&format!("cd {root}; cat file new; ls")).await?, "early\nearly\nfile\nnew\n");
    let none = second.ended().await.capture().await.map_err(text)?;
    assert!(none.is_none(), "it changed nothing more");
    assert_eq!(fs::read_to_string(bench.root().join("file")).unwrap(), "host\n");
    Ok(())
}

async fn on_record() -> Result<(), String> {
    let bench = Bench::new();
    let mut shell = bench.shell(None).await?;
    shell.does(&format!("cd {}; echo one > one", host(&bench.root()))).await?;
    let first = bench.checkpoint(&shell).await?;
    let again = bench.checkpoint(&shell).await?;
    assert!(first.is_new && !again.is_new);
    let of = shell.workspace.id().to_owned();
    bench.workspaces.capture(shell.ended().await).await;
    let captured = bench.captured()?;
    assert_eq!(captured.len(), 2, "the second was the first");
    assert_eq!(captured[0]["checkpoint_of"], of);
    assert_eq!(captured[0]["workspace"], first.kept.unwrap().id);
    assert_eq!(captured[0]["frozen"], first.frozen);
    assert_eq!((captured[1]["workspace"].as_str(), captured[1].get("checkpoint_of")), (Some(&*of), None));
    Ok(())
}

async fn owed_is_paid() -> Result<(), String> {
    let bench = Bench::new();
    let mut shell = bench.shell(None).await?;
    shell.does(&format!("cd {}; echo one > one", host(&bench.root()))).await?;
    let made = bench.checkpoint(&shell).await?.kept.unwrap();
    let record = bench.dir.path().join("workspaces/deltas").join(&made.id).join("record.json");
    let noted: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    assert_eq!(noted.get("owed"), None, "it is on record");
    bench.workspaces.adopt().await.map_err(text)?;
    assert_eq!(bench.captured()?.len(), 1);
    // As it is while the event is being written.
    let mut noted = noted;
    noted["owed"] = true.into();
    fs::write(&record, noted.to_string()).unwrap();
    for _ in 0..2 {
        bench.workspaces.adopt().await.map_err(text)?;
    }
    let captured = bench.captured()?;
    assert_eq!(captured.len(), 2, "once, and not again");
    assert_eq!(captured[1]["checkpoint_of"], captured[0]["checkpoint_of"]);
    assert_eq!(captured[1]["orphaned"], true);
    shell.ended().await.discard().await;
    Ok(())
}

async fn large_and_little_changed() -> Result<(), String> {
    let bench = Bench::new();
    let (mebibytes, files) = LARGE;
    let mut shell = bench.shell(None).await?;
    let each = (mebibytes << 20) / files;
    let make = format!(
        "cd {}; i=0; while [ $i -lt {files} ]; do head -c {each} /dev/urandom > f$i; i=$((i+1)); done",
        host(&bench.root())
    );
    shell.does(&make).await?;
    for what in ["first", "unchanged", "after 1 MiB changed", "after 1 MiB changed", "after 1 MiB changed"] {
        if what.starts_with("after") {
            shell.does("head -c 1048576 /dev/urandom > f7").await?;
        }
        let began = Instant::now();
        let made = bench.checkpoint(&shell).await?;
        let took = began.elapsed().as_secs_f64();
        println!(
            "checkpoint of {mebibytes} MiB in {files} files, {what}: {took:.3} s, {} bytes read, {} stored, frozen: {} for {:?}",
            made.read, made.stored, made.frozen, made.still
        );
        let little = what != "first";
        assert!(!little || (took < TIME_MAX_SECONDS && made.stored <= BYTES_MAX), "{took} s, {made:?}");
    }
    shell.ended().await.discard().await;
    Ok(())
}
