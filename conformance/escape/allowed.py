"""What every cell must be able to do: walls that stop everything would pass all other attempts."""

import os

from .attempt import attempt
from .files import places
from .oracles import done


def must_work(out=done, before=places, **terms):
    """Something that has to work."""
    return attempt("allowed", before=before, out=out, allowed=True, **terms)


def _written(host, run):
    path = host.data / "written"
    return "written" if path.exists() and path.read_text() == host.nonce and done(host, run) else None


@must_work()
def read_what_was_granted(at):
    """Must work: reads the file that was granted."""
    assert open(at.file).read() == "may be read\n"
    say("all done")


@must_work(out=_written)
def write_what_was_granted(at):
    """Must work: writes, renames and removes files in the directory granted for writing, and the host sees it."""
    open(f"{at.data}/first", "w").write(at.nonce)
    os.mkdir(f"{at.data}/directory")
    os.rename(f"{at.data}/first", f"{at.data}/written")
    os.rmdir(f"{at.data}/directory")
    say("all done")


@must_work()
def private_files(at):
    """Must work: writes to /tmp and to its home."""
    import tempfile

    for directory in ("/tmp", os.environ["HOME"]):
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(b"x" * 1000)
    say("all done")


@must_work()
def fork_and_wait(at):
    """Must work: forks and waits for the child's status."""
    child = os.fork()
    if child == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    say("all done")


@must_work()
def threads(at):
    """Must work: runs sixteen threads."""
    found = []
    running = [threading.Thread(target=found.append, args=(n,)) for n in range(16)]
    [one.start() for one in running], [one.join() for one in running]
    assert len(found) == 16
    say("all done")


@must_work()
def events(at):
    """Must work: epoll, eventfd, timerfd, inotify and pipes."""
    import select

    poll, (out, into) = select.epoll(), os.pipe()
    poll.register(out, select.EPOLLIN)
    os.write(into, b"x")
    assert poll.poll(1) and os.eventfd(1) > 0 and libc.timerfd_create(1, 0) > 0 and libc.inotify_init1(0) > 0
    say("all done")


@must_work()
def memory_files(at):
    """Must work: makes a nameless file in memory and executes a program from it."""
    file = os.memfd_create("program")
    os.write(file, open("/bin/true", "rb").read())
    child = os.fork()
    if child == 0:
        os.execve(file, ["true"], {})
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    say("all done")


@must_work()
def executable_memory(at):
    """Must work: maps memory that may be written and executed, as compilers at run time do."""
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code = b"\xb8\x2a\0\0\0\xc3" if os.uname().machine == "x86_64" else b"\x40\x05\x80\x52\xc0\x03\x5f\xd6"
    memory.write(code)
    assert ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))() == 42
    say("all done")


@must_work()
def programs_and_pipes(at):
    """Must work: starts programs and talks to them by pipes."""
    import subprocess

    assert subprocess.run(["sh", "-c", "tr a-z A-Z | cat"], input=b"hello", capture_output=True).stdout == b"HELLO"
    say("all done")


@must_work()
def own_loopback(at):
    """Must work: listens on its own loopback and connects to it, by IPv4 and between its own unix sockets."""
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    listener.accept()[0].sendall(b"hello")
    assert peer.recv(5) == b"hello"
    one, other = socket.socketpair()
    one.sendall(b"hello")
    assert other.recv(5) == b"hello"
    say("all done")


@must_work()
def signals_among_its_own(at):
    """Must work: sends signals to its own processes and handles them."""
    got = []
    signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    child = os.fork()
    if child == 0:
        time.sleep(60)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -15 and got
    say("all done")


@must_work()
def processes_and_locks_of_python(at):
    """Must work: Python's multiprocessing, with its semaphores and queues."""
    import multiprocessing

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=queue.put, args=(42,))
    child.start()
    assert queue.get(timeout=10) == 42
    child.join()
    say("all done")


def node_there(host):
    """Node of the system; without one there is nothing to show."""
    if not os.path.exists("/usr/bin/node"):
        raise LookupError("there is no /usr/bin/node")
    return {}


@must_work(before=node_there)
def node(at):
    """Must work: Node runs, with threads and WebAssembly."""
    import subprocess

    code = ("const {Worker}=require('worker_threads');new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0]));"
            "new Worker('require(\"worker_threads\").parentPort.postMessage(6*7)',{eval:true}).on('message',m=>console.log('node',m))")
    said = subprocess.run(["/usr/bin/node", "-e", code], capture_output=True, text=True)
    assert said.stdout == "node 42\n", said.stderr
    say("all done")


def _status(host, run):
    return "status 42" if run.code == 42 else None


@must_work(out=_status)
def exit_status(at):
    """Must work: ends with a status of its own, and the launcher gives it on."""
    os._exit(42)


def _all_of_it(host, run):
    return "all of it" if run.stdout.count(b"line of output\n") == 50_000 and b"all done" in run.stdout else None


@must_work(out=_all_of_it)
def much_output(at):
    """Must work: writes fifty thousand lines and all of them arrive."""
    sys.stdout.write("line of output\n" * 50_000)
    say("all done")


@must_work()
def random_and_clock(at):
    """Must work: random numbers, time, names of users and of the machine."""
    import getpass

    assert len(os.urandom(8)) == 8 and time.time() > 1_600_000_000 and open("/dev/null", "w").write("x")
    assert getpass.getuser() and socket.gethostname()
    say("all done")
