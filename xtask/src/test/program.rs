//! Programs that the tests run: started without input, with a time limit, in a process group of their own so that
//! nothing they started outlives them.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How often a silent program is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How a program ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It ran past its time and was killed.
    TimedOut,
}

/// Runs a program and hands over each line it writes, standard error included, as it comes.
///
/// # Errors
/// When the program cannot be started.
pub fn lines(command: &mut Command, limit: Duration, mut each: impl FnMut(&str)) -> Result<Ended, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cannot start {name}: {e}"))?;
    let (sender, receiver) = mpsc::channel::<String>();
    let out = child.stdout.take().map(|s| pump(s, sender.clone()));
    let err = child.stderr.take().map(|s| pump(s, sender));
    let deadline = Instant::now() + limit;
    let ended = loop {
        match receiver.recv_timeout(POLL) {
            Ok(line) => each(&line),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => thread::sleep(POLL),
        }
        if Instant::now() > deadline {
            break Ended::TimedOut;
        }
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            break Ended::Exited(status);
        }
    };
    end_group(&mut child);
    for pump in [out, err].into_iter().flatten() {
        let _panicked = pump.join().is_err();
    }
    receiver.try_iter().for_each(|line| each(&line));
    Ok(ended)
}

/// Runs a program to its end; the last lines it wrote when it fails.
///
/// # Errors
/// When it cannot be started, fails or takes too long.
pub fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let mut all = String::new();
    let ended = lines(command, limit, |line| {
        all.push_str(line);
        all.push('\n');
    })?;
    match ended {
        Ended::Exited(status) if status.success() => Ok(all),
        Ended::Exited(status) => Err(format!("{status}\n{}", tail(&all))),
        Ended::TimedOut => Err(format!("no end after {} s\n{}", limit.as_secs(), tail(&all))),
    }
}

/// The end of a long text.
fn tail(text: &str) -> String {
    const LINES_SHOWN: usize = 60;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}

fn pump(stream: impl std::io::Read + Send + 'static, sender: mpsc::Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    })
}

/// Ends whatever is left of the program's group. `kill` is a program here because xtask holds no unsafe code.
fn end_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _nothing_left =
        Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().is_err();
    let _already_reaped = child.wait().is_err();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_handed_over() {
        let text = run(&mut shell("echo out; echo err >&2"), Duration::from_secs(10)).expect("runs");
        assert!(text.contains("out") && text.contains("err"));
    }

    #[test]
    fn a_failure_carries_its_last_words() {
        let why = run(&mut shell("echo reason; exit 3"), Duration::from_secs(10)).expect_err("fails");
        assert!(why.contains("reason") && why.contains('3'), "{why}");
    }

    #[test]
    fn a_program_past_its_time_is_killed_with_its_children() {
        let why = run(&mut shell("sleep 600 & sleep 600"), Duration::from_millis(100)).expect_err("late");
        assert!(why.contains("no end"), "{why}");
    }
}
