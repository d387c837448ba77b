"""Other processes: the host's, the launcher, its parent, and what stays behind."""

import os
import signal
import time

from . import proc
from .attempt import HIDDEN, ROOT, attempt
from .oracles import call, canary_came_out, secret_came_out, seen, survivors, victim_ended


def victim(host):
    """A process of the host, of the same user as the launcher."""
    one = host.start_victim()
    low, high = one.stack()
    host.nice_before = os.getpriority(os.PRIO_PROCESS, one.pid)
    return {"victim": one.pid, "fd": one.descriptor(), "low": low, "high": high, "canary": str(host.canary_file)}


@attempt("processes", before=victim, out=victim_ended)
def kill(at):
    """Kills a process of the host by its number."""
    os.kill(at.victim, signal.SIGKILL)


@attempt("processes", before=victim, out=victim_ended)
def stop(at):
    """Stops a process of the host by its number."""
    os.kill(at.victim, signal.SIGSTOP)


@attempt("processes", before=victim, out=victim_ended)
def kill_by_descriptor(at):
    """Kills a process of the host by a pidfd, which no change of numbers misleads."""
    call("pidfd_send_signal", call("pidfd_open", at.victim, 0), 9, None, 0)


def _traced(host, run):
    process = proc.see(host.victim.pid)
    if process and proc.more(process).tracer:
        run.seen.append("the host's process is traced")


@attempt("processes", before=victim, during=_traced, out=seen)
def trace(at):
    """Attaches to a process of the host as a debugger."""
    call("ptrace", 0x4206, at.victim, 0, 0)
    time.sleep(0.5)


