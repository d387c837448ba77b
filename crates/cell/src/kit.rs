//! The kit that every class of cell runs: each obligation of the law, checked from outside.
//!
//! A class brings a way to make a specification that runs a shell script in it ([`Bench`]); the kit brings the scripts and
//! the judgement. What only one class can promise (its walls) is tested where the class lives.

use std::{fmt, future::Future, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Cell, CellError, Exit, LimitHit, Running, Spec};

/// Longest time that one check may take. A cell that hangs fails its check instead of the whole run.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(30);
/// Grace given to programs that are asked to stop.
const GRACE: Duration = Duration::from_millis(300);

/// A class under test.
pub struct Bench<'a> {
    /// The class.
    pub cell: &'a dyn Cell,
    /// A specification that runs a POSIX shell script in it, with defaults otherwise.
    pub script: &'a (dyn Fn(&str) -> Spec + Sync),
}

impl fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("class", &self.cell.class()).finish_non_exhaustive()
    }
}

/// One obligation, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The obligation as a sentence.
    pub obligation: &'static str,
    /// What was seen instead, if it was not met.
    pub broken: Option<String>,
}

/// Runs every check, one after the other.
pub async fn check(bench: &Bench<'_>) -> Vec<Verdict> {
    check_within(bench, CHECK_TIMEOUT).await
}

/// The same with another longest time for one check, for a class whose cells take seconds to start.
pub async fn check_within(bench: &Bench<'_>, patience: Duration) -> Vec<Verdict> {
    vec![
        judge("the environment is exactly the specification's", environment(bench), patience).await,
        judge(
            "standard input, output and error are connected and nothing else is open",
            descriptors(bench),
            patience,
        )
        .await,
        judge("end of file on standard input lets a program end", end_of_input(bench), patience).await,
        judge("an exit status is reported", exit_status(bench), patience).await,
        judge("a deadly signal is reported", signal(bench), patience).await,
        judge("stop asks first", stop_asks(bench), patience).await,
        judge("stop kills what does not listen", stop_kills(bench), patience).await,
        judge("kill ends everything at once", kill(bench), patience).await,
        judge("dropping the handle kills", drop_kills(bench), patience).await,
        judge("what the program started ends with it", tree_ends(bench), patience).await,
        judge("every waiting caller gets the same end", same_end(bench), patience).await,
        judge("the wall time limit ends a cell and is named", wall_time(bench), patience).await,
        judge("the output limit ends a cell, is named, and lets out no more", output_limit(bench), patience)
            .await,
        judge("a program that is not there is an error of spawn", missing_program(bench), patience).await,
        judge("cells do not disturb each other", side_by_side(bench), patience).await,
        judge("private files of one cell are not another's", private_files(bench), patience).await,
    ]
}

type Checked = Result<(), String>;

async fn judge(
    obligation: &'static str,
    check: impl Future<Output = Checked>,
    patience: Duration,
) -> Verdict {
    let outcome = tokio::time::timeout(patience, check).await;
    let broken = outcome.unwrap_or_else(|_| Err(format!("no answer within {patience:?}"))).err();
    Verdict { obligation, broken }
}

/// What a program wrote, and how it ended.
struct Output {
    stdout: String,
    exit: Exit,
}

async fn spawn(bench: &Bench<'_>, spec: &Spec) -> Result<Running, String> {
    bench.cell.spawn(spec).await.map_err(|error| format!("{}: {error}", error.code()))
}

async fn output(bench: &Bench<'_>, spec: &Spec, input: &str) -> Result<Output, String> {
    let mut running = spawn(bench, spec).await?;
    running.stdin.write_all(input.as_bytes()).await.map_err(|error| error.to_string())?;
    drop(running.stdin);
    let mut stdout = String::new();
    running.stdout.read_to_string(&mut stdout).await.map_err(|error| error.to_string())?;
    Ok(Output { stdout, exit: running.cell.wait().await })
}

/// Starts a script and waits for its first line, after which it is known to be where the check wants it.
async fn ready(bench: &Bench<'_>, script: &str) -> Result<Running, String> {
    let mut running = spawn(bench, &(bench.script)(script)).await?;
    let mut byte = [0];
    let read = running.stdout.read_exact(&mut byte).await;
    read.map_err(|error| format!("the script did not get ready: {error}"))?;
    Ok(running)
}

fn expect<T: PartialEq + fmt::Debug>(got: &T, wanted: &T) -> Checked {
    if got == wanted { Ok(()) } else { Err(format!("expected {wanted:?}, got {got:?}")) }
}

