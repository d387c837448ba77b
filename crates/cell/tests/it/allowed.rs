//! What a server needs works: a wall that denies everything would pass every other test.

use std::{ffi::OsString, path::Path};

use cella_cell::Spec;
use cella_program::program_files;

use super::{
    Outcome, Test,
    bench::{Bench, check, skip},
};

pub(crate) const TESTS: &[Test] = &[
    ("threads_and_children_work", threads),
    ("executable_memory_works", executable_memory),
    ("node_runs_with_workers_and_children", node),
    ("python_runs_with_tls_threads_and_subprocesses", python),
    ("a_switched_python_and_a_virtual_environment_run", switched_python),
    ("a_script_elsewhere_runs_with_its_package", script_elsewhere),
    ("shells_version_control_and_databases_run", tools),
    ("a_missing_interpreter_is_named", missing_interpreter),
    ("a_missing_working_directory_is_named", missing_cwd),
    ("the_specifications_working_directory_is_used", cwd),
];

fn threads(bench: &Bench) -> Outcome {
    let ran = bench.run(&bench.attempt(&["threads"]));
    check(ran.stdout.contains("OUT 120 child"), || format!("{ran:?}"))
}

fn executable_memory(bench: &Bench) -> Outcome {
    let ran = bench.run(&bench.attempt(&["executable-memory"]));
    check(ran.stdout.contains("OUT"), || format!("{ran:?}"))
}

fn found(command: &str, args: &[&str], path: &str) -> Option<Spec> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let program = program_files(command, &args, None, &OsString::from(path)).ok()?;
    Some(Spec::new(command, program))
}

