"""Resources: how much of the machine an attempt gets hold of, as the host measures it.

Every attempt stops by itself at a few times its limit, so that its control run cannot hurt the machine.
"""

import os
import time

from . import proc
from .attempt import attempt
from .launch import family
from .oracles import ended_late, watched

MIB = 1 << 20
# What the contracts of these attempts grant, and what counts as having got more: the interpreter itself needs some.
PROCESSES, PROCESSES_OUT = 24, 32
MEMORY, MEMORY_OUT = 64, 96
DISK, DISK_OUT = 32, 40
FILES, FILES_OUT = 64, 72
# Per cent of a core, and the share of one that is too much.
CPU, CPU_OUT = 10, 0.25
TIME, TIME_GRACE = 2, 3
# Files and directories that a cell's private directories hold together are 16384; no contract changes that.
INODES_OUT = 20_000
# A launcher that keeps what nobody reads grows past this.
BUFFER_OUT = 128

MEMORY_LIMITS = {"memory": f"{MEMORY}MiB", "processes": 64}


def nothing(host):
    """No arguments."""
    return {}


def bomb(limits, during, patience=20, control="user"):
    """An attempt to get hold of more than the contract says."""

    def look(host, run):
        if family(run):
            run.notes["looked"] = True
            during(host, run)

    return attempt("resources", before=nothing, limits=limits, during=look, out=watched, bounded=True, patience=patience, control=control)


def _peak(run, what, value, allowed, unit=""):
    if value > allowed and value > run.notes.get(what, 0):
        run.notes[what] = value
        run.seen[:] = [f"it had {value}{unit} {what}"]


def _count_processes(host, run):
    _peak(run, "processes and threads", sum(proc.more(one).threads for one in family(run)), PROCESSES_OUT)


@bomb({"processes": PROCESSES}, _count_processes)
def processes(at):
    """Forks until it is stopped, at most a hundred times."""
    def fork():
        if os.fork() == 0:
            time.sleep(2)
            os._exit(0)
    each(range(100), lambda _: fork())
    time.sleep(1)


@bomb({"processes": PROCESSES}, _count_processes)
def threads(at):
    """Starts threads until it is stopped, at most a hundred."""
    def start():
        try:
            threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
        except RuntimeError as error:
            raise OSError(error)
    each(range(100), lambda _: start())
    time.sleep(1)


