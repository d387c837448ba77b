//! A root filesystem that is not the host's.

use std::{fs, path::PathBuf, process::Command};

use cella_cell::Root;

use super::{
    Outcome, Test,
    bench::{Bench, check},
};

pub(crate) const TESTS: &[Test] =
    &[("an_image_is_the_whole_read_only_root", image_root), ("an_image_that_is_none_is_refused", no_image)];

/// A root with a shell and what it needs, and nothing else.
fn small_root(bench: &Bench) -> Result<PathBuf, String> {
    let text = |error: std::io::Error| error.to_string();
    let root = bench.path("root");
    for program in ["/bin/sh", "/bin/cat", "/bin/ls"] {
        let listed = Command::new("ldd").arg(program).output().map_err(text)?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        for path in libraries.chain([program]) {
            let target = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(target.parent().ok_or("no parent")?).map_err(text)?;
            fs::copy(path, &target).map_err(text)?;
        }
    }
    for (name, content) in
        [("opt/mark", "of the image"), ("etc/issue", "its etc"), ("etc/passwd", "its users")]
    {
        let path = root.join(name);
        fs::create_dir_all(path.parent().ok_or("no parent")?).map_err(text)?;
        fs::write(path, content).map_err(text)?;
    }
    Ok(root)
}

const SCRIPT: &str = "cat /opt/mark /etc/issue; cat /etc/passwd; ls /; ls /usr 2>/dev/null; echo x >/tmp/x && cat /tmp/x;
    echo x >/opt/mark || echo read-only; echo x >/etc/issue || echo read-only; echo x >/new || echo read-only";

fn in_image(bench: &Bench, root: PathBuf) -> Outcome {
    let mut spec = bench.script(SCRIPT);
    spec.root = Root::Image(root);
    let ran = bench.run(&spec);
    let seen = &ran.stdout;
    let wanted = seen.starts_with("of the imageits etcroot:x:0:0") && seen.matches("read-only").count() == 3;
    check(wanted && seen.contains("\nx\n") && !seen.contains("local"), || format!("{ran:?}"))?;
    let running = bench.spawn(&spec).map_err(|error| error.to_string())?;
    let report = format!("{:?}", running.cell.report());
    check(report.contains("of an image"), || report.clone())
}

fn image_root(bench: &Bench) -> Outcome {
    in_image(bench, small_root(bench)?)
}

fn no_image(bench: &Bench) -> Outcome {
    let empty = bench.path("empty");
    fs::create_dir(&empty).map_err(|error| error.to_string())?;
    for (root, code) in [(empty, "CE2013"), (bench.path("nowhere"), "CE2013"), ("relative".into(), "CE2010")]
    {
        let mut spec = bench.script("true");
        spec.root = Root::Image(root);
        let refused = bench.try_run(&spec, "").err();
        check(refused.as_ref().is_some_and(|error| error.code() == code), || format!("{refused:?}"))?;
    }
    Ok(())
}
