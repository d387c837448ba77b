//! Other ways to run a program, from nothing around it to a kernel of its own.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cella_cell::{DEFAULT_PATH, Spec};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Failed;

/// A way that this machine has.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Measured in every round of so many: slow ones would make the run long.
    pub(crate) every: usize,
    way: Way,
}

enum Way {
    Plain,
    Bubblewrap(PathBuf),
    /// With a place for its bundle.
    Runc(PathBuf, TempDir),
    Gvisor(PathBuf),
}

/// Those that are installed.
pub(crate) fn all() -> Result<Vec<Peer>, Failed> {
    let mut peers = vec![Peer { name: "plain", every: 1, way: Way::Plain }];
    let mut add = |name, every, way: Option<Way>| {
        peers.extend(way.map(|way| Peer { name, every, way }));
    };
    add("bwrap", 1, found("bwrap").map(Way::Bubblewrap));
    let bundle = tempfile::Builder::new().prefix("cella-bench-").tempdir()?;
    add("runc", 5, found("runc").map(|runc| Way::Runc(runc, bundle)));
    add("runsc do", 10, found("runsc").map(Way::Gvisor));
    Ok(peers)
}

fn found(program: &str) -> Option<PathBuf> {
    let dirs = ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/local/sbin"];
    dirs.into_iter().map(|dir| Path::new(dir).join(program)).find(|path| path.exists())
}

impl Peer {
    /// Time to the first byte of standard output.
    pub(crate) fn first_byte(&self, spec: &Spec) -> Result<Duration, Failed> {
        let mut command = self.command(spec)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let mut out = child.stdout.take().ok_or("no pipe")?;
        out.read_exact(&mut [0]).map_err(|error| format!("{}: {error}", self.name))?;
        let taken = began.elapsed();
        out.read_to_end(&mut Vec::new())?;
        child.wait()?;
        Ok(taken)
    }

    fn command(&self, spec: &Spec) -> Result<Command, Failed> {
        let program = &spec.program;
        let path = program.command.to_str().ok_or("a path that is no text")?;
        let line: Vec<&str> = std::iter::once(path).chain(program.args.iter().map(String::as_str)).collect();
        Ok(match &self.way {
            Way::Plain => {
                let mut command = Command::new(path);
                command.args(&program.args).env_clear().envs(&spec.env);
                command
            }
            Way::Bubblewrap(bwrap) => {
                let mut command = Command::new(bwrap);
                command.args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
                command.args(["--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]).args(line);
                command
            }
            Way::Runc(runc, bundle) => {
                write_bundle(bundle.path(), &line, spec)?;
                let mut command = Command::new(runc);
                command.arg("run").arg("--bundle").arg(bundle.path());
                command.arg(format!("cella-bench-{}", std::process::id()));
                command
            }
            Way::Gvisor(runsc) => {
                let mut command = Command::new(runsc);
                command.args(["--network=none", "do"]).args(line);
                command
            }
        })
    }
}

/// A bundle with the same parts of this machine that a cell shows, read-only, and the usual walls (OCI runtime
/// specification 1.0).
fn write_bundle(dir: &Path, line: &[&str], spec: &Spec) -> Result<(), Failed> {
    let namespaces: Vec<Value> =
        ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind })).to_vec();
    let system = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"].map(PathBuf::from);
    let shown = system.iter().filter(|path| path.exists()).chain(&spec.program.files);
    let bound = shown.map(|path| {
        json!({ "destination": path, "type": "bind", "source": path, "options": ["rbind", "ro", "nosuid", "nodev"] })
    });
    let own = [
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] }),
        json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"] }),
    ];
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "user": { "uid": 0, "gid": 0 }, "args": line, "cwd": "/",
            "env": [format!("PATH={DEFAULT_PATH}"), "HOME=/tmp"], "noNewPrivileges": true, "capabilities": {},
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": own.into_iter().chain(bound).collect::<Vec<_>>(),
        "linux": { "namespaces": namespaces, "resources": { "memory": { "limit": 512 << 20 } } },
    });
    fs::create_dir_all(dir.join("rootfs"))?;
    Ok(fs::write(dir.join("config.json"), config.to_string())?)
}