@attempt("processes", before=victim, out=canary_came_out)
def read_memory(at):
    """Reads the memory of a process of the host by process_vm_readv."""
    class Span(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    size = at.high - at.low
    buffer = ctypes.create_string_buffer(size)
    here, there = Span(ctypes.addressof(buffer), size), Span(at.low, size)
    call("process_vm_readv", at.victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    start = buffer.raw.find(b"CANARY=")
    say(buffer.raw[start:start + 60].decode(errors="replace"))


@attempt("processes", before=victim, out=canary_came_out)
def read_memory_file(at):
    """Reads the memory of a process of the host by /proc/PID/mem."""
    each(scan_memory(at.victim, b"CANARY="), lambda text: say(text.decode(errors="replace")))


def _memory_target(host):
    arguments = victim(host)
    low, text = host.victim.memory()
    return arguments | {"address": low + text.find(b"CANARY=") + len("CANARY=")}


def _memory_changed(host, run):
    return "the memory of the host's process was changed" if b"CANARY=EVIL" in host.victim.memory()[1] else None


@attempt("processes", before=_memory_target, out=_memory_changed)
def write_memory(at):
    """Changes the memory of a process of the host by process_vm_writev or /proc/PID/mem."""
    def by_call():
        class Span(ctypes.Structure):
            _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
        text = ctypes.create_string_buffer(b"EVIL")
        here, there = Span(ctypes.addressof(text), 4), Span(at.address, 4)
        call("process_vm_writev", at.victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    def by_file():
        with open(f"/proc/{at.victim}/mem", "r+b", 0) as memory:
            memory.seek(at.address)
            memory.write(b"EVIL")
    each([by_call, by_file], lambda way: way())


@attempt("processes", before=victim, out=canary_came_out)
def take_descriptor(at):
    """Takes an open file away from a process of the host by pidfd_getfd."""
    file = call("pidfd_getfd", call("pidfd_open", at.victim, 0), at.fd, 0)
    say(os.pread(file, 100, 0).decode())


@attempt("processes", before=victim, out=canary_came_out)
def open_descriptor(at):
    """Opens what a process of the host has open, by /proc/PID/fd."""
    say(open(f"/proc/{at.victim}/fd/{at.fd}").read())


@attempt("processes", before=victim, out=canary_came_out)
def read_environment(at):
    """Reads the environment of a process of the host by /proc/PID/environ, and that of all others it can see."""
    each([at.victim, *others()], lambda pid: say(open(f"/proc/{pid}/environ").read()))


def _commands(host, run):
    return "the host's command lines came out" if f"victim-{host.nonce[7:]}" in run.output else None


@attempt("processes", before=victim, out=_commands)
def list_processes(at):
    """Lists the command lines of all processes."""
    each(others(), lambda pid: say(open(f"/proc/{pid}/cmdline").read()))


@attempt("processes", before=lambda host: {}, out=secret_came_out)
def environment_of_launcher(at):
    """Reads the environment of its parent, of the launcher and of process 1: they may be of the host."""
    each([os.getppid(), at.launcher, 1], lambda pid: say(open(f"/proc/{pid}/environ").read()))


@attempt("processes", before=lambda host: {}, out=secret_came_out)
def memory_of_launcher(at):
    """Searches the memory of its parent, of the launcher and of process 1 for secrets."""
    def search(pid):
        each(scan_memory(pid, b"ESCAPE_SECRET="), lambda text: say(text.decode(errors="replace")))
    each([os.getppid(), at.launcher, 1], search)


def _launcher_stopped(host, run):
    process = proc.see(run.pid)
    if process and process.state in "Tt":
        run.seen.append("the launcher was stopped")
        os.kill(run.pid, signal.SIGCONT)


@attempt("processes", before=lambda host: {}, during=_launcher_stopped, out=seen)
def stop_launcher(at):
    """Stops its parent and the launcher, and so whoever guards it."""
    each([os.getppid(), at.launcher], lambda pid: os.kill(pid, signal.SIGSTOP))
    time.sleep(0.4)


def _launcher_killed(host, run):
    return "the launcher was killed" if run.code == -signal.SIGKILL and not run.timed_out else None


@attempt("processes", before=lambda host: {}, out=_launcher_killed)
def kill_launcher(at):
    """Kills its parent and the launcher."""
    each({os.getppid(), at.launcher}, lambda pid: os.kill(pid, signal.SIGKILL))


def _priority_changed(host, run):
    try:
        return None if os.getpriority(os.PRIO_PROCESS, host.victim.pid) == host.nice_before else "its priority was changed"
    except ProcessLookupError:
        return "it is gone"


@attempt("processes", before=victim, out=_priority_changed)
def priority(at):
    """Lowers the priority of a process of the host."""
    os.setpriority(os.PRIO_PROCESS, at.victim, 19)


def _limit_changed(host, run):
    return "its limits were changed" if "Max open files            8 " in proc.text(f"/proc/{host.victim.pid}/limits") else None


@attempt("processes", before=victim, out=_limit_changed)
def foreign_limit(at):
    """Lowers a limit of a process of the host."""
    call("prlimit64", at.victim, 7, struct.pack("QQ", 8, 8), None)


def _affinity_changed(host, run):
    return "it was bound to one processor" if len(os.sched_getaffinity(host.victim.pid)) < host.cpus_before else None


def _affinity_victim(host):
    arguments = victim(host)
    host.cpus_before = len(os.sched_getaffinity(host.victim.pid))
    return arguments


@attempt("processes", before=_affinity_victim, out=_affinity_changed)
def affinity(at):
    """Binds a process of the host to one processor."""
    os.sched_setaffinity(at.victim, {0})


@attempt("processes", before=victim, out=canary_came_out, control=HIDDEN)
def join_namespaces(at):
    """Joins the namespaces of a process of the host and reads the host's file there."""
    def join(pid):
        for kind in ("user", "mnt", "pid", "net"):
            try:
                call("setns", os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY), 0)
            except OSError as error:
                print(f"{kind}: {error}", file=sys.stderr)
        say(open(at.canary).read())
    each([at.victim, 1], join)


@attempt("processes", before=victim, out=canary_came_out, control=HIDDEN)
def join_by_descriptor(at):
    """Joins the host's mounts by a pidfd, without any path in /proc."""
    call("setns", call("pidfd_open", at.victim, 0), 0x00020000)
    say(open(at.canary).read())


def _shared_memory(host):
    import ctypes

    from .host import libc

    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, 4096, 0o1000 | 0o666)
    host.cleanup.append(lambda: libc.shmctl(number, 0, None))
    address = libc.shmat(number, None, 0)
    ctypes.memmove(address, host.canary.encode(), len(host.canary))
    libc.shmdt(ctypes.c_void_p(address))
    return {"number": number}


@attempt("processes", before=_shared_memory, out=canary_came_out)
def shared_memory(at):
    """Attaches a segment of shared memory of the host by its number."""
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(at.number, None, 0o10000)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "shmat")
    say(ctypes.string_at(address, 60).decode(errors="replace"))


