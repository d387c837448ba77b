"""The kernel's surface: calls that a program in a cell has no use for and that machines were broken through.

The oracle is that the call succeeded inside, or that it was refused for its arguments and not for its caller, which is as
far as an attempt goes with what could hurt: nothing on the host would show more.
"""

from .attempt import APART, ROOT, attempt
from .oracles import call as reached_inside


def surface(control=ROOT):
    """An attempt on a system call."""
    return attempt("kernel", before=lambda host: {"data": str(host.data)}, out=reached_inside, by_call=True, control=control)


@surface()
def bpf(at):
    """Loads a map into the kernel by bpf."""
    call("bpf", 0, struct.pack("IIII", 2, 4, 4, 1) + bytes(100), 116)
    reached("bpf")


@surface()
def userfaultfd(at):
    """Handles page faults itself by userfaultfd, which makes races in the kernel easy to win."""
    call("userfaultfd", 0o2000000)
    reached("userfaultfd")


@surface()
def performance_counters(at):
    """Watches the machine by perf_event_open."""
    call("perf_event_open", struct.pack("IIQ", 1, 112, 0) + bytes(96), 0, -1, -1, 0)
    reached("perf_event_open")


@surface("user")
def io_uring(at):
    """Sets up io_uring, whose calls pass every filter of system calls."""
    call("io_uring_setup", 4, ctypes.create_string_buffer(120))
    reached("io_uring_setup")


@surface("user")
def keyring(at):
    """Joins a key ring by keyctl, which no namespace separates."""
    call("keyctl", 0, -3, 1)
    reached("keyctl")


@surface("user")
def add_key(at):
    """Adds a key to the user's ring by add_key."""
    call("add_key", b"user", b"escape", b"x", 1, -2)
    reached("add_key")


@surface()
def kexec(at):
    """Loads another kernel by kexec_load; the control asks for no segments."""
    call("kexec_load", 0, 0, None, 0)
    reached("kexec_load")


@surface()
def module(at):
    """Loads a module into the kernel by init_module; nonsense is handed over, and reading it is reach enough."""
    try:
        call("init_module", b"nonsense", 8, b"")
    except OSError as error:
        if error.errno not in (errno.ENOEXEC, errno.EINVAL, errno.EBADMSG):
            raise
    reached("init_module")


@surface()
def remove_module(at):
    """Takes a module out of the kernel by delete_module; none of that name exists, and looking is reach enough."""
    try:
        call("delete_module", b"cella_escape", 0o4000)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    reached("delete_module")


@surface("user")
def foreign_calls_x32(at):
    """Makes a system call by the numbers of x32, which a filter for x86-64 does not know."""
    if call(0x40000000 + 39) != os.getpid():
        raise OSError("another answer")
    reached("getpid of x32")


@surface("user")
def foreign_calls_i386(at):
    """Makes a system call by int 0x80, with the numbers of i386."""
    if os.uname().machine != "x86_64":
        raise OSError("not on this architecture")
    # push rbx; mov eax, 20; int 0x80; pop rbx; ret
    code = b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3"
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    if run() != os.getpid():
        raise OSError("another answer")
    reached("getpid of i386")


@surface("user")
def personality(at):
    """Switches the randomness of addresses off by personality."""
    call("personality", 0x0040000)
    reached("personality")


@surface("user")
def segment_table(at):
    """Changes the table of segments by modify_ldt."""
    call("modify_ldt", 1, struct.pack("IIII", 0, 0, 0xFFFFF, 0x51), 16)
    reached("modify_ldt")


@surface()
def quotas(at):
    """Manages disk quotas by quotactl; a sync of none is asked for."""
    call("quotactl", 0x80000100, None, 0, None)
    reached("quotactl")


@surface()
def file_system_context(at):
    """Opens a file system without mounting it by fsopen."""
    call("fsopen", b"tmpfs", 0)
    reached("fsopen")


@surface(APART)
def mount_something(at):
    """Mounts an empty file system by mount."""
    mount("none", at.data, "tmpfs", 0)
    reached("mount")


