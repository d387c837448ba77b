//! Copies of directories and what becomes of them, as scripts and people meet it. As root everything is done as a plain
//! user too.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
};

use super::{
    exec::{User, first_line, kill, started, until},
    home::{Ended, Home},
};

const CONTRACT: &str = "[[files]]\npath = \"proj\"\nmode = \"write\"\n";

/// A user with a directory that he lets programs change.
fn with_project(user: &User) -> PathBuf {
    user.write("proj/changed", "before\n");
    user.write("proj/gone", "gone\n");
    user.write("c.toml", CONTRACT);
    fs::canonicalize(user.home.path("proj")).unwrap()
}

fn cella(user: &User, args: &[&str]) -> Ended {
    Ended::of(&mut user.command(args))
}

/// Runs a script in a copy, and gives the workspace's id.
fn run_in_copy(user: &User, script: &str) -> String {
    let script = format!("cd {} && {script}", fs::canonicalize(user.home.path("proj")).unwrap().display());
    let line = ["exec", "--json", "--contract", "c.toml", "--copy", "--", "sh", "-c", &script];
    let run = cella(user, &line);
    assert_eq!(run.status, 0, "{run:?}");
    let told: serde_json::Value = serde_json::from_str(run.err.trim()).unwrap();
    told["workspace"]["id"].as_str().unwrap_or_else(|| panic!("nothing changed: {run:?}")).to_owned()
}

fn ids(user: &User) -> Vec<String> {
    let list = cella(user, &["workspace", "ls", "--json"]).json();
    let all = list["workspaces"].as_array().unwrap();
    all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_in_a_copy_leaves_the_host_as_it_was_and_says_what_it_changed() {
    for user in User::all() {
        let proj = with_project(&user);
        let script =
            format!("cd {}; echo after >changed; rm gone; echo new >new; cat changed", proj.display());
        let run = cella(&user, &["exec", "--contract", "c.toml", "--copy", "--", "sh", "-c", &script]);
        assert_eq!((run.status, run.out.as_str()), (0, "after\n"), "{run:?}");
        assert!(run.err.contains("1 added, 1 changed, 1 removed in copies"), "{run:?}");
        assert_eq!(fs::read_to_string(proj.join("changed")).unwrap(), "before\n");
        assert!(proj.join("gone").exists() && !proj.join("new").exists());
        let id = ids(&user).remove(0);
        let shown = cella(&user, &["workspace", "show", &id[..4]]);
        for line in ["M changed", "D gone", "A new"] {
            assert!(shown.out.contains(line), "{line}: {shown:?}");
        }
        let diff = cella(&user, &["workspace", "diff", &id]);
        assert_eq!(diff.status, 7, "{diff:?}");
        assert!(diff.out.contains("-before\n+after\n") && diff.out.contains("+++ /dev/null"), "{diff:?}");
    }
}

#[test]
fn a_commit_changes_the_host_and_a_discard_does_not() {
    for user in User::all() {
        let proj = with_project(&user);
        let one = run_in_copy(
            &user,
            "echo after >changed; rm gone; mkdir -p a/b; echo new >a/b/new; chmod +x a/b/new",
        );
        let two = run_in_copy(&user, "echo other >changed");
        let gone = cella(&user, &["workspace", "discard", &two, "--yes"]);
        assert_eq!(gone.status, 0, "{gone:?}");
        let done = cella(&user, &["workspace", "commit", &one]);
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!(fs::read_to_string(proj.join("changed")).unwrap(), "after\n");
        assert!(!proj.join("gone").exists());
        let (made, dir) = (fs::metadata(proj.join("a/b/new")).unwrap(), fs::metadata(&proj).unwrap());
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o777), (dir.uid(), dir.gid(), 0o755));
        assert_eq!(cella(&user, &["workspace", "diff", &one]).status, 0);
        assert_eq!(ids(&user), [one]);
    }
}

#[test]
fn what_was_changed_on_the_host_meanwhile_is_not_overwritten_without_force() {
    for user in User::all() {
        let proj = with_project(&user);
        let id = run_in_copy(&user, "echo after >changed; echo new >new");
        user.write("proj/changed", "mine\n");
        let refused = cella(&user, &["workspace", "commit", &id]);
        assert_eq!((refused.status, refused.code()), (7, "CE2502"), "{refused:?}");
        assert!(refused.err.contains("/proj/changed: the cell saw a file"), "{refused:?}");
        assert!(!proj.join("new").exists(), "nothing of it is committed");
        let refused = cella(&user, &["exec", "--contract", "c.toml", "--from", &id, "--", "true"]);
        assert_eq!(refused.code(), "CE2502", "{refused:?}");
        assert_eq!(cella(&user, &["workspace", "commit", &id, "--force"]).status, 0);
        assert_eq!(fs::read_to_string(proj.join("changed")).unwrap(), "after\n");
    }
}

