//! The key as a program prints it: `age`, a password store, a hardware token, a cloud's key service. Cella speaks none of
//! their protocols, and so has none of their thousands of lines.

use std::{
    io::Read as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use crate::{
    SourceKind, VaultError,
    key::Key,
    limits::{COMMAND_TIME_MAX, KEY_TEXT_BYTES_MAX},
};

/// How often it is looked whether the program has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest wait for what a program has printed once it has ended: it is in the pipe. Past it: `CE2417`.
const REST_TIME_MAX: Duration = Duration::from_secs(2);

/// The key that the program prints. Without a shell: the words of the line are the program and its arguments.
pub(super) fn read(line: &str) -> Result<Key, VaultError> {
    let kind = SourceKind::Command;
    let failed = |why: String| VaultError::Source { kind, why };
    let mut words = line.split_whitespace();
    let Some(program) = words.next() else {
        return Err(VaultError::NoKey { kind, why: "CELLA_VAULT_KEY_COMMAND is not set".into() });
    };
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("`{program}`: {e}")))?;
    let out = child.stdout.take();
    // On a thread of its own, because reading has no end of its own: a helper that the program left behind may hold the
    // pipe open.
    let (done, printed) = sync_channel(1);
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_TEXT_BYTES_MAX as usize));
        let read = out.map(|out| out.take(KEY_TEXT_BYTES_MAX).read_to_end(&mut text));
        let _nobody_waits_any_more = done.send((text, read));
    });
    let status = end(&mut child).map_err(|why| failed(format!("`{program}`: {why}")))?;
    if !status.success() {
        return Err(failed(format!("`{program}` ended with {status}")));
    }
    let text = match printed.recv_timeout(REST_TIME_MAX) {
        Ok((text, Some(Ok(_)))) => text,
        _ => return Err(failed(format!("`{program}` printed nothing that can be read"))),
    };
    Key::parse(&text).ok_or_else(|| VaultError::KeyText { kind, place: format!("what `{program}` prints") })
}

/// Waits for the end of the program, and ends it when it takes too long.
fn end(child: &mut Child) -> Result<ExitStatus, String> {
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if since.elapsed() < COMMAND_TIME_MAX => std::thread::sleep(PAUSE),
            Ok(None) => {
                let _ended_meanwhile = child.kill().and_then(|()| child.wait());
                return Err(format!("no end within {} s", COMMAND_TIME_MAX.as_secs()));
            }
            Err(e) => return Err(e.to_string()),
        }
    }
}