def _posix_memory(host):
    path = f"/dev/shm/{host.nonce}"
    host.write(path, host.canary)
    host.cleanup.append(lambda: os.unlink(path))
    return {"path": path}


@attempt("processes", before=_posix_memory, out=canary_came_out)
def named_shared_memory(at):
    """Reads shared memory of the host by its name under /dev/shm."""
    say(open(at.path).read())


def _message_queue(host):
    import ctypes

    from .host import libc

    number = libc.msgget(0, 0o1000 | 0o666)
    host.cleanup.append(lambda: libc.msgctl(number, 0, None))
    message = ctypes.create_string_buffer((1).to_bytes(8, "little") + host.canary.encode())
    libc.msgsnd(number, message, len(host.canary), 0)
    return {"number": number}


@attempt("processes", before=_message_queue, out=canary_came_out)
def message_queue(at):
    """Takes a message out of a queue of the host by its number."""
    buffer = ctypes.create_string_buffer(256)
    call("msgrcv", at.number, buffer, 200, 0, 0o4000)
    say(buffer.raw[8:80].decode(errors="replace"))


@attempt("processes", before=lambda host: {}, out=survivors)
def outlive(at):
    """Leaves a process behind: two forks, a session of its own, all signals ignored, no descriptor held."""
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.closerange(0, 256)
            time.sleep(600)
        os._exit(0)
    os.wait()


@attempt("processes", before=lambda host: {}, out=survivors)
def outlive_by_reparenting(at):
    """Makes itself the reaper of orphans, leaves a family behind and exits."""
    libc.prctl(36, 1, 0, 0, 0)
    for _ in range(3):
        if os.fork() == 0:
            if os.fork() == 0:
                os.setsid()
                os.closerange(0, 256)
                time.sleep(600)
            os._exit(0)
    time.sleep(0.1)


def _kill_launcher(host, run):
    if not run.began or "killed" in run.notes:
        return
    run.notes["killed"] = True
    time.sleep(0.2)
    os.kill(run.pid, signal.SIGKILL)


@attempt("processes", before=lambda host: {}, during=_kill_launcher, out=survivors)
def outlive_a_killed_launcher(at):
    """Goes on after the launcher was killed with SIGKILL and could not clean up."""
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 256)
    time.sleep(600)


def _ask_to_end(host, run):
    now = time.monotonic()
    if run.began and now - run.notes.setdefault("asked", now) >= run.notes.get("next", 0.2):
        run.notes["next"] = 600
        os.kill(run.pid, signal.SIGTERM)


def _ignored(host, run):
    return "it went on after it was told to end" if run.timed_out else survivors(host, run)


@attempt("processes", before=lambda host: {}, during=_ask_to_end, out=_ignored, patience=12)
def ignore_the_end(at):
    """Ignores SIGTERM, SIGINT and SIGHUP when the launcher is told to end."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def _setuid_program(host):
    import shutil

    program = host.readable / "whoami"
    shutil.copy("/usr/bin/id", program)
    if os.geteuid() == 0:
        os.chown(program, 0, 0)
        program.chmod(0o4755)
    return {"program": str(program)}


@attempt("processes", before=_setuid_program, out=call, by_call=True)
def setuid_program(at):
    """Executes a program of the host that lends root's rights."""
    import subprocess

    said = subprocess.run([at.program, "-u"], capture_output=True, text=True).stdout.strip()
    if said != "0":
        raise OSError(f"user {said}")
    reached("becoming root")


