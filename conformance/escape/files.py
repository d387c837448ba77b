"""Files: the host's canary, what was granted for reading only, and what may lie in a writable directory."""

import os

from . import proc
from .attempt import APART, HIDDEN, ROOT, attempt
from .host import PYTHON
from .oracles import canary_came_out, canary_changed, device_node, lent_mode, readable_changed, watched


def places(host):
    """Where things are; every path of the host that an attempt may know."""
    return {"canary": str(host.canary_file), "hidden": str(host.ungranted), "data": str(host.data), "readable": str(host.readable),
            "file": str(host.readable_file), "home": str(host.home)}


@attempt("files", before=places, out=canary_came_out)
def absolute_path(at):
    """Reads a file of the host that the contract does not name, by its absolute path."""
    say(open(at.canary).read())


@attempt("files", before=places, out=canary_came_out)
def parent_directories(at):
    """Climbs from the granted directory and from the working directory to the host's file by `..`."""
    ways = [f"{at.data}/../host/canary", f"{at.readable}/../../{at.nonce}/host/canary", "../" * 40 + at.canary]
    each(ways, lambda way: say(open(way).read()))


@attempt("files", before=places, out=canary_came_out)
def symlink_in_writable_mount(at):
    """Makes a symbolic link to the host's file in the writable directory and reads through it."""
    os.symlink(at.canary, f"{at.data}/link")
    say(open(f"{at.data}/link").read())


def _planted_link(host):
    os.symlink(host.canary_file, host.readable / "planted")
    return places(host)


@attempt("files", before=_planted_link, out=canary_came_out)
def symlink_that_the_host_left(at):
    """Follows a symbolic link that lies in a granted directory and leads out of it."""
    say(open(f"{at.readable}/planted").read())


@attempt("files", before=places, out=canary_came_out)
def hard_link(at):
    """Links the host's file into the writable directory and reads it there."""
    os.link(at.canary, f"{at.data}/hard")
    say(open(f"{at.data}/hard").read())


def _moved_out(host, run):
    found = [name for name in os.listdir(host.ungranted) if name != "canary"]
    return f"{found} lies in a directory of the host" if found else None


@attempt("files", before=places, out=_moved_out)
def move_out(at):
    """Moves a file from the writable directory to one of the host that was not granted."""
    open(f"{at.data}/mine", "w").write("mine")
    os.rename(f"{at.data}/mine", f"{at.hidden}/mine")


@attempt("files", before=places, out=canary_came_out)
def root_of_a_process(at):
    """Looks for the host's file under /proc/*/root, of process 1 first."""
    each([1, "self", *others()], lambda pid: say(open(f"/proc/{pid}/root{at.canary}").read()))


def _victim_there(host):
    return places(host) | {"victim": host.start_victim(cwd=host.ungranted).pid}


@attempt("files", before=_victim_there, out=canary_came_out)
def working_directory_of_a_process(at):
    """Reaches the host's directory by /proc/*/cwd of a process that works there."""
    each([at.victim, *others()], lambda pid: say(open(f"/proc/{pid}/cwd/canary").read()))


def _open_file(host):
    host.descriptors.append(os.open(host.canary_file, os.O_RDONLY))
    host.cleanup.append(lambda: os.close(host.descriptors[0]))
    return places(host)


@attempt("files", before=_open_file, out=canary_came_out)
def inherited_descriptor(at):
    """Reads every open descriptor above the standard ones: the launcher was started with one on the host's file."""
    each([int(n) for n in os.listdir("/proc/self/fd") if int(n) > 2], lambda n: say(os.pread(n, 100, 0).decode()))


def _open_directory(host):
    host.descriptors.append(os.open(host.ungranted, os.O_RDONLY | os.O_DIRECTORY))
    host.cleanup.append(lambda: os.close(host.descriptors[0]))
    return places(host)


@attempt("files", before=_open_directory, out=canary_came_out)
def inherited_directory(at):
    """Opens the host's file relative to a directory descriptor that the launcher was started with."""
    each(range(3, 64), lambda n: say(os.read(os.open("canary", os.O_RDONLY, dir_fd=n), 100).decode()))


