//! What a program behind a kernel of its own may not reach, and what it may.

use std::{fs, net::TcpListener, sync::mpsc};

use cella_cell::{Access, Ask, LimitHit};

use super::{
    Outcome, Test,
    bench::{Bench, check, mount, script},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_host_file_is_not_there", host_file),
    ("a_granted_file_is_read_and_not_changed", granted_file),
    ("a_granted_directory_is_written", granted_directory),
    ("what_is_hidden_in_a_grant_stays_hidden", hidden),
    ("the_root_is_not_written", root_is_read_only),
    ("a_listener_of_the_host_is_not_reached", no_network),
    ("host_processes_are_not_seen", no_processes),
    ("the_environment_of_the_node_is_not_seen", no_environment),
    ("the_kernel_is_not_the_hosts", own_kernel),
    ("hosts_without_a_network_are_a_shortfall_that_is_said", egress),
    ("a_memory_limit_ends_the_cell", memory),
    ("the_program_has_no_capability", no_capability),
];

/// Of a directory that is granted.
const OWNER: u32 = 65_533;

fn host_file(bench: &Bench) -> Outcome {
    let canary = bench.file("canary", "canary\n");
    bench.must_not_get_out(&format!("grep -q canary {}", canary.display()))
}

fn granted_file(bench: &Bench) -> Outcome {
    let file = bench.file("granted/data", "given\n");
    let dir = file.parent().expect("a parent").to_owned();
    let mut spec = script(&format!("cat {0}; echo new 2>/dev/null >{0} || echo kept", file.display()));
    spec.mounts = vec![mount(&dir, Access::Read)];
    let ran = bench.run(&spec);
    let after = fs::read_to_string(&file).unwrap_or_default();
    check(ran.stdout == "given\nkept\n" && after == "given\n", || format!("{ran:?} {after:?}"))
}

fn granted_directory(bench: &Bench) -> Outcome {
    let dir = bench.file("out/old", "old\n").parent().expect("a parent").to_owned();
    if rustix::process::geteuid().is_root() {
        // A virtual machine never runs as root, so root's own directories are no grant for it.
        for path in [dir.clone(), dir.join("old")] {
            std::os::unix::fs::chown(path, Some(OWNER), Some(OWNER)).expect("another owner");
        }
    }
    let mut spec = script(&format!("echo made >{0}/new && rm {0}/old && echo done", dir.display()));
    spec.mounts = vec![mount(&dir, Access::Write)];
    let ran = bench.run(&spec);
    let made = fs::read_to_string(dir.join("new")).unwrap_or_default();
    check(ran.stdout == "done\n" && made == "made\n" && !dir.join("old").exists(), || {
        format!("{ran:?} {made:?}")
    })
}

fn hidden(bench: &Bench) -> Outcome {
    bench.file("home/seen", "seen\n");
    let secret = bench.file("home/secrets/token", "token\n");
    let lone = bench.file("home/lone", "token\n");
    let dir = bench.path("home");
    let mut spec =
        script(&format!("cat {0}/seen; cat {0}/secrets/token {0}/lone 2>/dev/null; true", dir.display()));
    spec.mounts = vec![mount(&dir, Access::Read)];
    let control = bench.run(&spec);
    check(control.stdout == "seen\ntoken\ntoken\n", || format!("control: {control:?}"))?;
    spec.masks = vec![secret.parent().expect("a parent").to_owned(), lone];
    let ran = bench.run(&spec);
    check(ran.stdout == "seen\n", || format!("{ran:?}"))
}

fn root_is_read_only(bench: &Bench) -> Outcome {
    let text = "for dir in / /usr /etc /usr/bin; do echo x 2>/dev/null >$dir/written && echo OUT; done; \
                for dir in /tmp $HOME /dev/shm; do echo x >$dir/written && echo may; done";
    let ran = bench.run(&script(text));
    check(ran.stdout == "may\nmay\nmay\n", || format!("{ran:?}"))
}

/// The oracle is the listener itself: it tells whether somebody came.
fn no_network(bench: &Bench) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let (came, visits) = mpsc::channel();
    std::thread::spawn(move || listener.incoming().for_each(|_| came.send(()).unwrap_or_default()));
    let attempt = format!(
        "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 3)' 2>/dev/null"
    );
    bench.must_not_get_out(&attempt)?;
    let visited = visits.try_iter().count();
    check(visited == 1, || format!("{visited} connections; the control run makes one"))?;
    let ran =
        bench.run(&script("cat /proc/net/dev 2>/dev/null | grep : | grep -v ' *lo:' | grep -cv XX; true"));
    check(ran.stdout.trim() == "0", || format!("devices beside loopback: {ran:?}"))
}

fn no_processes(bench: &Bench) -> Outcome {
    let pid = std::process::id();
    bench.must_not_get_out(&format!(
        "kill -0 {pid} 2>/dev/null || tr '\\0' ' ' </proc/{pid}/cmdline 2>/dev/null | grep -q __test"
    ))
}

fn no_environment(bench: &Bench) -> Outcome {
    let ran = bench.run(&script("cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'"));
    let user = std::env::var("HOME").unwrap_or_default();
    let leaked = ran.stdout.lines().any(|line| line == format!("HOME={user}") || line.starts_with("CARGO"));
    check(!leaked && ran.stdout.contains("HOME=/home/cell"), || format!("{ran:?}"))
}

fn own_kernel(bench: &Bench) -> Outcome {
    let text = "cat /proc/sys/kernel/random/boot_id 2>/dev/null; cat /proc/version";
    let (inside, outside) = (bench.run(&script(text)).stdout, bench.outside(text));
    check(!inside.is_empty() && inside.trim() != outside, || format!("{inside:?}"))
}

fn egress(bench: &Bench) -> Outcome {
    let mut spec = script("echo ran");
    spec.egress = vec!["a.example:443".into()];
    let running = bench.spawn(&spec).map_err(|error| error.to_string())?;
    let said = running.cell.report().degraded.iter().any(|short| short.what == "egress");
    check(said && running.network.is_none(), || format!("{:?}", running.cell.report()))
}

fn memory(bench: &Bench) -> Outcome {
    let mut spec =
        script("python3 -c 'a = bytearray(600 << 20); a[::4096] = b\"x\" * len(a[::4096]); print(\"OUT\")'");
    let ran = bench.run(&spec);
    check(ran.stdout == "OUT\n", || format!("control: {ran:?}"))?;
    spec.limits.memory_bytes = Ask::Require(128 << 20);
    match bench.block_on(bench.class.launch(&spec)) {
        // A plain user without control groups is told, which is the other half of the law.
        Err(error) => check(error.code() == "CE2053", || format!("{error}")),
        Ok(running) => {
            let exit = bench.block_on(async {
                drop(running.stdin);
                running.cell.wait().await
            });
            let stopped = exit.limit == Some(LimitHit::Memory) || !exit.success();
            check(stopped, || format!("{exit:?}"))
        }
    }
}

fn no_capability(bench: &Bench) -> Outcome {
    let ran = bench.run(&script("grep -E '^Cap(Eff|Prm)' /proc/self/status | tr -d '\\t'; mount -t tmpfs x /tmp 2>/dev/null && echo OUT; chown 12 $HOME 2>/dev/null && echo OUT; true"));
    let none = ran.stdout.lines().filter(|line| line.ends_with(":0000000000000000")).count();
    check(none == 2 && !ran.stdout.contains("OUT"), || format!("{ran:?}"))
}
