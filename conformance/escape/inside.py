# Sent into the cell before each attempt: system calls by number, and how an attempt begins. Runs without the rest.
import ctypes, errno, glob, json, mmap, os, signal, socket, stat, struct, sys, threading, time
from types import SimpleNamespace

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]

# Numbers of the two architectures: x86-64 and aarch64.
NUMBERS = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "setns": (308, 268),
    "unshare": (272, 97), "clone": (56, 220), "clone3": (435, 435), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "fsopen": (430, 430), "open_tree": (428, 428),
    "move_mount": (429, 429), "mount_setattr": (442, 442), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "personality": (135, 92), "modify_ldt": (154, -1), "quotactl": (179, 60), "swapon": (167, 224), "acct": (163, 89),
    "syslog": (103, 116), "reboot": (169, 142), "adjtimex": (159, 171), "iopl": (172, -1), "ioperm": (173, -1),
    "fanotify_init": (300, 262), "vmsplice": (278, 75), "memfd_secret": (447, 447), "move_pages": (279, 239),
    "sethostname": (170, 161), "setdomainname": (171, 162), "prlimit64": (302, 261), "mknodat": (259, 33),
    "shmget": (29, 194), "shmat": (30, 196), "msgrcv": (70, 188), "process_madvise": (440, 440),
}


def call(name, *arguments):
    """Makes a system call; an error is an OSError. Integers are passed as 64 bits."""
    number = NUMBERS[name][0 if os.uname().machine == "x86_64" else 1] if isinstance(name, str) else name
    if number < 0:
        raise OSError(errno.ENOSYS, "not on this architecture")
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def mount(source, target, kind, flags, data=None):
    text = lambda value: None if value is None else os.fsencode(value)
    return call("mount", text(source), text(target), text(kind), flags, text(data))


def say(*words):
    """What was got hold of. The host looks for its canary in it."""
    print(*words, flush=True)


def reached(what="reached"):
    """For oracles that ask whether a call succeeded inside."""
    say(f"reached: {what}")


def others():
    """Every process that can be seen, this one left out."""
    return [int(n) for n in os.listdir("/proc") if n.isdigit() and int(n) != os.getpid()]


def each(things, what):
    """Does something with each and goes on where it fails; the last failure is told if none succeeded."""
    done, why = 0, None
    for thing in things:
        try:
            what(thing)
            done += 1
        except (OSError, ValueError) as error:
            why = error
    if not done:
        raise why or OSError("nothing to try")
    return done


def scan_memory(pid, token, limit=64 << 20):
    """Looks for a text in the memory of a process by /proc/PID/mem; gives what stands behind it."""
    seen = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            low, high = (int(part, 16) for part in span.split("-"))
            if "r" not in rights or high >= 1 << 63 or seen > limit:
                continue
            try:
                memory.seek(low)
                text = memory.read(min(high - low, limit - seen))
            except OSError:
                continue
            seen += len(text)
            at = text.find(token)
            while at >= 0:
                yield text[at:at + 200]
                at = text.find(token, at + 1)


def begin(attempt, arguments):
    print("began", flush=True)
    try:
        attempt(SimpleNamespace(**arguments))
    except BaseException as error:
        print(f"denied: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        sys.exit(13)