async fn environment(bench: &Bench<'_>) -> Checked {
    let mut spec = (bench.script)("tr '\\0' '\\n' </proc/self/environ");
    spec.env.insert("CELL_KIT".into(), "a=b c".into());
    let seen = output(bench, &spec, "").await?.stdout;
    let mut seen: Vec<&str> = seen.lines().collect();
    // Shells set these themselves.
    seen.retain(|line| !["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|own| line.starts_with(own)));
    seen.sort_unstable();
    let wanted: Vec<String> = spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    expect(&seen.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), &wanted)
}

async fn descriptors(bench: &Bench<'_>) -> Checked {
    let script = "read line; echo \"got $line\"; echo err >&2; for f in /proc/self/fd/*; do test -e $f && echo ${f##*/}; done";
    let seen = output(bench, &(bench.script)(script), "hello\n").await?.stdout;
    // The shell may hold one of its own while it expands the pattern, but it is gone by the test.
    expect(&seen.lines().collect::<Vec<_>>(), &vec!["got hello", "0", "1", "2"])
}

async fn end_of_input(bench: &Bench<'_>) -> Checked {
    let seen = output(bench, &(bench.script)("cat"), "to the end").await?;
    expect(&(seen.stdout.as_str(), seen.exit.success()), &("to the end", true))
}

async fn exit_status(bench: &Bench<'_>) -> Checked {
    let exit = output(bench, &(bench.script)("exit 37"), "").await?.exit;
    expect(&(exit.code, exit.signal, exit.limit), &(Some(37), None, None))
}

async fn signal(bench: &Bench<'_>) -> Checked {
    let exit = output(bench, &(bench.script)("kill -SEGV $$"), "").await?.exit;
    expect(&(exit.code, exit.signal), &(None, Some(11)))
}

async fn stop_asks(bench: &Bench<'_>) -> Checked {
    let running = ready(bench, "trap 'exit 5' TERM; echo r; while :; do sleep 0.05; done").await?;
    let exit = running.cell.stop(CHECK_TIMEOUT).await;
    expect(&exit.code, &Some(5))
}

async fn stop_kills(bench: &Bench<'_>) -> Checked {
    let running = ready(bench, "trap '' TERM; echo r; while :; do sleep 1; done").await?;
    let exit = running.cell.stop(GRACE).await;
    expect(&exit.signal, &Some(9))
}

async fn kill(bench: &Bench<'_>) -> Checked {
    let mut running = ready(bench, "sleep 1000 & echo r; sleep 1000").await?;
    let exit = running.cell.kill().await;
    expect(&exit.signal, &Some(9))?;
    rest_is_empty(&mut running.stdout).await
}

async fn drop_kills(bench: &Bench<'_>) -> Checked {
    let mut running = ready(bench, "sleep 1000 & echo r; sleep 1000").await?;
    drop(running.cell);
    rest_is_empty(&mut running.stdout).await
}

async fn tree_ends(bench: &Bench<'_>) -> Checked {
    // The second writes nothing and holds standard output open: its end is the only way to end of file.
    let mut running =
        ready(bench, "(sleep 1000 &) ; setsid sh -c 'sleep 1000 & sleep 1000' & echo r; exit 3").await?;
    let exit = running.cell.wait().await;
    expect(&exit.code, &Some(3))?;
    rest_is_empty(&mut running.stdout).await
}

/// End of file means that the last process that held the pipe is gone.
async fn rest_is_empty(stdout: &mut (impl AsyncReadExt + Unpin)) -> Checked {
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).await.map_err(|error| error.to_string())?;
    expect(&String::from_utf8_lossy(&rest).trim().to_owned(), &String::new())
}

async fn same_end(bench: &Bench<'_>) -> Checked {
    let running = spawn(bench, &(bench.script)("exit 9")).await?;
    let (one, two) = tokio::join!(running.cell.wait(), running.cell.wait());
    expect(&one, &two)?;
    expect(&running.cell.exit(), &Some(one))
}

async fn wall_time(bench: &Bench<'_>) -> Checked {
    let mut spec = (bench.script)("sleep 1000");
    spec.limits.wall_time = Some(GRACE);
    let exit = output(bench, &spec, "").await?.exit;
    expect(&(exit.limit, exit.wall < CHECK_TIMEOUT / 2), &(Some(LimitHit::WallTime), true))
}

async fn output_limit(bench: &Bench<'_>) -> Checked {
    let mut spec = (bench.script)("while :; do echo 0123456789; done");
    spec.limits.output_bytes = Some(1000);
    let seen = output(bench, &spec, "").await?;
    expect(&(seen.exit.limit, seen.stdout.len()), &(Some(LimitHit::Output), 1000))
}

async fn missing_program(bench: &Bench<'_>) -> Checked {
    let mut spec = (bench.script)("true");
    spec.program.command = "/nowhere/at/all".into();
    match bench.cell.spawn(&spec).await {
        Err(CellError::MissingInside { path, .. }) => expect(&path, &"/nowhere/at/all".into()),
        Err(other) => Err(format!("{}: {other}", other.code())),
        Ok(_) => Err("it ran".into()),
    }
}

async fn side_by_side(bench: &Bench<'_>) -> Checked {
    let good = (bench.script)("read line; echo $line");
    let crashing = (bench.script)("kill -9 $$");
    let (one, crash, two) =
        tokio::join!(output(bench, &good, "1\n"), output(bench, &crashing, ""), output(bench, &good, "2\n"));
    // Its standard input may be gone before the kit has written nothing to it: that is no fault.
    drop(crash);
    expect(&(one?.stdout.as_str(), two?.stdout.as_str()), &("1\n", "2\n"))
}

async fn private_files(bench: &Bench<'_>) -> Checked {
    let mut first = ready(bench, "echo secret >/tmp/f && echo secret >$HOME/f && echo r; cat").await?;
    let second = output(bench, &(bench.script)("cat /tmp/f $HOME/f; ls -A /tmp $HOME"), "").await?;
    let _end_of_line = first.stdout.read(&mut [0]).await;
    drop(first.stdin);
    expect(&second.stdout.contains("secret"), &false)?;
    expect(&first.cell.wait().await.code, &Some(0))
}
