//! This very binary, laid out for guests: what relays a guest's connections is the node's own program, so that nothing has
//! to be built, installed or kept in step for it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::tools;

/// The binary's name in the directory.
const PROGRAM: &str = "own";

/// A directory with the binary and the libraries that it has loaded. Nothing in it is a secret, and guests only read it.
#[derive(Debug)]
pub(super) struct Own {
    dir: TempDir,
    /// File name of what loads it; a static binary needs none.
    loader: Option<String>,
}

// === impl Own ===

impl Own {
    /// Copies it, once per node. Blocks.
    pub(super) fn lay_out() -> io::Result<Self> {
        let dir = tools::own_dir()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        // By its inode: an upgrade on disk does not change what runs.
        copy(Path::new("/proc/self/exe"), &dir.path().join(PROGRAM))?;
        let mut loader = None;
        for library in libraries(&fs::read_to_string("/proc/self/maps")?) {
            let Some(name) = library.file_name().and_then(|name| name.to_str()) else { continue };
            copy(&library, &dir.path().join(name))?;
            if name.starts_with("ld-") {
                loader = Some(name.to_owned());
            }
        }
        Ok(Self { dir, loader })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The words that start it, in a guest that has mounted the directory here.
    pub(super) fn command(&self, at: &str) -> String {
        match &self.loader {
            Some(loader) => format!("{at}/{loader} --library-path {at} {at}/{PROGRAM}"),
            None => format!("{at}/{PROGRAM}"),
        }
    }
}

// === free functions ===

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
}

/// Shared objects among the mappings of a process (`proc_pid_maps(5)`), each once.
fn libraries(maps: &str) -> Vec<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.splitn(6, ' ').nth(5)).map(|path| Path::new(path.trim()));
    let shared = paths.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_absolute() && (name.ends_with(".so") || name.contains(".so."))
    });
    let mut shared: Vec<PathBuf> = shared.map(Path::to_path_buf).collect();
    shared.sort();
    shared.dedup();
    shared
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, process::Command};

    use super::{Own, libraries};

    #[test]
    fn libraries_are_what_is_mapped_and_shared() {
        let maps = "55 r-xp 0 fe:00 12 /usr/bin/x\n7f r-xp 0 fe:00 13    /lib/libc.so.6\n7f r--p 0 fe:00 13    /lib/libc.so.6\n\
                    7f rw-p 0 00:00 0 [stack]\n7f r-xp 0 fe:00 14 /lib/ld-x.so.2\n";
        assert_eq!(libraries(maps), ["/lib/ld-x.so.2", "/lib/libc.so.6"].map(PathBuf::from));
    }

    #[test]
    fn what_is_laid_out_runs_with_nothing_but_itself() {
        let own = Own::lay_out().unwrap();
        let command = own.command(own.path().to_str().unwrap());
        let mut words = command.split(' ');
        let mut program = Command::new(words.next().unwrap());
        let output = program.args(words).args(["--list", "no-such-test"]).env_clear().output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