def _measure_memory(host, run):
    _peak(run, "memory", sum(proc.share(one) for one in family(run)) // MIB, MEMORY_OUT, " MiB of")


@bomb(MEMORY_LIMITS, _measure_memory)
def memory(at):
    """Takes memory until it is stopped, at most 256 MiB."""
    kept = []
    for _ in range(64):
        kept.append(b"x" * (4 << 20))
        time.sleep(0.005)
    time.sleep(0.5)


@bomb(MEMORY_LIMITS, _measure_memory)
def shared_memory(at):
    """Takes shared memory, which limits of single processes do not count, at most 256 MiB."""
    kept = []
    for _ in range(64):
        kept.append(mmap.mmap(-1, 4 << 20))
        kept[-1].write(b"x" * (4 << 20))
        time.sleep(0.005)
    time.sleep(0.5)


@bomb(MEMORY_LIMITS, _measure_memory)
def memory_in_many_processes(at):
    """Takes memory in twenty processes, each of them far below the limit, 240 MiB in all."""
    for _ in range(20):
        if os.fork() == 0:
            kept = b"x" * (12 << 20)
            time.sleep(2)
            os._exit(len(kept) & 1)
    time.sleep(1.5)


@bomb(MEMORY_LIMITS, _measure_memory)
def system_v_memory(at):
    """Takes memory in segments of System V, at most 256 MiB, which would stay after the last process."""
    libc.shmat.restype = ctypes.c_void_p
    for _ in range(16):
        number = call("shmget", 0, 16 << 20, 0o1600)
        address = libc.shmat(number, None, 0)
        libc.shmctl(number, 0, None)
        ctypes.memset(address, 1, 16 << 20)
    time.sleep(0.5)


def _open_bytes(run):
    total = 0
    for one in family(run):
        try:
            for name in os.listdir(f"/proc/{one.pid}/fd"):
                if int(name) > 2:
                    total += os.stat(f"/proc/{one.pid}/fd/{name}").st_blocks * 512
        except OSError:
            continue
    return total // MIB


def _measure_files_in_memory(host, run):
    _peak(run, "files in memory", _open_bytes(run), MEMORY_OUT, " MiB of")


def _measure_private_files(host, run):
    _peak(run, "private files", _open_bytes(run), DISK_OUT, " MiB of")


@bomb(MEMORY_LIMITS, _measure_files_in_memory)
def memory_files(at):
    """Fills nameless files in memory (memfd), which no process maps, at most 256 MiB."""
    file = os.memfd_create("bomb")
    for _ in range(64):
        os.write(file, b"x" * (4 << 20))
        time.sleep(0.005)
    time.sleep(0.5)


@bomb({"disk": f"{DISK}MiB"}, _measure_private_files)
def private_files(at):
    """Fills the private directories /tmp, /dev/shm and home together, at most 192 MiB."""
    kept = []
    def fill(directory):
        path = f"{directory}/{at.nonce}"
        kept.append(open(path, "wb", 0))
        os.unlink(path) if directory == "/dev/shm" else None
        try:
            for _ in range(64):
                kept[-1].write(b"x" * (1 << 20))
        finally:
            if os.path.exists(path):
                os.unlink(path)
    try:
        each(["/tmp", "/dev/shm", os.environ.get("HOME", "/tmp")], fill)
    finally:
        time.sleep(0.5)


def _count_inodes(host, run):
    if b"holding" in run.stdout and "counted" not in run.notes:
        run.notes["counted"] = True
        for one in family(run):
            try:
                _peak(run, "files", len(os.listdir(f"/proc/{one.pid}/root/tmp/{run.nonce}")), INODES_OUT)
            except OSError:
                continue


@bomb({"processes": 64}, _count_inodes, patience=40)
def empty_files(at):
    """Makes empty files until it is stopped, at most 24000: they cost the kernel memory that no size limit counts."""
    directory = f"/tmp/{at.nonce}"
    os.mkdir(directory)
    made = 0
    try:
        for made in range(24_000):
            os.close(os.open(f"{directory}/{made}", os.O_CREAT | os.O_WRONLY))
    except OSError:
        pass
    say("holding")
    time.sleep(1)
    for name in os.listdir(directory):
        os.unlink(f"{directory}/{name}")
    os.rmdir(directory)


def _count_descriptors(host, run):
    for one in family(run):
        try:
            _peak(run, "open files", len(os.listdir(f"/proc/{one.pid}/fd")), FILES_OUT)
        except OSError:
            continue


@bomb({"open_files": FILES}, _count_descriptors)
def open_files(at):
    """Raises its own limit and opens files until it is stopped, at most 500."""
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))
    except (OSError, ValueError):
        pass
    kept = []
    try:
        for _ in range(490):
            kept.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        time.sleep(0.5)


def _measure_cpu(host, run):
    ticks, now = sum(one.ticks for one in family(run)), time.monotonic()
    if not run.began or not ticks:
        return
    first = run.notes.setdefault("first", (now, ticks))
    if now - first[0] > 3 and "share" not in run.notes:
        run.notes["share"] = (ticks - first[1]) / os.sysconf("SC_CLK_TCK") / (now - first[0])
        if run.notes["share"] > CPU_OUT:
            run.seen.append(f"it had {run.notes['share']:.2f} of a core where {CPU} % are granted")


@bomb({"cpu": CPU}, _measure_cpu, patience=15)
def processor(at):
    """Computes in four processes for four seconds, in a cell that has a tenth of a core."""
    until = time.monotonic() + 4
    for _ in range(3):
        if os.fork() == 0:
            while time.monotonic() < until:
                pass
            os._exit(0)
    while time.monotonic() < until:
        pass


@attempt("resources", before=nothing, limits={"time": f"{TIME}s"}, out=ended_late(TIME, TIME_GRACE), patience=8, bounded=True)
def time_limit(at):
    """Sleeps past the contract's time and ignores being told to end."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def _measure_launcher(host, run):
    process = proc.see(run.pid)
    if process:
        _peak(run, "memory", proc.more(process).resident // MIB, BUFFER_OUT, " MiB in the launcher's")


@bomb({"processes": 64}, _measure_launcher, patience=6, control="naive")
def unread_output(at):
    """Writes 256 MiB to both streams while nobody reads them; the control's launcher keeps everything."""
    chunk = b"x" * (1 << 20)
    os.write(1, b"began\n")
    for _ in range(256):
        os.write(1, chunk)
        os.write(2, b"y" * 4096)
    time.sleep(1)
