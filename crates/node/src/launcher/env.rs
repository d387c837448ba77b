//! Values from the environment, files and commands, looked up when a server starts and kept nowhere.

use std::{path::Path, process::Command, time::Duration};

use cella_catalog::LaunchError;
use cella_contract::{Text, expand};
use cella_transport::FaultKind;

use super::error;
use crate::inherit::SUPERVISION;

/// Longest time a `cmd:` value may take. Stops a password prompt from holding a start for ever.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(20);

/// The text with its `${VAR}` replaced.
pub(super) fn expanded(text: &str) -> Result<String, LaunchError> {
    expand(text, &|name| std::env::var(name).ok()).map_err(|name| {
        let message = format!("the variable `{name}` is not set");
        error(
            FaultKind::Unavailable,
            "CE4121",
            &message,
            Some(format!("set {name} for the node, or write ${{{name}:-otherwise}}")),
        )
    })
}

/// Names and values, looked up.
pub(super) fn resolved(
    pairs: &[(String, String)],
    base: &Path,
) -> Result<Vec<(String, String)>, LaunchError> {
    pairs.iter().map(|(name, value)| Ok((name.clone(), value_of(name, value, base)?))).collect()
}

fn value_of(name: &str, value: &str, base: &Path) -> Result<String, LaunchError> {
    let missing = |what: String, fix: String| error(FaultKind::Unavailable, "CE4122", &what, Some(fix));
    match Text::read(&expanded(value)?) {
        Text::Plain(text) => Ok(text),
        Text::Env(variable) => std::env::var(&variable).map_err(|_| {
            missing(
                format!("`{name}` comes from the variable `{variable}`, which is not set"),
                format!("export {variable} before `cella up`"),
            )
        }),
        Text::File(path) => {
            let path = base.join(path);
            std::fs::read_to_string(&path).map(|text| text.trim_end_matches(['\n', '\r']).to_owned()).map_err(
                |e| {
                    missing(
                        format!("`{name}` comes from {}: {e}", path.display()),
                        format!("make {} readable", path.display()),
                    )
                },
            )
        }
        Text::Command(line) => printed(&line).map_err(|said| {
            missing(
                format!("`{name}` comes from `{}`, which failed: {said}", line.join(" ")),
                "run it by hand and see".into(),
            )
        }),
    }
}

fn printed(line: &[String]) -> Result<String, String> {
    let (program, args) = line.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    for variable in SUPERVISION {
        command.env_remove(variable);
    }
    let mut child = command
        .args(args)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let began = std::time::Instant::now();
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) if status.success() => break,
            Some(status) => return Err(status.to_string()),
            None if began.elapsed() > COMMAND_TIME_MAX => {
                let _gone = child.kill();
                let _reaped = child.wait();
                return Err(format!("no end within {} s", COMMAND_TIME_MAX.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    let mut text = String::new();
    let mut out = child.stdout.take().ok_or("no output")?;
    std::io::Read::read_to_string(&mut out, &mut text).map_err(|e| e.to_string())?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
