//! Values from the environment, files, commands and the vault, looked up when a server starts and kept nowhere.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use cella_catalog::LaunchError;
use cella_contract::{Text, expand};
use cella_transport::FaultKind;
use tokio::{io::AsyncReadExt, process::Command};

use super::error;
use crate::{confine::ConfineError, inherit::SUPERVISION, vault::Secrets};

/// Longest time a `cmd:` value may take. Stops a password prompt from holding a start for ever.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(20);

/// Longest output of a `cmd:` value, in bytes: more than any environment variable holds (`MAX_ARG_STRLEN`). Stops a
/// command that prints without end.
const COMMAND_BYTES_MAX: u64 = 128 << 10;

/// The text with its `${VAR}` replaced.
pub(super) fn expanded(text: &str) -> Result<String, LaunchError> {
    expand(text, &|name| std::env::var(name).ok()).map_err(|name| ConfineError::Unset { name }.into())
}

/// Names and values, looked up.
pub(super) async fn resolved(
    pairs: &[(String, String)],
    base: &Path,
    secrets: &Secrets,
) -> Result<Vec<(String, String)>, LaunchError> {
    let mut found = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        found.push((name.clone(), value_of(name, value, base, secrets).await?));
    }
    Ok(found)
}

/// Refuses a value that no header can hold, such as a key of several lines: sent without it, the server would answer that
/// nobody is logged in, and nobody would know why.
pub(super) fn check_headers(headers: &[(String, String)]) -> Result<(), LaunchError> {
    let odd = headers.iter().find(|(_, value)| http::HeaderValue::from_str(value).is_err());
    let Some((name, _)) = odd else { return Ok(()) };
    let message = format!("the value of the header `{name}` has a line break or a control character in it");
    let fix = "give it a value of one line, with `cella secret set` or where it comes from".to_owned();
    Err(error(FaultKind::Unavailable, "CE2423", &message, Some(fix)))
}

/// The code of a value that cannot be had from where it is to come from.
pub(crate) const NO_VALUE: &str = "CE4122";

/// What kind of value it is, is read from what stands in the configuration; variables are replaced after that. So what a
/// variable holds is never taken for a reference to a file or a command.
pub(crate) async fn value_of(
    name: &str,
    value: &str,
    base: &Path,
    secrets: &Secrets,
) -> Result<String, LaunchError> {
    let missing = |what: String, fix: String| error(FaultKind::Unavailable, NO_VALUE, &what, Some(fix));
    match Text::read(value) {
        Text::Plain(text) => expanded(&text),
        Text::Env(variable) => std::env::var(&variable).map_err(|_| {
            missing(
                format!("`{name}` comes from the variable `{variable}`, which is not set"),
                format!("export {variable} before `cella up`"),
            )
        }),
        Text::File(path) => {
            let path = base.join(PathBuf::from(expanded(&path.to_string_lossy())?));
            let read = tokio::fs::read_to_string(&path).await;
            read.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()).map_err(|e| {
                missing(
                    format!("`{name}` comes from {}: {e}", path.display()),
                    format!("make {} readable", path.display()),
                )
            })
        }
        Text::Vault(secret) => {
            let value = secrets.get(name, &secret).await?;
            // A vault takes nothing but text.
            Ok(value.expose_text().unwrap_or_default().to_owned())
        }
        Text::Command(line) => {
            let line = line.iter().map(|word| expanded(word)).collect::<Result<Vec<_>, _>>()?;
            let printed = tokio::time::timeout(COMMAND_TIME_MAX, printed(&line));
            let late = || Err(format!("no end within {} s", COMMAND_TIME_MAX.as_secs()));
            printed.await.unwrap_or_else(|_| late()).map_err(|said| {
                // The words as configured: what variables hold may be secret.
                missing(
                    format!("`{name}` comes from `{value}`, which failed: {said}"),
                    "run it by hand and see".into(),
                )
            })
        }
    }
}

/// Dropping this kills the command.
async fn printed(line: &[String]) -> Result<String, String> {
    let (program, args) = line.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    for variable in SUPERVISION {
        command.env_remove(variable);
    }
    let mut child = command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut text = String::new();
    let mut out = child.stdout.take().ok_or("no output")?.take(COMMAND_BYTES_MAX + 1);
    out.read_to_string(&mut text).await.map_err(|e| e.to_string())?;
    if text.len() as u64 > COMMAND_BYTES_MAX {
        return Err(format!("it prints more than {COMMAND_BYTES_MAX} bytes"));
    }
    match child.wait().await.map_err(|e| e.to_string())? {
        status if status.success() => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
        status => Err(status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn value(text: &str) -> Result<String, LaunchError> {
        value_of("X", text, Path::new("/"), &Secrets::new("/nowhere/vault".into())).await
    }

    #[tokio::test]
    async fn what_a_variable_holds_is_never_a_command() {
        // Nothing sets the variable, so what stands after `:-` is its content.
        let held = value("${CELLA_TEST_UNSET:-cmd:echo run}").await.expect("a value");
        assert_eq!(held, "cmd:echo run");
        assert_eq!(value("cmd:echo ${CELLA_TEST_UNSET:-word}").await.expect("a value"), "word");
    }

    #[tokio::test]
    async fn a_long_output_is_read_and_an_endless_one_refused() {
        assert_eq!(value("cmd:head -c 100000 /dev/zero").await.expect("a value").len(), 100_000);
        let endless = value("cmd:yes").await.expect_err("refused");
        assert!(endless.code == "CE4122" && endless.message.contains("more than"), "{}", endless.message);
    }

    #[tokio::test]
    async fn a_secret_is_read_from_the_vault_and_one_that_is_not_there_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("vault");
        let source = cella_vault::KeySource::find(&path, &|_| None).expect("a source");
        let name = cella_vault::Name::parse("github").expect("a name");
        let mut vault = cella_vault::Vault::open(&path, source).expect("opened");
        vault.set(&name, &"${HOME} as it is".to_owned().into()).expect("set");
        let secrets = Secrets::new(path);
        let read = async |text: &str| value_of("X", text, Path::new("/"), &secrets).await;
        assert_eq!(read("vault:github").await.expect("a value"), "${HOME} as it is");
        let missing = read("vault:gitlab").await.expect_err("refused");
        assert!(missing.code == "CE2401" && missing.message.contains("`X`"), "{}", missing.message);
    }

    #[tokio::test]
    async fn a_failing_command_is_said_with_its_status() {
        let failed = value("cmd:false").await.expect_err("refused");
        assert!(failed.message.contains("exit status: 1"), "{}", failed.message);
    }
}
