//! Finds a command the way a shell does, but past the shims of version switchers: a shim is a script that looks up and runs
//! something else, and cannot do so inside.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use cella_cell::CellError;

/// The executable that `command` names.
pub(super) fn find(command: &str, cwd: Option<&Path>, path: &OsStr) -> Result<PathBuf, CellError> {
    let not_found = |hint| CellError::ProgramNotFound { command: command.to_owned(), hint };
    if command.is_empty() {
        return Err(not_found(Some("the command is empty".into())));
    }
    if command.contains('/') {
        let file = cwd.map_or_else(|| PathBuf::from(command), |cwd| cwd.join(command));
        return match (file.is_absolute(), is_executable(&file)) {
            (true, true) => Ok(file),
            (false, _) => Err(not_found(Some("a relative path needs a `cwd`".into()))),
            (true, false) if file.is_file() => Err(not_found(Some("the file is not executable".into()))),
            (true, false) => Err(not_found(None)),
        };
    }
    let mut shim = None;
    for dir in env::split_paths(path).filter(|dir| dir.is_absolute()) {
        let file = dir.join(command);
        if !is_executable(&file) {
            continue;
        }
        if dir.file_name() != Some(OsStr::new("shims")) {
            return Ok(file);
        }
        match behind_shim(&dir, command, cwd) {
            Some(real) => return Ok(real),
            None => shim = shim.or(Some(file)),
        }
    }
    let hint = match shim {
        Some(shim) => Some(format!(
            "`{}` is the shim of a version switcher; write the path of the real program as `command`",
            shim.display()
        )),
        None => elsewhere(command).map(|file| format!("there is one at `{}`", file.display())),
    };
    Err(not_found(hint))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// pyenv, rbenv and nodenv: `ROOT/shims/X` runs `ROOT/versions/V/bin/X`, where V stands in a file of the working directory
/// or its parents, else in `ROOT/version`.
fn behind_shim(shims: &Path, command: &str, cwd: Option<&Path>) -> Option<PathBuf> {
    let root = shims.parent()?;
    let local = [".python-version", ".ruby-version", ".node-version"];
    let files = cwd.into_iter().flat_map(Path::ancestors).flat_map(|dir| local.map(|name| dir.join(name)));
    let files = files.chain([root.join("version")]);
    let texts = files.filter_map(|file| fs::read_to_string(file).ok());
    let versions: Vec<String> =
        texts.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let plain = |version: &&String| !version.contains('/') && *version != "..";
    let mut candidates = versions
        .iter()
        .filter(plain)
        .map(|version| root.join("versions").join(version).join("bin").join(command));
    candidates.find(|file| is_executable(file))
}

/// Where people's programs are when their `PATH` is not the node's: a service starts with a short one.
fn elsewhere(command: &str) -> Option<PathBuf> {
    let home = env::home_dir()?;
    let fixed =
        [".local/bin", "bin", ".cargo/bin", ".volta/bin", ".bun/bin", ".deno/bin"].map(|dir| home.join(dir));
    let system = ["/usr/local/bin", "/usr/bin", "/bin", "/snap/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let versioned = [".nvm/versions/node", ".pyenv/versions"].map(|dir| home.join(dir));
    let versioned = versioned.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let versioned = versioned.map(|version| version.path().join("bin"));
    fixed
        .into_iter()
        .chain(system)
        .chain(versioned)
        .map(|dir| dir.join(command))
        .find(|file| is_executable(file))
}
