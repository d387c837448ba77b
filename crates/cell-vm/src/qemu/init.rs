//! What the guest does: a script for busybox, and the line that starts the program.

use std::{fmt::Write, path::Path};

use cella_cell::Spec;

use super::{
    guest::{Guest, RELAY_DIR, Relay},
    machine::RELAY,
};
use crate::{
    relay::inside::{GUEST_ARG, READY},
    view::{HOME, PRIVATE},
};

/// Mount options of an export that cannot change, and of one that can.
const READ: &str = "trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro,nosuid,nodev";
const WRITE: &str = "trans=virtio,version=9p2000.L,msize=262144,cache=mmap,nosuid,nodev";

/// Before anything is known of the cell. `stop` tells why and ends: without a wall nothing runs.
const HEAD: &str = r#"#!/bin/sh
export PATH=/bin
mount -t proc -o hidepid=2 proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t debugfs debugfs /sys/kernel/debug
for pass in 1 2 3; do for module in $(cat /modules/list); do insmod /modules/$module 2>/dev/null; done; done
tries=0
while [ ! -c /dev/vport0p4 ] && [ ! -c /dev/vport1p4 ] && [ $tries -lt 500 ]; do mdev -s; sleep 0.01; tries=$((tries + 1)); done
port=$(ls /dev | grep 'vport.*p4' | head -1); port=/dev/${port%4}
exec 9<>${port}4
stop() { echo "stop $1" >&9; sleep 1; poweroff -f; }
ip link set lo up
mount -t tmpfs -o size=4m,mode=755,nosuid root /new || stop root
"#;

/// Where a snapshot is taken and every guest begins: what it is for comes from here on. `hello` asks a guest that woke
/// whether it did; `cell` is followed by the time and randomness for it alone, and then by the cell's own files.
const WAIT: &str = r#"
echo ready >&9
while read word <&9; do case $word in hello) echo ready >&9;; cell) break;; esac; done
[ "$word" = cell ] || poweroff -f
/bin/seed <&9 || stop seed
cpio -i -d -u <&9 2>/dev/null || stop files
. /cell.sh
"#;

