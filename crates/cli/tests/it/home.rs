//! A user with an empty home directory, and `cella` run by that user.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// A home directory that goes when the test is over.
pub(crate) struct Home {
    dir: tempfile::TempDir,
}

/// What a run of `cella` left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A running node; killed when the test ends without stopping it.
pub(crate) struct Node {
    child: Child,
    /// What it said of itself.
    pub(crate) about: Value,
}

// === impl Home ===

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a file, with the directories above it.
    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }

    /// A configuration with built-in servers only, which need nothing of the machine.
    pub(crate) fn with_config() -> Self {
        let home = Self::new();
        home.write(
            ".config/cella/cella.toml",
            "[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.time]\ncommand = \"builtin:time\"\n",
        );
        home
    }

    /// `cella` with nothing of the caller's environment but `PATH`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cella"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn cella(&self, args: &[&str]) -> Ended {
        Ended::of(&mut self.command(args))
    }

    /// Starts a node and waits until it says that it accepts calls.
    pub(crate) fn up(&self) -> Node {
        Node::start(self.command(&["up", "--json"]))
    }

    /// Every file below the home directory with what it holds.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        gather(self.dir.path(), &mut found);
        found.sort();
        found
    }
}

fn gather(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, found);
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}

// === impl Ended ===

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The code of the error that was printed.
    pub(crate) fn code(&self) -> &str {
        let rest = self.err.split_once("error[").map_or("", |(_, rest)| rest);
        rest.split_once(']').map_or("", |(code, _)| code)
    }
}

// === impl Node ===

impl Node {
    /// Starts `cella up --json` and reads its announcement.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut text, mut out) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        // The announcement is one JSON document over several lines, and nothing follows it.
        while !text.ends_with("}\n") {
            assert!(out.read_line(&mut text).unwrap() > 0, "the node did not start: {text}");
        }
        Self { child, about: serde_json::from_str(&text).unwrap() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// SIGTERM; returns the exit status.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}
