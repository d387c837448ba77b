//! Follows a program from its command to everything that it is loaded with.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use cella_cell::{CellError, Program, is_system_path, shebang};

use crate::{
    found,
    roots::{self, Roots},
    script,
    trail::Trail,
};

/// Interpreters named by interpreters named by scripts: more hops than any real installation has.
const SCRIPT_HOPS_MAX: usize = 8;

/// Finds the executable and what it needs to see: its installation, the interpreter in its first line, and the base of a
/// virtual environment. If it is a known interpreter, also the package of the script that it is given; every other path
/// in `args` is data, stays hidden, and is listed in [`Program::hidden_paths`]. Parts of the operating system need no mention.
///
/// `path` is searched for a bare command; a command with a slash is taken from `cwd`.
///
/// # Errors
/// [`CellError::ProgramNotFound`] when there is no such executable; its hint says where one of that name is.
pub fn program_files(
    command: &str,
    args: &[String],
    cwd: Option<&Path>,
    path: &OsStr,
) -> Result<Program, CellError> {
    let found = found::find(command, cwd, path)?;
    let mut needs = Needs::default();
    let command = needs.executable(&found, path, SCRIPT_HOPS_MAX);
    let files: Vec<(usize, PathBuf)> = args.iter().enumerate().filter_map(existing(cwd)).collect();
    let real = fs::canonicalize(&found).unwrap_or_else(|_| found.clone());
    let mut names = [&found, &real].into_iter().filter_map(|file| file.file_name());
    let position = names.find_map(|name| script::position(&name.to_string_lossy(), args));
    if let Some((_, script)) = files.iter().find(|(index, file)| Some(*index) == position && file.is_file()) {
        needs.script(script);
    }
    let mut program = Program {
        command,
        args: args.to_vec(),
        // By its real path: links that lead to it do not exist inside.
        cwd: cwd.map(|dir| fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned())),
        files: needs.roots.into_paths(),
        links: needs.links,
        path_dirs: needs.path_dirs,
        hidden_paths: Vec::new(),
    };
    program.links.sort();
    program.links.dedup();
    program.links.retain(|(link, _)| !is_system_path(link) && !roots::covers(&program.files, link));
    let named = files.into_iter().map(|(_, file)| file).chain(cwd.map(Path::to_owned));
    program.hidden_paths = named.filter(|path| !is_visible(&program, path)).collect();
    Ok(program)
}

/// Arguments that name something on the host: `file`, `--flag=file`.
fn existing<'a>(cwd: Option<&'a Path>) -> impl FnMut((usize, &'a String)) -> Option<(usize, PathBuf)> {
    move |(index, arg)| {
        let value = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => value,
            _ => arg.as_str(),
        };
        if value.is_empty() || (value.starts_with('-') && !value.contains('/')) {
            return None;
        }
        let path = cwd.map_or_else(|| PathBuf::from(value), |cwd| cwd.join(value));
        (path.is_absolute() && path.exists()).then_some((index, path))
    }
}

fn is_visible(program: &Program, path: &Path) -> bool {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parent_of_shown = program.files.iter().any(|file| file.starts_with(&real));
    is_system_path(&real) || roots::covers(&program.files, &real) || (real.is_dir() && parent_of_shown)
}

/// What was found to be needed so far.
#[derive(Debug, Default)]
struct Needs {
    roots: Roots,
    links: Vec<(PathBuf, PathBuf)>,
    path_dirs: Vec<PathBuf>,
}

impl Needs {
    /// An executable: every link that leads to it, what it was installed with, and what its first line names. Gives the path
    /// by which it is to be called: a virtual environment is recognised by the path of its link, not by what it points to.
    fn executable(&mut self, file: &Path, search: &OsStr, hops: usize) -> PathBuf {
        let trail = Trail::of(file);
        for stop in &trail.stops {
            self.roots.add_installation(stop);
            self.virtual_environment(stop);
            self.links.extend(fs::read_link(stop).ok().map(|content| (stop.clone(), content)));
        }
        self.links.extend(trail.links);
        let called = trail.stops.first().cloned().unwrap_or_else(|| file.to_owned());
        let real = trail.stops.last().cloned().unwrap_or_else(|| file.to_owned());
        if let Some(interpreter) = (hops > 0).then(|| shebang(&real)).flatten() {
            self.script(&real);
            self.interpreter(&real, &interpreter, search, hops - 1);
        }
        called
    }

    fn interpreter(&mut self, script: &Path, interpreter: &[String], search: &OsStr, hops: usize) {
        let Some((program, rest)) = interpreter.split_first() else { return };
        if !program.ends_with("/env") {
            self.executable(Path::new(program), search, hops);
            return;
        }
        // `env -S node --flag`: options of env come first.
        let Some(name) = rest.iter().find(|word| !word.starts_with('-') && !word.contains('=')) else {
            return;
        };
        if let Ok(found) = found::find(name, script.parent(), search) {
            let called = self.executable(&found, search, hops);
            let dir = called.parent().filter(|dir| !is_system_path(dir));
            self.path_dirs.extend(dir.map(Path::to_owned));
        }
    }

    /// A script: the package that it is part of.
    fn script(&mut self, file: &Path) {
        let trail = Trail::of(file);
        self.links.extend(trail.links);
        for stop in &trail.stops {
            self.roots.add_package(stop);
            self.virtual_environment(stop);
        }
    }

    /// `bin/python` of a virtual environment needs the environment and the installation that it was made from.
    fn virtual_environment(&mut self, file: &Path) {
        let Some(root) = file.ancestors().skip(1).take(3).find(|dir| dir.join("pyvenv.cfg").is_file()) else {
            return;
        };
        self.roots.add(root);
        let text = fs::read_to_string(root.join("pyvenv.cfg")).unwrap_or_default();
        let home = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "home");
        if let Some((_, bin)) = home {
            let trail = Trail::of(&Path::new(bin.trim()).join("python3"));
            trail.stops.iter().for_each(|stop| self.roots.add_installation(stop));
            self.links.extend(trail.links);
        }
    }
}
