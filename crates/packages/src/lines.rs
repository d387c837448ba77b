//! What installers are asked to do, as command lines. Pure.

use crate::{Index, Recipe};

const NPM: [&str; 6] = [
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    // Scripts run later, in a cell without credentials, and only where the user allows them.
    "--ignore-scripts",
    "--no-update-notifier",
    "--package-lock=true",
];

const PIP_QUIET: [&str; 4] = ["-q", "--disable-pip-version-check", "--no-input", "--progress-bar=off"];

/// Finds versions and installs them. The lock it writes names no registry, so that another machine takes its own.
pub fn npm_install(recipe: &Recipe) -> Vec<String> {
    let fixed = [&["install"][..], &NPM, &["--omit-lockfile-registry-resolved"]].concat();
    line(&fixed, &recipe.indexes, |_| "--registry", &recipe.packages)
}

/// Installs what a lock names, or fails.
pub fn npm_exact(recipe: &Recipe) -> Vec<String> {
    line(&[&["ci"][..], &NPM].concat(), &recipe.indexes, |_| "--registry", &[])
}

/// Runs the scripts of what is installed.
pub fn npm_scripts() -> Vec<String> {
    let words = [
        "rebuild",
        "--no-update-notifier",
        "--loglevel=error",
        "--ignore-scripts=false",
        "--foreground-scripts",
    ];
    words.map(str::to_owned).to_vec()
}

/// Finds versions and fetches their files into `files`.
pub fn pip_fetch(recipe: &Recipe) -> Vec<String> {
    let fixed = [&["-m", "pip", "download"][..], &PIP_QUIET, &["--dest", "files"], wheels(recipe)].concat();
    line(&fixed, &recipe.indexes, |_| "--index-url", &recipe.packages)
}

/// Fetches what a file of requirements names, or fails.
pub fn pip_exact(recipe: &Recipe) -> Vec<String> {
    let exact = ["--require-hashes", "--no-deps", "-r", "requirements.txt"];
    let fixed =
        [&["-m", "pip", "download"][..], &PIP_QUIET, &["--dest", "files"], wheels(recipe), &exact].concat();
    line(&fixed, &recipe.indexes, |_| "--index-url", &[])
}

/// Installs fetched files. Sources are built, for which an index may be needed; wheels are unpacked, for which none is.
pub fn pip_install(recipe: &Recipe, files: &[String]) -> Vec<String> {
    let wheels = files.iter().all(|file| file.ends_with(".whl"));
    let fixed = [&["-m", "pip", "install"][..], &PIP_QUIET, &["--no-deps"]].concat();
    let (offline, indexes): (&[&str], &[Index]) =
        if wheels { (&["--no-index"], &[]) } else { (&[], &recipe.indexes) };
    line(&[&fixed[..], offline].concat(), indexes, |_| "--index-url", files)
}

/// Finds versions, index after index, and writes them with every digest to `requirements.txt`.
pub fn uv_find(recipe: &Recipe, python: &str) -> Vec<String> {
    let fixed =
        ["pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--index-strategy", "first-index"];
    let places = ["--python", python, "-o", "requirements.txt"];
    line(
        &[&fixed[..], &places, wheels(recipe)].concat(),
        &recipe.indexes,
        uv_flag,
        &["requirements.in".to_owned()],
    )
}

/// Installs what a file of requirements names, or fails.
pub fn uv_exact(recipe: &Recipe, python: &str) -> Vec<String> {
    let fixed = ["pip", "install", "--quiet", "--index-strategy", "first-index", "--python", python];
    let exact = ["--require-hashes", "--no-deps", "-r", "requirements.txt"];
    let mut line = line(&[&fixed[..], wheels(recipe), &exact].concat(), &recipe.indexes, uv_flag, &[]);
    line.pop();
    line
}

fn uv_flag(index: &Index) -> &'static str {
    match index {
        Index::Instead(_) => "--default-index",
        Index::Before(_) => "--index",
    }
}

