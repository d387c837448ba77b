//! Which files does a program need, read-only, so that it can start at all?

use std::{ffi::OsStr, path::Path};

use crate::{CellError, Program};

/// Finds the executable and what it needs to see.
///
/// # Errors
/// [`CellError::ProgramNotFound`] when `command` is neither a path to an executable nor found through `path`.
pub fn program_files(
    command: &str,
    args: &[String],
    cwd: Option<&Path>,
    path: &OsStr,
) -> Result<Program, CellError> {
    let found = std::env::split_paths(path).map(|dir| dir.join(command)).find(|file| file.is_file());
    let Some(found) = found else {
        return Err(CellError::ProgramNotFound { command: command.to_owned(), hint: None });
    };
    Ok(Program { command: found, args: args.to_vec(), cwd: cwd.map(Path::to_owned), ..Program::default() })
}