#[test]
fn a_run_starts_from_what_another_one_changed() {
    for user in User::all() {
        let proj = with_project(&user);
        let one = run_in_copy(&user, "echo one >changed; rm gone; mkdir d; echo x >d/x");
        let script = format!("cd {}; cat changed d/x; ls; rm -r d; mkdir d; echo y >d/y", proj.display());
        let run = cella(&user, &["exec", "--contract", "c.toml", "--from", &one, "--", "sh", "-c", &script]);
        assert_eq!(run.out, "one\nx\nchanged\nd\n", "{run:?}");
        let two = ids(&user).into_iter().find(|id| *id != one).unwrap();
        let shown = cella(&user, &["workspace", "show", &two, "--json"]).json();
        assert_eq!(shown["from"], one.as_str());
        assert_eq!(cella(&user, &["workspace", "discard", &one, "--yes"]).status, 0);
        assert_eq!(cella(&user, &["workspace", "commit", &two]).status, 0);
        assert!(proj.join("d/y").exists() && !proj.join("d/x").exists() && !proj.join("gone").exists());
        assert_eq!(fs::read_to_string(proj.join("changed")).unwrap(), "one\n");
    }
}

/// Whatever programs do to directories.
const WORK: &str = "set -e; echo one >a; mkdir -p d/e/f; echo deep >d/e/f/g; mv old renamed; rm -r tree/sub; echo file >tree/sub
    mv tree moved; mkdir tree; echo fresh >tree/fresh; rm script; mkdir script; echo in >script/in; chmod 750 moved
    ln -s nowhere dangling; ln a hard; echo more >>a; rm kept/x; rmdir kept; mkdir kept; chmod 700 kept; echo -n >empty
    printf 'odd' >\"$(printf 'n\\001\\377 %%')\"; touch untouched; rm link; echo real >link; mkdir .hidden; echo x >.hidden/x
    rm -r whole; mkdir whole; echo only >whole/only; cp -a moved/keep moved/copy; chmod 600 mode";

const BEFORE: &str = "set -e; echo old >old; mkdir -p tree/sub/deeper kept whole/part; echo a >tree/sub/deeper/a; echo k >tree/keep
    echo s >script; chmod 755 script; echo x >kept/x; echo u >untouched; ln -s old link; echo w >whole/w; echo p >whole/part/p
    echo m >mode; chmod 644 mode";

/// Every path below a directory with its kind, permissions and content.
fn listing(dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let facts = fs::symlink_metadata(&path).unwrap();
        let content = match facts.file_type() {
            kind if kind.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            kind if kind.is_dir() => Vec::new(),
            _ => fs::read(&path).unwrap(),
        };
        if facts.is_dir() {
            let below = listing(&path).into_iter();
            found.extend(below.map(|(name, mode, content)| {
                (Path::new(path.file_name().unwrap()).join(name), mode, content)
            }));
        }
        found.push((path.file_name().unwrap().into(), facts.mode(), content));
    }
    found.sort();
    found
}

#[test]
fn a_commit_leaves_what_the_same_program_leaves_in_the_directory_itself() {
    for user in User::all() {
        let proj = with_project(&user);
        let sh = |script: &str, dir: &Path| {
            let mut command = std::process::Command::new("sh");
            if let Some(uid) = user.uid {
                command.uid(uid).gid(uid);
            }
            let run = Ended::of(command.args(["-c", &format!("umask 022; {script}")]).current_dir(dir));
            assert_eq!((run.status, run.err.as_str()), (0, ""), "{run:?}");
        };
        let direct = user.write("direct/changed", "before\n").parent().unwrap().to_owned();
        fs::write(direct.join("gone"), "gone\n").unwrap();
        for dir in [&proj, &direct] {
            sh(BEFORE, dir);
        }
        let before = listing(&proj);
        let id = run_in_copy(&user, &format!("umask 022; {WORK}"));
        assert_eq!(listing(&proj), before, "the host is as it was");
        sh(WORK, &direct);
        let done = cella(&user, &["workspace", "commit", &id]);
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!(listing(&proj), listing(&direct));
    }
}