fn wheels(recipe: &Recipe) -> &'static [&'static str] {
    if recipe.allowed.build_from_source { &[] } else { &["--only-binary", ":all:"] }
}

/// Flags, indexes, and after `--` the packages, so that none is taken for a flag.
fn line(
    fixed: &[&str],
    indexes: &[Index],
    flag: fn(&Index) -> &'static str,
    packages: &[String],
) -> Vec<String> {
    let indexes = indexes.iter().flat_map(|index| {
        let (Index::Instead(url) | Index::Before(url)) = index;
        [flag(index).to_owned(), url.clone()]
    });
    let fixed = fixed.iter().map(|word| (*word).to_owned());
    fixed.chain(indexes).chain(["--".to_owned()]).chain(packages.iter().cloned()).collect()
}

/// Whether a requirement is an address or a path, and not a name.
pub fn names_a_place(package: &str) -> bool {
    package.contains("://") || package.contains(" @ ") || package.starts_with(['.', '/', '~'])
}

/// Whether a requirement is an address or a path, and not that of a wheel.
pub fn names_sources(package: &str) -> bool {
    let is_place = package.contains("://") || package.starts_with(['.', '/', '~']);
    is_place && !package.split(['#', '?']).next().unwrap_or(package).ends_with(".whl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(line: &str) -> Recipe {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Recipe::read(&words[0], &words[1..]).expect("readable").expect("a recipe")
    }

    #[test]
    fn source_is_built_only_when_told_to() {
        let mut tool = recipe("uvx tool");
        let wheels_only = |args: Vec<String>| args.windows(2).any(|pair| pair == ["--only-binary", ":all:"]);
        let all = |tool: &Recipe| {
            [pip_fetch(tool), pip_exact(tool), uv_find(tool, "/p"), uv_exact(tool, "/p")].map(wheels_only)
        };
        assert_eq!(all(&tool), [true; 4]);
        tool.allowed.build_from_source = true;
        assert_eq!(all(&tool), [false; 4]);
        for line in [npm_install(&recipe("npx tool")), npm_exact(&recipe("npx tool"))] {
            assert!(line.contains(&"--ignore-scripts".to_owned()), "{line:?}");
        }
    }

    #[test]
    fn addresses_and_paths_are_sources_unless_they_are_wheels() {
        for package in ["git+https://a/b", "b @ git+ssh://git@a/b", "./b", "/b", "https://u@a/b-1.tar.gz"] {
            assert!(names_sources(package) && names_a_place(package), "{package}");
        }
        for package in
            ["b", "b==1", "b[extra]>=2,<3", "b @ https://a/b-1-py3-none-any.whl#sha256=1", "/b-1.whl"]
        {
            assert!(!names_sources(package), "{package}");
        }
    }

    #[test]
    fn packages_are_never_flags_and_come_from_the_index_that_was_named() {
        let ends = |args: Vec<String>, with: &[&str]| {
            assert!(args.ends_with(&with.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()), "{args:?}")
        };
        ends(
            npm_install(&recipe("npx --registry https://a -p --global -p b c")),
            &["--registry", "https://a", "--", "--global", "b"],
        );
        ends(
            pip_fetch(&recipe("uvx --index-url https://a tool@1")),
            &["--index-url", "https://a", "--", "tool==1"],
        );
        let both = recipe("uvx --index https://a --default-index https://b tool");
        ends(
            uv_find(&both, "/p"),
            &["--index", "https://a", "--default-index", "https://b", "--", "requirements.in"],
        );
    }

    #[test]
    fn wheels_are_unpacked_without_an_index_and_sources_built_with_one() {
        let tool = recipe("uvx -i https://a tool");
        let line = |file: &str| pip_install(&tool, &[file.to_owned()]);
        assert!(line("a-1-py3-none-any.whl").contains(&"--no-index".to_owned()));
        assert!(line("a-1.tar.gz").contains(&"https://a".to_owned()));
    }
}
