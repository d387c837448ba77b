//! Starting the node that a client lacks, as a process of its own. Of several clients that come at once one starts it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio as Io},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    args::{Global, Stdio},
    codes,
    exit::{Code, Stop},
    target::{self, Reach},
};

/// How long a node may take to its first answer: it may have to check a ledger after a crash. Past it the client is told,
/// and the process is ended.
const START_MAX: Duration = Duration::from_secs(60);
/// Time between two looks at one that starts.
const START_LOOK: Duration = Duration::from_millis(50);
/// Lines of the log that a client is shown when a start fails.
const LOG_LINES: usize = 20;
/// Bytes at the end of the log that are looked at for them.
const LOG_BYTES: usize = 16 << 10;

/// Variables by which a supervisor speaks to the process that it started, which the node is not.
const SUPERVISION: [&str; 6] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Where the node's standard error goes.
struct Log(PathBuf);

/// The node for this configuration, started if there is none.
pub(super) async fn node(global: &Global, args: &Stdio) -> Result<Reach, Stop> {
    let state = target::places(global).state;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&state)
        .map_err(Stop::system(state.display()))?;
    let due = Instant::now() + START_MAX;
    let _only_one_starts = lock(&state.join("stdio.lock"), due).await?;
    let log = Log(state.join("stdio-node.log"));
    loop {
        if let Some(reach) = target::running(global, &args.target)? {
            return Ok(reach);
        }
        let mut child = spawn(global, args, &log)?;
        match answers(global, args, &mut child, due).await? {
            Answer::Yes(reach) => return Ok(reach),
            // Somebody else has the ledger: a node that starts or ends at this moment.
            Answer::Ended(status) if is_held(status) && Instant::now() < due => sleep(START_LOOK).await,
            Answer::Ended(status) => {
                let exit = if status.code() == Some(Code::Config.number().into()) {
                    Code::Config
                } else {
                    Code::Failed
                };
                return Err(log.failure(exit, &format!("the node did not start ({status})")));
            }
            Answer::Late => {
                let _ended_now = child.kill().and_then(|()| child.wait()).is_ok();
                let said = format!("the node did not answer within {} s", START_MAX.as_secs());
                return Err(log.failure(Code::TimedOut, &said));
            }
        }
    }
}

enum Answer {
    Yes(Reach),
    Ended(ExitStatus),
    Late,
}

async fn answers(global: &Global, args: &Stdio, child: &mut Child, due: Instant) -> Result<Answer, Stop> {
    while Instant::now() < due {
        if let Some(reach) = target::running(global, &args.target)? {
            return Ok(Answer::Yes(reach));
        }
        if let Some(status) = child.try_wait().map_err(Stop::system("the node's process"))? {
            return Ok(Answer::Ended(status));
        }
        sleep(START_LOOK).await;
    }
    Ok(Answer::Late)
}

fn is_held(status: ExitStatus) -> bool {
    status.code() == Some(Code::TimedOut.number().into())
}

/// The node makes itself independent of this process as its first deed.
fn spawn(global: &Global, args: &Stdio, log: &Log) -> Result<Child, Stop> {
    let program = std::env::current_exe().map_err(Stop::system("this program's own file"))?;
    let out = log.begin().map_err(Stop::system(log.0.display()))?;
    let copy = out.try_clone().map_err(Stop::system(log.0.display()))?;
    let mut command = Command::new(program);
    // The file that is meant, whatever the node's own directory is.
    command.arg("--config").arg(target::places(global).config);
    command.args(["--color", "never", "linger", "--idle", &args.linger]);
    for name in SUPERVISION {
        command.env_remove(name);
    }
    command.stdin(Io::null()).stdout(out).stderr(copy);
    command.spawn().map_err(Stop::system("starting a node"))
}

/// Held until dropped; the kernel drops it with its holder, however that died.
async fn lock(path: &Path, due: Instant) -> Result<File, Stop> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = open.map_err(Stop::system(path.display()))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < due => sleep(START_LOOK).await,
            Err(TryLockError::WouldBlock) => {
                let said = "another client has been starting the node for too long";
                return Err(Stop::new(Code::TimedOut, codes::NOT_RUNNING, said).fix("start it: cella up"));
            }
            Err(TryLockError::Error(error)) => return Err(Stop::system(path.display())(error)),
        }
    }
}

// === impl Log ===

impl Log {
    /// An empty log, for its owner only.
    fn begin(&self) -> io::Result<File> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().append(true).create_new(true).mode(0o600).open(&self.0)
    }

    fn failure(&self, exit: Code, said: &str) -> Stop {
        let text = fs::read(&self.0).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_BYTES)..]).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        let mut message = format!("{said}; the last lines of {}:", self.0.display());
        for line in last {
            message.push_str("\n  ");
            message.push_str(line);
        }
        Stop::new(exit, codes::NOT_STARTED, message).fix("see it at the terminal: cella up")
    }
}