@attempt("processes", before=lambda host: {}, out=call, by_call=True)
def user_namespace(at):
    """Makes a user namespace of its own by unshare, where it has all capabilities."""
    call("unshare", 0x10000000)
    reached("unshare of a user namespace")


@attempt("processes", before=lambda host: {}, out=call, by_call=True)
def user_namespace_by_clone(at):
    """Makes a user namespace of its own by clone."""
    child = call("clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    reached("clone into a user namespace")


@attempt("processes", before=lambda host: {}, out=call, by_call=True)
def user_namespace_by_clone3(at):
    """Makes a user namespace of its own by clone3, whose flags no filter can read."""
    arguments = struct.pack("Q" * 11, 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = call("clone3", arguments, len(arguments))
    if child == 0:
        os._exit(0)
    reached("clone3 into a user namespace")


@attempt("processes", before=lambda host: {}, out=call, by_call=True, control=ROOT)
def namespaces(at):
    """Makes namespaces of mounts, network, processes, names and control groups without a user namespace."""
    kinds = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x2000000}
    each(kinds, lambda kind: (call("unshare", kinds[kind]), reached(kind)))


@attempt("processes", before=lambda host: {}, out=call, by_call=True, control=ROOT)
def regain_capabilities(at):
    """Sets capabilities for itself and raises ambient ones."""
    header, wanted = struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", 1 << 21, 1 << 21, 0, 0, 0, 0)
    if libc.capset(header, wanted) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    reached("capset of CAP_SYS_ADMIN")


@attempt("processes", before=lambda host: {}, out=call, by_call=True, control=ROOT)
def become_root(at):
    """Becomes another user: root, nobody, the first of a range."""
    each([0, 65534, 100000], lambda uid: (os.setresuid(-1, uid, -1) if uid != os.geteuid() else call("kcmp", -1, 0, 0, 0, 0), reached(f"user {uid}")))


@attempt("processes", before=lambda host: {}, out=call, by_call=True, control=ROOT)
def loosen_itself(at):
    """Loosens by prctl what binds it: capabilities that a new program inherits, and the rules by which root gets them."""
    def ambient():
        header = struct.pack("Ii", 0x20080522, 0)
        held = ctypes.create_string_buffer(24)
        libc.capget(header, held)
        effective, permitted, _, *rest = struct.unpack("6I", held.raw)
        libc.capset(header, struct.pack("6I", effective, permitted, permitted, *rest))
        if libc.prctl(47, 2, 21, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "ambient capability")
        reached("an ambient CAP_SYS_ADMIN")
    def rules():
        if libc.prctl(28, 0, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "securebits")
        reached("securebits")
    each([ambient, rules], lambda way: way())


def _own_terminal(host):
    import fcntl
    import termios

    main, other = os.openpty()
    host.pty = other
    host.cleanup += [lambda: os.close(main), lambda: os.close(other)]
    settings = termios.tcgetattr(other)
    settings[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(other, termios.TCSANOW, settings)
    os.set_blocking(other, False)

    def take():
        os.setsid()
        fcntl.ioctl(other, termios.TIOCSCTTY, 0)

    host.terminal = take
    host.descriptors.append(other)
    return {"fd": other}


def _typed(host, run):
    try:
        return "a key was pressed on the host's terminal" if os.read(host.pty, 100) else None
    except OSError:
        return None


@attempt("processes", before=_own_terminal, out=_typed, control=ROOT)
def type_on_the_terminal(at):
    """Types on the terminal that the launcher was started from, as if its user did."""
    import fcntl

    def press(file):
        fcntl.ioctl(file, 0x5412, b"x")
    files = [0, 1, 2, at.fd]
    try:
        files.append(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        pass
    each(files, press)