#[test]
fn a_commit_that_is_killed_goes_on_where_it_broke_off() {
    for user in User::all() {
        let proj = with_project(&user);
        let id = run_in_copy(&user, "rm gone; for n in $(seq 300); do echo $n >f$n; done");
        let mut child = started(&mut user.command(&["workspace", "commit", &id]));
        until("the first file is there", || proj.join("f1").exists());
        kill(&child, "-KILL");
        child.wait().unwrap();
        let listed = cella(&user, &["workspace", "ls"]);
        assert!(listed.out.contains("committing") || proj.join("f99").exists(), "{listed:?}");
        let again = cella(&user, &["workspace", "commit", &id]);
        assert_eq!(again.status, 0, "{again:?}");
        let mut names = fs::read_dir(&proj).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.all(|name| !name.to_string_lossy().starts_with(".cella-")));
        assert_eq!(fs::read_dir(&proj).unwrap().count(), 301);
    }
}

#[test]
fn a_link_to_elsewhere_is_committed_as_a_link_and_named() {
    for user in User::all() {
        let proj = with_project(&user);
        let id =
            run_in_copy(&user, "ln -s /etc/passwd pw; rm changed; ln -s ../outside changed; mkfifo pipe");
        let shown = cella(&user, &["workspace", "show", &id]);
        assert!(shown.out.contains("A pw  -> /etc/passwd, which leads out of the directory"), "{shown:?}");
        assert!(shown.out.contains("? pipe  left out: a named pipe"), "{shown:?}");
        assert_eq!(cella(&user, &["workspace", "commit", &id]).status, 0);
        assert_eq!(fs::read_link(proj.join("pw")).unwrap().to_str(), Some("/etc/passwd"));
        assert_eq!(fs::read_link(proj.join("changed")).unwrap().to_str(), Some("../outside"));
        assert!(!user.home.path("outside").exists());
    }
}

#[test]
fn a_copy_that_grows_past_its_limit_ends_the_program() {
    for user in User::all() {
        let proj = with_project(&user);
        let limited = "[[files]]\npath = \"proj\"\nmode = \"copy\"\n[limits]\ncopy_bytes = \"1MiB\"\n";
        let fill = |script: &str| user.under(limited, &format!("cd {} && {script}", proj.display()));
        let run = fill("for n in 1 2 3; do head -c 900000 /dev/zero >f$n; done; sleep 60");
        assert_eq!(run.status, 137, "{run:?}");
        assert!(
            run.err.contains("ended by its disk limit") && run.err.contains("past the limit of bytes"),
            "{run:?}"
        );
        let run = fill("head -c 2000000 /dev/zero >one");
        assert_ne!(run.status, 0, "{run:?}");
        assert_eq!(fs::read_dir(&proj).unwrap().count(), 2, "the host is as it was");
    }
}

#[test]
fn what_cannot_be_a_copy_is_refused_and_never_written() {
    for user in User::all() {
        let proj = with_project(&user);
        let touch = |contract: &str| user.under(contract, &format!("echo x >>{}/changed", proj.display()));
        let single = touch("[[files]]\npath = \"proj/changed\"\nmode = \"copy\"\n");
        assert_eq!((single.status, single.code()), (1, "CE2504"), "{single:?}");
        let home = touch("[[files]]\npath = \".\"\nmode = \"copy\"\n");
        assert_eq!(home.code(), "CE2503", "{home:?}");
        let vm = touch("class = \"vm\"\n[[files]]\npath = \"proj\"\nmode = \"copy\"\n");
        assert_eq!(vm.code(), "CE2504", "{vm:?}");
        assert_eq!(fs::read_to_string(proj.join("changed")).unwrap(), "before\n");
        assert!(ids(&user).is_empty());
        let unknown = cella(&user, &["workspace", "show", "nobody"]);
        assert_eq!((unknown.status, unknown.code()), (2, "CE2501"), "{unknown:?}");
    }
}

#[test]
fn what_a_killed_command_left_is_captured_later_and_no_mount_stays() {
    for user in User::all() {
        let proj = with_project(&user);
        let script = format!("echo after >{}/changed; echo ready; sleep 1000", proj.display());
        let mut child = started(&mut user.command(&[
            "exec",
            "--contract",
            "c.toml",
            "--copy",
            "--",
            "sh",
            "-c",
            &script,
        ]));
        assert_eq!(first_line(&mut child), "ready\n");
        kill(&child, "-KILL");
        child.wait().unwrap();
        let mut found = Vec::new();
        until("it is captured", || {
            found = ids(&user);
            !found.is_empty()
        });
        assert_eq!(cella(&user, &["workspace", "commit", &found[0]]).status, 0);
        assert_eq!(fs::read_to_string(proj.join("changed")).unwrap(), "after\n");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&*proj.to_string_lossy()), "{mounts}");
        assert_eq!(
            fs::read_dir(user.home.path(".local/state/cella/default/workspaces/live")).unwrap().count(),
            0
        );
    }
}