@surface(APART)
def mount_proc(at):
    """Mounts another /proc, without what the cell's own hides."""
    mount("proc", at.data, "proc", 0)
    reached("mount of proc")


@surface()
def clone_tree(at):
    """Copies a tree of mounts by open_tree."""
    call("open_tree", -100, at.data.encode(), 1)
    reached("open_tree")


@surface()
def change_root(at):
    """Changes its root by chroot."""
    call("chroot", at.data.encode())
    reached("chroot")


@surface()
def swap(at):
    """Turns a file into swap by swapon; a file that is none is named, and reading it is reach enough."""
    open(f"{at.data}/swap", "wb").write(bytes(8192))
    try:
        call("swapon", f"{at.data}/swap".encode(), 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    reached("swapon")


@surface()
def accounting(at):
    """Turns process accounting off by acct."""
    call("acct", None)
    reached("acct")


@surface()
def kernel_messages(at):
    """Reads the kernel's messages by syslog."""
    call("syslog", 3, ctypes.create_string_buffer(4096), 4096)
    reached("syslog")


@surface()
def reboot(at):
    """Asks for a reboot with the wrong magic numbers: being told so is reach enough."""
    try:
        call("reboot", 0, 0, 0, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    reached("reboot")


@surface()
def clock(at):
    """Sets the length of the machine's clock tick by adjtimex, to what it is."""
    buffer = ctypes.create_string_buffer(208)
    call("adjtimex", buffer)
    struct.pack_into("I", buffer, 0, 0x4000)
    call("adjtimex", buffer)
    reached("adjtimex")


@surface()
def ports(at):
    """Gets at the machine's input and output ports by iopl or ioperm."""
    each([("iopl", 3), ("ioperm", 0x80, 1, 1)], lambda one: (call(*one), reached(one[0])))


@surface()
def watch_files(at):
    """Watches all files of a mount by fanotify."""
    call("fanotify_init", 0, 0)
    reached("fanotify_init")


@surface("user")
def gift_pages(at):
    """Gives pages to a pipe by vmsplice, a common part of exploits."""
    out, into = os.pipe()
    text = ctypes.create_string_buffer(b"x" * 64)
    call("vmsplice", into, struct.pack("QQ", ctypes.addressof(text), 64), 1, 0)
    reached("vmsplice")


@surface("user")
def secret_memory(at):
    """Makes memory that not even the kernel can see by memfd_secret."""
    call("memfd_secret", 0)
    reached("memfd_secret")


@surface("user")
def compare_processes(at):
    """Compares kernel pointers of two processes by kcmp."""
    call("kcmp", os.getpid(), os.getpid(), 0, 0, 1)
    reached("kcmp")


@surface("user")
def handle_of_file(at):
    """Asks for the handle of a file by name_to_handle_at, the first step to opening others without a path."""
    buffer = ctypes.create_string_buffer((128).to_bytes(4, "little"), 136)
    call("name_to_handle_at", -100, at.data.encode(), buffer, ctypes.byref(ctypes.c_int()), 0)
    reached("name_to_handle_at")


@surface("user")
def trace_own_child(at):
    """Debugs its own child by ptrace, which rewrites system calls after a filter has seen them."""
    child = os.fork()
    if child == 0:
        time.sleep(2)
        os._exit(0)
    try:
        call("ptrace", 0x4206, child, 0, 0)
        reached("ptrace")
    finally:
        os.kill(child, signal.SIGKILL)


@surface(APART)
def host_name(at):
    """Changes the name of the machine; the control does it to a copy."""
    call("sethostname", b"escaped", 7)
    reached("sethostname")


@surface("user")
def crypto_sockets(at):
    """Opens sockets of the kernel's cryptography, its keys and its networks beyond the internet's."""
    families = {"alg": 38, "key": 15, "can": 29, "tipc": 30, "rds": 21, "xdp": 44, "netlink": 16, "bluetooth": 31, "qrtr": 42, "smc": 43}
    each(families, lambda name: (socket.socket(families[name], socket.SOCK_SEQPACKET if name == "alg" else socket.SOCK_RAW), reached(name)))
