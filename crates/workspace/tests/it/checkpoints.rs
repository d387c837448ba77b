//! Checkpoints of layers in which somebody works on.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use cella_freezer::Freezer;
use cella_workspace::{About, COPY_BYTES, Checkpoint, Kept, Layers};

use super::{Bench, some_work, upper, write};

/// Where nothing can be made to stand still: the same as with it, but for the second look.
fn checkpoint(layers: &mut Layers) -> Checkpoint {
    layers.checkpoint(&Freezer::default()).unwrap()
}

fn kept(made: Checkpoint) -> Kept {
    made.kept.unwrap()
}

/// Long enough ago that a change is seen by its time.
fn settle() {
    std::thread::sleep(Duration::from_millis(150));
}

/// What a run that starts from this one has in its layer.
fn started_from(bench: &Bench, kept: &Kept) -> Layers {
    bench.store.begin(About::default(), &[bench.root()], COPY_BYTES, Some(&kept.id)).unwrap()
}

fn text(layers: &Layers, path: &str) -> String {
    fs::read_to_string(upper(layers).join(path)).unwrap_or_else(|error| error.kind().to_string())
}

#[test]
fn a_run_starts_from_a_checkpoint_and_sees_what_was_there_then_and_nothing_later() {
    let bench = Bench::new();
    let mut layers = bench.begin();
    some_work(&upper(&layers));
    let first = kept(checkpoint(&mut layers));
    assert_eq!(first.checkpoint_of.as_deref(), Some(layers.id()));
    write(&upper(&layers).join("changed"), "later");
    write(&upper(&layers).join("late"), "late");
    let second = kept(checkpoint(&mut layers));
    let last = layers.capture().unwrap().unwrap();
    assert_eq!(last.digest, second.digest, "nothing happened after it");
    let (one, two) = (started_from(&bench, &first), started_from(&bench, &second));
    assert_eq!((text(&one, "changed").as_str(), text(&one, "late").as_str()), ("after", "entity not found"));
    assert_eq!((text(&two, "changed").as_str(), text(&two, "late").as_str()), ("later", "late"));
    bench.store.commit(&first, false).unwrap();
    assert_eq!(bench.seen("changed"), "after");
}

#[test]
fn the_same_state_is_one_checkpoint_and_nothing_changed_is_none() {
    let bench = Bench::new();
    let mut layers = bench.begin();
    assert!(checkpoint(&mut layers).kept.is_none());
    some_work(&upper(&layers));
    let (first, second) = (checkpoint(&mut layers), checkpoint(&mut layers));
    assert_eq!((first.is_new, second.is_new), (true, false));
    assert_eq!(kept(first).id, kept(second).id);
}

#[test]
fn only_what_changed_since_the_last_checkpoint_is_read_and_stored() {
    let bench = Bench::new();
    let mut layers = bench.begin();
    let at = upper(&layers);
    for number in 0..10 {
        write(&at.join(format!("file{number}")), &number.to_string().repeat(10_000));
    }
    write(&at.join("kept"), "kept");
    settle();
    let first = checkpoint(&mut layers);
    assert_eq!((first.read, first.stored), (100_004, 100_000), "what is as on the host is not stored");
    write(&at.join("file3"), &"x".repeat(10_000));
    let second = checkpoint(&mut layers);
    assert_eq!((second.read, second.stored), (10_000, 10_000));
    fs::rename(at.join("file4"), at.join("moved")).unwrap();
    settle();
    let third = checkpoint(&mut layers);
    assert_eq!(
        (third.read, third.stored),
        (20_000, 20_000),
        "a new name, and what had changed only just then"
    );
    let delta = bench.store.delta(&kept(third)).unwrap();
    assert!(delta.areas[0].changes.iter().any(|change| change.path.to_string() == "moved"));
}

#[test]
fn a_change_that_hides_its_time_and_its_size_is_seen() {
    let bench = Bench::new();
    let mut layers = bench.begin();
    let at = upper(&layers).join("new");
    write(&at, "before");
    let time = SystemTime::now() - Duration::from_secs(1000);
    let set_back = || File::options().write(true).open(&at).unwrap().set_modified(time).unwrap();
    set_back();
    settle();
    let first = kept(checkpoint(&mut layers));
    write(&at, "after!");
    set_back();
    let second = kept(checkpoint(&mut layers));
    assert_ne!(first.digest, second.digest);
    assert_eq!(text(&started_from(&bench, &second), "new"), "after!");
}

#[test]
fn a_change_through_a_mapping_of_the_file_is_seen() {
    let bench = Bench::new();
    let mut layers = bench.begin();
    let at = upper(&layers).join("mapped");
    write(&at, &"-".repeat(4096));
    let script = "import mmap, sys\n\
                  f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 4096)\n\
                  for line in sys.stdin: m[0:1] = line[0:1].encode(); print('done', flush=True)";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(&at);
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut ask, mut answers) =
        (python.stdin.take().unwrap(), BufReader::new(python.stdout.take().unwrap()));
    let mut change = |to: &str| {
        writeln!(ask, "{to}").unwrap();
        answers.read_line(&mut String::new()).unwrap();
    };
    change("a");
    settle();
    for to in ["b", "c", "d"] {
        checkpoint(&mut layers);
        change(to);
        let made = kept(checkpoint(&mut layers));
        assert_eq!(&text(&started_from(&bench, &made), "mapped")[..1], to);
        settle();
    }
    drop(ask);
    python.wait().unwrap();
}

#[test]
fn contents_of_a_discarded_checkpoint_are_stored_again() {
    let bench = Bench::new();
    let mut layers = bench.begin();
    write(&upper(&layers).join("new"), "new");
    settle();
    let first = kept(checkpoint(&mut layers));
    bench.store.discard(&first).unwrap();
    let second = kept(checkpoint(&mut layers));
    assert_ne!(first.id, second.id);
    bench.store.commit(&second, false).unwrap();
    assert_eq!(bench.seen("new"), "new");
}

#[test]
fn a_directory_that_the_run_closed_is_looked_into_and_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let mut layers = bench.begin();
    let dir = upper(&layers).join("closed");
    write(&dir.join("file"), "inside");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
    let made = kept(checkpoint(&mut layers));
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o500);
    assert_eq!(text(&started_from(&bench, &made), "closed/file"), "inside");
}

#[test]
fn a_run_that_never_stops_writing_gets_no_half_of_a_checkpoint() {
    let bench = Bench::new();
    let mut layers = bench.begin();
    let at = upper(&layers);
    write(&at.join("one"), "0");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                write(&at.join(format!("file{}", number % 50)), &number.to_string());
            }
        });
        // On a busy machine the writer may stand still for so long that there is one to be made.
        let codes =
            (0..20).map(|_| layers.checkpoint(&Freezer::default()).map_err(|error| error.code()).err());
        let refused = codes.into_iter().find(Option::is_some);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(refused.flatten(), Some("CE2509"));
    });
    assert!(checkpoint(&mut layers).kept.is_some());
}