#[test]
fn a_program_sees_nothing_of_the_workspaces() {
    for user in User::all() {
        let proj = with_project(&user);
        run_in_copy(&user, "echo secret >new");
        let state = fs::canonicalize(user.home.path(".local/state/cella")).unwrap();
        let run =
            cella(&user, &["exec", "--contract", "c.toml", "--copy", "--", "ls", &state.to_string_lossy()]);
        assert_ne!(run.status, 0, "{run:?}");
        let run =
            cella(&user, &["exec", "--contract", "c.toml", "--copy", "--", "ls", &proj.to_string_lossy()]);
        assert_eq!(run.out, "changed\ngone\n", "{run:?}");
    }
}

/// A home with a server that writes into a copy.
fn with_server() -> Home {
    let home = Home::new();
    home.write("data/word", "before");
    home.write(".config/cella/files.toml", "[[files]]\npath = \"${HOME}/data\"\nmode = \"copy\"\n");
    home.write(
        ".config/cella/cella.toml",
        "[node]\nlisten = \"127.0.0.1:0\"\n\n[servers.files]\ncommand = \"builtin:files\"\nargs = [\"${HOME}/data\"]\n\
         contract = \"files.toml\"\n",
    );
    home
}

fn write_word(home: &Home, text: &str) {
    let arguments = format!("{{\"path\":\"word\",\"content\":\"{text}\"}}");
    let run = home.cella(&["call", "files", "write_file", &arguments]);
    assert_eq!(run.status, 0, "{run:?}");
}

fn only_id(home: &Home) -> String {
    let list = home.cella(&["workspace", "ls", "--json"]).json();
    list["workspaces"][0]["id"].as_str().unwrap().to_owned()
}

fn kinds(home: &Home) -> Vec<String> {
    let mut kinds = Vec::new();
    for kind in ["captured", "committing", "committed", "discarded"] {
        let kind = format!("workspace.{kind}");
        let found = home.cella(&["log", "query", "--kind", &kind, "--json"]);
        let events = found.json()["events"].as_array().map_or(0, Vec::len);
        kinds.extend(vec![kind; events]);
    }
    kinds
}

#[test]
fn what_a_server_changed_is_kept_under_its_name_when_it_ends_and_is_on_record() {
    let home = with_server();
    let node = home.up();
    write_word(&home, "after");
    let running = home.cella(&["workspace", "ls"]);
    assert!(running.out.contains("files") && running.out.contains("running"), "{running:?}");
    assert_eq!(node.stop(), 0);
    assert_eq!(home.read("data/word"), "before");
    let diff = home.cella(&["workspace", "diff", "files"]);
    assert!(diff.out.contains("-before") && diff.out.contains("+after"), "{diff:?}");
    let id = only_id(&home);
    let named = home.cella(&["workspace", "commit", "files"]);
    assert_eq!((named.status, named.code()), (2, "CE2501"), "{named:?}");
    assert!(named.err.contains(&id), "{named:?}");
    assert_eq!(home.cella(&["workspace", "commit", &id]).status, 0);
    assert_eq!(home.read("data/word"), "after");
    assert_eq!(kinds(&home), ["workspace.captured", "workspace.committing", "workspace.committed"]);
    assert_eq!(home.cella(&["log", "verify"]).status, 0);
}

#[test]
fn a_running_node_commits_and_discards_itself() {
    let home = with_server();
    let node = home.up();
    write_word(&home, "after");
    node.stop();
    let node = home.up();
    home.write("data/word", "mine");
    let id = only_id(&home);
    let refused = home.cella(&["workspace", "commit", &id]);
    assert_eq!((refused.status, refused.code()), (7, "CE2502"), "{refused:?}");
    home.write("data/word", "before");
    let done = home.cella(&["workspace", "commit", &id]);
    assert_eq!((done.status, home.read("data/word").as_str()), (0, "after"), "{done:?}");
    assert_eq!(home.cella(&["workspace", "discard", &id, "--yes"]).status, 0);
    let said = ["workspace.captured", "workspace.committing", "workspace.committed", "workspace.discarded"];
    assert_eq!(kinds(&home), said);
    assert_eq!(node.stop(), 0);
}

#[test]
fn what_a_killed_nodes_server_changed_is_captured_by_the_next_start() {
    let home = with_server();
    let node = home.up();
    write_word(&home, "after");
    node.signal("KILL");
    drop(node);
    let node = home.up();
    until("it is captured", || home.cella(&["workspace", "show", "files"]).out.contains("M word"));
    assert_eq!(home.read("data/word"), "before");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*home.path("data").to_string_lossy()), "{mounts}");
    assert_eq!(node.stop(), 0);
}
