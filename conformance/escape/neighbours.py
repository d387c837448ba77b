"""One cell against another that runs beside it under the same contract."""

from .attempt import attempt
from .oracles import canary_came_out


def resident(at):
    """What the neighbour does: it keeps a canary in private files and listens."""
    import select

    for directory in ("/tmp", "/dev/shm"):
        with open(f"{directory}/{at.name}", "w") as file:
            file.write(at.text)
        os.chmod(f"{directory}/{at.name}", 0o666)
    ear, quiet = socket.socket(), socket.socket(socket.AF_UNIX)
    ear.bind(("127.0.0.1", at.port))
    quiet.bind("\0" + at.name)
    ear.listen(), quiet.listen()
    say("ready")
    end = time.monotonic() + at.seconds
    while time.monotonic() < end:
        for one in select.select([ear, quiet], [], [], 0.1)[0]:
            one.accept()
            say("heard")
    for directory in ("/tmp", "/dev/shm"):
        os.unlink(f"{directory}/{at.name}")


def _beside(host):
    return host.start_neighbour(resident)


def _heard(host, run):
    host.settle(lambda: b"heard" in host.neighbour_said())
    return "the other cell was reached" if b"heard" in host.neighbour_said() else None


def _ended(host, run):
    return None if host.neighbour_runs() else "the other cell's program is gone"


@attempt("neighbours", before=_beside, out=canary_came_out)
def temporary_files(at):
    """Reads private files of another cell."""
    names = [f"/tmp/{at.name}", f"/dev/shm/{at.name}"]
    each(names + [f"/proc/{pid}/root{name}" for pid in others() for name in names], lambda path: say(open(path).read()))


@attempt("neighbours", before=_beside, out=_heard)
def loopback(at):
    """Connects to what another cell listens on."""
    socket.create_connection(("127.0.0.1", at.port), 2)


@attempt("neighbours", before=_beside, out=_heard)
def abstract_socket(at):
    """Connects to a unix socket of another cell that has a name but no file."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect("\0" + at.name)


@attempt("neighbours", before=_beside, out=_ended)
def signals(at):
    """Kills every process of another cell that it can find or guess."""
    def find(pid):
        if at.name in open(f"/proc/{pid}/cmdline").read():
            os.kill(pid, signal.SIGKILL)
    each(others(), find)