@attempt("files", before=places, out=canary_came_out, control=APART)
def bind_mount(at):
    """Mounts the host's directory over the writable one and reads there."""
    mount(at.hidden, at.data, None, 4096)
    say(open(f"{at.data}/canary").read())


@attempt("files", before=places, out=canary_came_out, control=HIDDEN)
def unmount_what_hides(at):
    """Takes away every mount it can, the covering ones first, to see what lies below."""
    points = [line.split()[4] for line in open("/proc/self/mountinfo")]
    inside = [point for point in reversed(points) if point not in ("/", "/usr") and not point.startswith(("/proc", "/sys", "/dev", "/run"))]
    each(inside, lambda point: call("umount2", point.encode(), 2))
    say(open(at.canary).read())


@attempt("files", before=places, out=readable_changed, control=APART)
def remount_for_writing(at):
    """Makes the directory that was granted for reading writable by a new mount of it, and writes."""
    try:
        mount(None, at.readable, None, 32 | 4096)
    finally:
        open(at.file, "w").write("changed")


@attempt("files", before=places, out=readable_changed, control=APART)
def mount_attributes(at):
    """Makes the directory that was granted for reading writable by mount_setattr, and writes."""
    try:
        attributes = struct.pack("QQQQ", 0, 1, 0, 0)
        call("mount_setattr", -100, at.readable.encode(), 0, attributes, len(attributes))
    finally:
        open(at.file, "w").write("changed")


@attempt("files", before=places, out=canary_came_out, control=APART)
def detached_tree(at):
    """Takes a copy of the host's tree by open_tree and reads in it without any path."""
    tree = call("open_tree", -100, at.hidden.encode(), 1)
    say(os.read(os.open("canary", os.O_RDONLY, dir_fd=tree), 100).decode())


@attempt("files", before=places, out=readable_changed)
def write_what_may_be_read(at):
    """Writes, shortens, replaces and removes the file that was granted for reading."""
    ways = [lambda: open(at.file, "w").write("changed"), lambda: os.truncate(at.file, 1), lambda: os.unlink(at.file),
            lambda: os.rename(at.file, at.file + "2")]
    each(ways, lambda way: way())


@attempt("files", before=places, out=readable_changed)
def write_by_reopening(at):
    """Opens a file for reading and opens it again for writing by /proc/self/fd."""
    first = os.open(at.file, os.O_RDONLY)
    os.write(os.open(f"/proc/self/fd/{first}", os.O_WRONLY | os.O_TRUNC), b"changed")


@attempt("files", before=places, out=readable_changed)
def write_through_shared_memory(at):
    """Maps the file that was granted for reading for shared writing and changes it in memory."""
    file = os.open(at.file, os.O_RDWR)
    with mmap.mmap(file, 4) as memory:
        memory[0:4] = b"EVIL"


@attempt("files", before=places, out=canary_changed)
def write_absolute_path(at):
    """Writes to a file of the host that the contract does not name."""
    open(at.canary, "w").write("changed")


@attempt("files", before=places, out=lent_mode)
def setuid_file(at):
    """Leaves a program in the writable directory that lends its owner's rights on the host."""
    def by_open(name):
        os.umask(0)
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o6755))
    def by_chmod(name):
        open(name, "w").close()
        os.chmod(name, 0o4755)
    def by_descriptor(name):
        os.fchmod(open(name, "w").fileno(), 0o2755)
    def by_newest_call(name):
        open(name, "w").close()
        call(452, -100, name.encode(), 0o4755, 0)
    def by_node(name):
        os.mknod(name, stat.S_IFREG | 0o4755)
    ways = [by_open, by_chmod, by_descriptor, by_newest_call, by_node]
    each(enumerate(ways), lambda pair: pair[1](f"{at.data}/lent-{pair[0]}"))


def _capability(host, run):
    for name in os.listdir(host.data):
        if "security.capability" in os.listxattr(host.data / name):
            return f"{name} has capabilities of the host"
    return None