/// The program's life. Its streams are pipes: a port can be opened only once. What the pumps have sent is told by number,
/// because the machine is gone before a byte that is still under way.
const TAIL: &str = r#"
mkfifo -m 666 /p/in /p/out /p/err
cat <${port}1 >/p/in &
cat </p/out >${port}2 & out=$!
cat </p/err >${port}3 & err=$!
echo up >&9
(while read order <&9; do case $order in *term) su -s /bin/sh cell -c 'kill -TERM -1';; esac; done; poweroff -f) &
(exec 9>&-; ulimit -c 0; . /limits; exec chroot /new /.cella/busybox su -s /.cella/sh cell -c '. /.cella/run') </p/in >/p/out 2>/p/err &
main=$!
wait $main; code=$?
for again in 1 2 3; do su -s /bin/sh cell -c 'kill -9 -1' 2>/dev/null; done
wait $out; wait $err
sent() { s=$(grep bytes_sent /sys/kernel/debug/virtio-ports/${port#/dev/}$1); echo ${s##* }; }
oom=$(grep '^oom_kill ' /proc/vmstat); oom=${oom##* }
echo "end $code $(sent 2) $(sent 3) ${oom:-0}" >&9
sleep 60
poweroff -f
"#;

/// Directories of the root that are always there.
const DIRS: &str = "proc sys dev tmp run home/cell etc var/tmp var/run opt srv";

/// Devices without state and without power, and the links that shells and interpreters expect.
const DEVICES: &str = r#"mount -t tmpfs -o size=64k,mode=755,nosuid,noexec dev /new/dev || stop dev
for node in 'null c 1 3' 'zero c 1 5' 'full c 1 7' 'random c 1 8' 'urandom c 1 9'; do mknod -m 666 /new/dev/$node; done
for name in 'fd' 'stdin/0' 'stdout/1' 'stderr/2'; do
  rest=${name#*/}; [ "$rest" = "$name" ] && rest= || rest=/$rest
  ln -s /proc/self/fd$rest /new/dev/${name%/*}
done
mkdir /new/dev/shm /new/.cella
cp /bin/busybox /new/.cella/busybox && ln -s busybox /new/.cella/sh || stop root
mount -t proc -o hidepid=2,nosuid,nodev,noexec proc /new/proc || stop proc
"#;

/// The script of every guest.
pub(super) fn script() -> String {
    let mut text = HEAD.to_owned();
    line(&mut text, format_args!("cd /new && mkdir -p {DIRS} && cd / || stop root"));
    text.push_str(DEVICES);
    text.push_str(WAIT);
    text.push_str(TAIL);
    text
}

/// What one cell adds to it: its directories. What is private comes before what is granted, which may lie in it.
pub(super) fn cell(guest: &Guest) -> String {
    let mut text = String::new();
    let (uid, gid) = guest.owner;
    let (bytes, files) = guest.private;
    for (place, mode) in PRIVATE {
        let options =
            format!("size={bytes},nr_inodes={files},mode={mode:o},uid={uid},gid={gid},nosuid,nodev");
        line(&mut text, format_args!("mount -t tmpfs -o {options} cell /new{place} || stop tmpfs"));
    }
    for (tag, shown) in guest.exports() {
        let place = inside(&shown.target);
        let options = if shown.write { WRITE } else { READ };
        line(&mut text, format_args!("mkdir -p {place} 2>/dev/null"));
        line(&mut text, format_args!("mount -t 9p -o {options} {tag} {place} || stop {tag}"));
    }
    line(&mut text, format_args!("cp -a /files/. /new/ || stop files"));
    for (place, mode) in PRIVATE {
        // What was copied into it brought a directory's usual rights along.
        line(
            &mut text,
            format_args!("chmod {mode:o} /new{place} && chown {uid}:{gid} /new{place} || stop tmpfs"),
        );
    }
    for (target, is_dir) in &guest.view.covers {
        let place = inside(target);
        let covered = if *is_dir { "-t tmpfs -o ro,size=4k cover" } else { "--bind /empty" };
        line(&mut text, format_args!("mount {covered} {place} || stop cover"));
    }
    text.push_str("mount -o remount,ro /new/dev; mount -o remount,ro,nosuid /new || stop root\n");
    if let Some(Relay { command, ports, .. }) = &guest.relay {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports = ports.join(" ");
        line(
            &mut text,
            format_args!(
                "mkdir {RELAY_DIR} && mount -t 9p -o {READ} {RELAY} {RELAY_DIR} && mkfifo /p/relay || stop relay"
            ),
        );
        line(
            &mut text,
            format_args!("{command} {GUEST_ARG} ${{port}}5 {ports} </dev/null >/p/relay 2>&1 9>&- &"),
        );
        line(&mut text, format_args!("read said </p/relay; [ \"$said\" = {READY} ] || stop \"relay $said\""));
    }
    text
}

/// What the program's user executes, inside the guest's root.
pub(super) fn run(spec: &Spec) -> String {
    let program = &spec.program;
    let cwd = program.cwd.as_deref().unwrap_or_else(|| Path::new(HOME));
    let mut text = format!("cd {} || exit 126\n", quoted(&cwd.to_string_lossy()));
    text.push_str("exec /.cella/busybox setpriv --nnp /.cella/busybox env -i");
    for (key, value) in &spec.env {
        text.push(' ');
        text.push_str(&quoted(&format!("{key}={value}")));
    }
    for word in
        std::iter::once(program.command.to_string_lossy().into_owned()).chain(program.args.iter().cloned())
    {
        text.push(' ');
        text.push_str(&quoted(&word));
    }
    text.push('\n');
    text
}

/// Limits that the guest's kernel keeps.
pub(super) fn limits(spec: &Spec) -> String {
    let limits = &spec.limits;
    let mut text = format!("ulimit -n {}\n", limits.open_files);
    if let Some(count) = limits.processes.value() {
        line(&mut text, format_args!("ulimit -u {count} 2>/dev/null || ulimit -p {count} || exit 126"));
    }
    if let Some(bytes) = limits.file_bytes {
        // In blocks of 512 bytes.
        line(&mut text, format_args!("ulimit -f {}", bytes / 512));
    }
    if let Some(time) = limits.cpu_time {
        line(&mut text, format_args!("ulimit -t {}", time.as_secs().max(1)));
    }
    text
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _infallible = writeln!(text, "{words}");
}

fn inside(path: &Path) -> String {
    quoted(&format!("/new{}", path.display()))
}

/// One word for a POSIX shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use cella_cell::{Program, Spec};

    use super::{quoted, run};

    #[test]
    fn a_word_stays_one_word_whatever_is_in_it() {
        assert_eq!(quoted("a'b $c"), r"'a'\''b $c'");
        let args = vec!["-c".to_owned(), "echo '$HOME'; x".to_owned()];
        let spec = Spec::new("s", Program { command: "/bin/sh".into(), args, ..Program::default() });
        let text = run(&spec);
        assert!(
            text.ends_with(r"'/bin/sh' '-c' 'echo '\''$HOME'\''; x'") || text.ends_with("x'\n"),
            "{text}"
        );
    }
}