fn node(bench: &Bench) -> Outcome {
    let script = "const {Worker} = require('worker_threads'); const {execSync} = require('child_process');
        const sum = require('crypto').createHash('sha256').update('x').digest('hex').slice(0, 8);
        new Worker(\"require('worker_threads').parentPort.postMessage(6 * 7)\", {eval: true})
            .on('message', m => console.log(m, sum, execSync('echo child').toString().trim(),
                require('os').availableParallelism() > 0, require('fs').readFileSync('/etc/hostname', 'utf8').trim()))";
    let Some(spec) = found("node", &["-e", script], "/usr/local/bin:/usr/bin") else {
        return skip("no node in /usr");
    };
    let ran = bench.run(&spec);
    check(ran.stdout == "42 2d711642 child true cell\n", || format!("{ran:?}"))
}

const PYTHON: &str = "import ssl, threading, subprocess, multiprocessing, tempfile, sqlite3, asyncio, os
threads = [threading.Thread(target=print, args=('',), kwargs={'end': ''}) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
async def child():
    p = await asyncio.create_subprocess_exec('echo', 'child', stdout=-1)
    return (await p.communicate())[0].decode().strip()
with multiprocessing.Pool(2) as pool:
    print(pool.map(abs, [-1, -2]), asyncio.run(child()), len(ssl.create_default_context().get_ca_certs()) >= 0,
          sqlite3.connect(':memory:').execute('select 3').fetchone()[0], os.getuid())
";

fn python(bench: &Bench) -> Outcome {
    let Some(spec) = found("python3", &["-c", PYTHON], "/usr/bin") else {
        return skip("no python3 in /usr/bin");
    };
    let ran = bench.run(&spec);
    check(ran.stdout == "[1, 2] child True 3 1000\n", || format!("{ran:?}"))
}

fn tools(bench: &Bench) -> Outcome {
    let programs = [
        (
            "/usr/bin/git",
            "cd && git init -q r && cd r && echo a >f && git add f && \
            git -c user.name=a -c user.email=b commit -qm first && git log --format=%s",
            "first",
        ),
        (
            "/usr/bin/bash",
            "exec bash -c 'coproc cat; echo 7 >&${COPROC[1]}; read x <&${COPROC[0]}; wc -l < <(seq $x)'",
            "7",
        ),
        (
            "/usr/bin/sqlite3",
            "sqlite3 /tmp/x.db 'pragma journal_mode=wal; create table t(a); insert into t values(3); \
            select a from t'",
            "wal\n3",
        ),
        (
            "/usr/bin/tar",
            "cd /tmp && echo x >f && tar czf f.tgz f && tar tzf f.tgz && cp --reflink=auto f g && cat g",
            "f\nx",
        ),
        (
            "/usr/bin/perl",
            "perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0) or die $!; print fork ? wait > 0 : exit'",
            "1",
        ),
    ];
    for (program, script, wanted) in programs {
        if !Path::new(program).exists() {
            println!("skipped: no {program}");
            continue;
        }
        let ran = bench.run(&bench.script(script));
        check(ran.stdout.trim() == wanted, || format!("{program}: {ran:?}"))?;
    }
    Ok(())
}

fn switched_python(bench: &Bench) -> Outcome {
    let shims = std::env::home_dir().map(|home| home.join(".pyenv/shims")).filter(|dir| dir.is_dir());
    let Some(shims) = shims else { return skip("no version switcher for Python here") };
    let path = shims.to_string_lossy().into_owned();
    let Some(mut spec) = found("python3", &["-c", PYTHON], &path) else {
        return skip("it switches to nothing");
    };
    spec.env.insert("PYTHONDONTWRITEBYTECODE".into(), "1".into());
    let ran = bench.run(&spec);
    check(ran.stdout == "[1, 2] child True 3 1000\n", || format!("{ran:?}"))?;
    let venv = bench.path("venv");
    let made = std::process::Command::new(&spec.program.command)
        .args(["-m", "venv", "--without-pip"])
        .arg(&venv)
        .output()
        .map_err(|error| error.to_string())?;
    check(made.status.success(), || format!("{made:?}"))?;
    let command = venv.join("bin/python");
    let spec = found(&command.to_string_lossy(), &["-c", "import sys; print(sys.prefix)"], "/usr/bin");
    let ran = bench.run(&spec.ok_or("the environment's python is not found")?);
    check(ran.stdout.trim() == venv.to_string_lossy(), || format!("{ran:?}"))
}

fn script_elsewhere(bench: &Bench) -> Outcome {
    bench.file("app/package.json", "{\"type\": \"commonjs\"}", 0o644);
    bench.file("app/node_modules/dep/index.js", "module.exports = 'dep'", 0o644);
    let script = bench.file("app/dist/index.js", "console.log(require('dep'), __filename)", 0o644);
    let Some(spec) = found("node", &[&script.to_string_lossy()], "/usr/local/bin:/usr/bin") else {
        return skip("no node in /usr");
    };
    let ran = bench.run(&spec);
    check(ran.stdout == format!("dep {}\n", script.display()), || format!("{ran:?}"))
}

fn missing_interpreter(bench: &Bench) -> Outcome {
    let script = bench.file("bin/run", "#!/nowhere/python3\n", 0o755);
    let mut spec = bench.script("true");
    spec.program.command.clone_from(&script);
    spec.program.files = vec![script];
    let refused = bench.try_run(&spec, "").err();
    let good = refused
        .as_ref()
        .is_some_and(|error| error.code() == "CE2002" && error.to_string().contains("/nowhere/python3"));
    check(good, || format!("{refused:?}"))
}

fn missing_cwd(bench: &Bench) -> Outcome {
    let mut spec = bench.script("true");
    spec.program.cwd = Some(bench.path(""));
    let refused = bench.try_run(&spec, "").err();
    let good = refused
        .as_ref()
        .is_some_and(|error| error.code() == "CE2002" && error.to_string().contains("working directory"));
    check(good, || format!("{refused:?}"))
}

fn cwd(bench: &Bench) -> Outcome {
    let mut spec = bench.script("pwd");
    check(bench.run(&spec).stdout == "/home/cell\n", || "the default is home".into())?;
    spec.program.cwd = Some(Path::new("/usr/lib").to_owned());
    let ran = bench.run(&spec);
    check(ran.stdout == "/usr/lib\n", || format!("{ran:?}"))
}