@attempt("files", before=places, out=_capability, control=ROOT)
def file_capability(at):
    """Leaves a program in the writable directory that has capabilities of the host."""
    open(f"{at.data}/capable", "w").close()
    os.setxattr(f"{at.data}/capable", "security.capability", struct.pack("<IIIII", 0x02000001, 0x2000, 0, 0, 0))


@attempt("files", before=places, out=device_node, control=ROOT)
def device_nodes(at):
    """Makes nodes for the machine's memory, its kernel log, KVM and its first disk in the writable directory."""
    wanted = [(stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 11), (stat.S_IFCHR, 10, 232), (stat.S_IFBLK, 254, 0)]
    each(wanted, lambda one: os.mknod(f"{at.data}/node-{one[1]}-{one[2]}", one[0] | 0o666, os.makedev(*one[1:])))


def _disk(host):
    number = os.stat(host.dir).st_dev
    return places(host) | {"major": os.major(number), "minor": os.minor(number)}


def _disk_read(host, run):
    number = os.stat(host.dir).st_dev
    node = f"/dev/block/{os.major(number)}:{os.minor(number)}"
    try:
        node = node if os.path.exists(node) else f"/dev/{os.path.basename(os.readlink(f'/sys/dev/block/{os.major(number)}:{os.minor(number)}'))}"
        with open(node, "rb") as disk:
            disk.seek(1024)
            return "the host's disk was read" if disk.read(256).hex() in run.output else None
    except OSError:
        return None


@attempt("files", before=_disk, out=_disk_read, control=ROOT)
def raw_disk(at):
    """Makes a node for the disk that holds the host's file and reads the disk past its file system."""
    os.mknod(f"{at.data}/disk", stat.S_IFBLK | 0o600, os.makedev(at.major, at.minor))
    with open(f"{at.data}/disk", "rb") as disk:
        disk.seek(1024)
        say(disk.read(256).hex())


def _handle(host):
    import ctypes

    from .host import libc

    buffer = ctypes.create_string_buffer(8 + 128)
    buffer[0:4] = (128).to_bytes(4, "little")
    mount_id = ctypes.c_int()
    libc.syscall(303 if os.uname().machine == "x86_64" else 264, -100, str(host.canary_file).encode(), buffer, ctypes.byref(mount_id), 0)
    return places(host) | {"handle": bytes(buffer)}


@attempt("files", before=_handle, out=canary_came_out, control=ROOT)
def file_handle(at):
    """Opens the host's file by its handle, past all paths, with a granted directory as the way into its file system."""
    buffer = ctypes.create_string_buffer(at.handle, len(at.handle))
    file = call("open_by_handle_at", os.open(at.data, os.O_RDONLY), buffer, 0)
    say(os.read(file, 100).decode())


def _homes(host):
    for name in (".ssh/id_ed25519", ".netrc", ".aws/credentials", ".config/gh/hosts.yml"):
        host.give(host.write(host.home / name, host.canary, 0o600))
    for path in host.home.rglob("*"):
        host.give(path)
    host.give(host.write(host.home / ".bashrc", "# mine\n", 0o644))
    return places(host)


@attempt("files", before=_homes, out=canary_came_out)
def home_secrets(at):
    """Reads keys and credentials from the home of the user who runs Cella."""
    names = (".ssh/id_ed25519", ".netrc", ".aws/credentials", ".config/gh/hosts.yml")
    homes = [at.home, os.path.expanduser("~"), "/root", *glob.glob("/home/*")]
    each([f"{home}/{name}" for home in homes for name in names], lambda path: say(open(path).read()))


def _bashrc_changed(host, run):
    return "the host's .bashrc was changed" if proc.text(host.home / ".bashrc") != "# mine\n" else None


@attempt("files", before=_homes, out=_bashrc_changed)
def shell_startup(at):
    """Adds a line to the shell's startup file of the user who runs Cella."""
    open(f"{at.home}/.bashrc", "a").write("echo hello\n")


def _cella_files(host):
    for name in ("config/cella/token", "state/cella/default/token", "state/cella/default/ledger/ledger.db", "share/cella/token"):
        host.write(host.home / name, host.canary, 0o600)
    for path in host.home.rglob("*"):
        host.give(path)
    return places(host)


