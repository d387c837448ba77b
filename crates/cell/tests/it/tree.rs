//! Programs that are not confined, but whose whole tree ends: an installer and what it starts.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
};

use super::{
    Outcome, Test, attempt,
    bench::{Bench, PATIENCE, check},
    life::{DEATH, Node, carriers, gone_within, settles_at, token},
};

pub(crate) const TESTS: &[Test] = &[
    ("killing_a_tree_kills_all_that_it_started", killed),
    ("a_killed_node_takes_its_trees_along", killed_node),
    ("a_tree_ends_with_its_program_and_gives_its_status", ended),
    ("a_program_of_a_tree_that_is_not_there_is_said", missing),
];

/// Argument under which this binary is a node that keeps a tree.
pub(crate) const ARG: &str = "__keeper";
/// Processes of [`script`] with the token as a word: a child, and a daemon in a session of its own.
const CARRIERS: usize = 2;

/// `EXE TOKEN`: keeps a tree until it is killed.
pub(crate) fn main(args: &[String]) -> ExitCode {
    let mut tree = script(&args[0], &args[1]);
    let _pipe = sign_of_life(&mut tree);
    let _ended = tree.wait();
    ExitCode::SUCCESS
}

fn script(exe: &str, token: &str) -> Child {
    let mut command = cella_cell::whole_tree(std::path::Path::new("/bin/sh"));
    command
        .arg("-c")
        .arg(format!("{exe} {} daemon {token}; sleep 1000 {token} & echo r; wait", attempt::ARG));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("a keeper")
}

/// The pipe stays open for as long as the tree is to live: a shell that writes to a closed one ends.
fn sign_of_life(tree: &mut Child) -> Result<BufReader<ChildStdout>, String> {
    let mut pipe = BufReader::new(tree.stdout.take().expect("a pipe"));
    let mut line = String::new();
    let read = pipe.read_line(&mut line);
    check(read.is_ok() && !line.is_empty(), || "the tree never lived".into())?;
    Ok(pipe)
}

fn all_there(token: &str) -> Outcome {
    check(settles_at(CARRIERS, PATIENCE, token), || format!("control: {} processes", carriers(token)))
}

fn killed(bench: &Bench) -> Outcome {
    let token = token("killed tree");
    let mut tree = script(&bench.exe(), &token);
    let _pipe = sign_of_life(&mut tree)?;
    all_there(&token)?;
    tree.kill().and_then(|()| tree.wait()).map_err(|error| error.to_string())?;
    gone_within(DEATH, &token).map(drop)
}

fn killed_node(bench: &Bench) -> Outcome {
    let token = token("killed node with a tree");
    // And the node, in whose arguments the token stands.
    let mut node = Node(bench.command(ARG).arg(bench.exe()).arg(&token).spawn().expect("a node"));
    check(settles_at(CARRIERS + 1, PATIENCE, &token), || format!("control: {} processes", carriers(&token)))?;
    node.kill();
    gone_within(DEATH, &token).map(drop)
}

fn ended(bench: &Bench) -> Outcome {
    let token = token("ended");
    let mut command = cella_cell::whole_tree(std::path::Path::new("/bin/sh"));
    let script = format!("{} {} daemon {token} >/dev/null; echo $GIVEN; exit 7", bench.exe(), attempt::ARG);
    let output =
        command.args(["-c", &script]).env("GIVEN", "given").output().map_err(|error| error.to_string())?;
    check(output.status.code() == Some(7) && output.stdout == b"given\n", || format!("{output:?}"))?;
    gone_within(DEATH, &token).map(drop)
}

fn missing(_: &Bench) -> Outcome {
    let mut command: Command = cella_cell::whole_tree(std::path::Path::new("/nowhere/npm"));
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check(output.status.code() == Some(126) && said.contains("cannot be executed"), || format!("{output:?}"))
}