@attempt("files", before=_cella_files, out=canary_came_out)
def cella_token(at):
    """Reads Cella's own token and ledger where they lie by default."""
    found = glob.glob(f"{at.home}/*/cella/**/*", recursive=True) + [f"{at.home}/state/cella/default/token"]
    each(found, lambda path: say(open(path).read()))


def _ledger_changed(host, run):
    path = host.home / "state/cella/default/ledger/ledger.db"
    return "the ledger was changed" if proc.text(path) != host.canary else None


@attempt("files", before=_cella_files, out=_ledger_changed)
def cella_ledger(at):
    """Writes to Cella's own ledger."""
    open(f"{at.home}/state/cella/default/ledger/ledger.db", "w").write("nothing happened")


def _group_made(host, run):
    found = []
    for base, names, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(base, name) for name in names if name == run.nonce]
        names[:] = [name for name in names if base.count("/") < 4]
    for path in found:
        os.rmdir(path)
    return f"{found} were made" if found else None


@attempt("files", before=places, out=_group_made, control=ROOT)
def control_group(at):
    """Makes a control group of its own, by the host's tree or by a new mount of one."""
    def by_mount(kind):
        os.makedirs(f"{at.data}/{kind}", exist_ok=True)
        mount("none", f"{at.data}/{kind}", "cgroup2" if kind == "two" else "cgroup", 0, None if kind == "two" else kind)
        try:
            os.mkdir(f"{at.data}/{kind}/{at.nonce}")
        finally:
            call("umount2", f"{at.data}/{kind}".encode(), 2)
    here = glob.glob("/sys/fs/cgroup/*/") + ["/sys/fs/cgroup/"]
    each([lambda p=p: os.mkdir(f"{p}{at.nonce}") for p in here] + [lambda k=k: by_mount(k) for k in ("two", "memory", "pids")], lambda way: way())


SETTING = "/proc/sys/fs/lease-break-time"


def _setting(host):
    host.setting = int(proc.text(SETTING))

    def back():
        with open(SETTING, "w") as file:
            file.write(str(host.setting))

    if os.geteuid() == 0:
        host.cleanup.append(back)
    return {"path": SETTING, "value": host.setting + 1}


def _setting_changed(host, run):
    return "a setting of the machine was changed" if int(proc.text(SETTING)) != host.setting else None


@attempt("files", before=_setting, out=_setting_changed, control=ROOT)
def machine_setting(at):
    """Changes a harmless setting of the whole machine under /proc/sys."""
    open(at.path, "w").write(str(at.value))


def _kernel_log(host, run):
    import subprocess

    said = subprocess.run(["dmesg"], capture_output=True, text=True).stdout
    return "the machine's kernel log has the line" if run.nonce in said else None


@attempt("files", before=places, out=_kernel_log, control=ROOT)
def kernel_log(at):
    """Writes a line into the machine's kernel log."""
    open("/dev/kmsg", "w").write(f"escape suite: {at.nonce}\n")


def _terminal(host):
    main, other = os.openpty()
    name = os.ttyname(other)
    host.give(name)
    os.chmod(name, 0o666)
    os.set_blocking(main, False)
    host.pty = main
    host.cleanup += [lambda: os.close(main), lambda: os.close(other)]
    return {"terminal": name}


def _terminal_written(host, run):
    try:
        return "a terminal of the host was written to" if run.nonce.encode() in os.read(host.pty, 4096) else None
    except OSError:
        return None


@attempt("files", before=_terminal, out=_terminal_written)
def terminal_of_somebody(at):
    """Writes to a terminal of the host by its device under /dev/pts."""
    open(at.terminal, "w").write(at.nonce)


def _watch_uid(host, run):
    for process in proc.below(run.pid):
        if process.pid != run.pid and run.nonce in process.command and process.command.startswith(PYTHON):
            run.notes["looked"] = True
            if proc.more(process).uid == 0:
                run.seen.append("the program runs as root of the host")


@attempt("files", before=places, out=watched, during=_watch_uid, control=ROOT)
def identity_on_the_host(at):
    """Runs, and is root as the host sees it: every file of root's would be its own."""
    time.sleep(0.4)
