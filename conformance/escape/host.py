"""The host's side of one attempt: its canary, its secret, its victim, its listeners, and the contract's directories.

Every attempt gets a fresh one with fresh random words, so that no evidence can come from another attempt.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import proc

# The Python that runs inside: the system's own, because every cell shows /usr.
PYTHON = "/usr/bin/python3"

# What a victim does: it has a canary in its environment and in an open file, and waits.
VICTIM = "import os,sys,time; os.open(os.environ['CANARY_FILE'], os.O_RDONLY); print('up', flush=True); time.sleep(600)"


class Victim:
    """A process of the host that has nothing to do with the cell."""

    def __init__(self, host, cwd):
        environment = {"CANARY": host.canary, "CANARY_FILE": str(host.canary_file), "PATH": os.environ["PATH"]}
        command = [PYTHON, "-I", "-c", VICTIM, f"victim-{host.nonce[7:]}"]
        self.child = subprocess.Popen(
            command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **host.identity.popen)
        self.child.stdout.readline()
        self.pid = self.child.pid

    def state(self):
        """One letter, empty when it is gone."""
        self.child.poll()
        process = proc.see(self.pid)
        return "" if process is None or process.state in "ZX" else process.state

    def descriptor(self):
        """The number under which it holds the canary."""
        names = os.listdir(f"/proc/{self.pid}/fd")
        return max(int(name) for name in names)

    def stack(self):
        """Where its environment lies."""
        for line in proc.text(f"/proc/{self.pid}/maps").splitlines():
            if line.endswith("[stack]"):
                return [int(part, 16) for part in line.split()[0].split("-")]
        return [0, 0]

    def memory(self):
        """Its stack, as text."""
        low, high = self.stack()
        with open(f"/proc/{self.pid}/mem", "rb", 0) as memory:
            memory.seek(low)
            return low, memory.read(high - low)

    def end(self):
        """Ends it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()


class Host:
    """What one run is made against."""

    def __init__(self, stage, identity, launcher):
        self.identity, self.launcher = identity, launcher
        self.nonce = f"escape-{secrets.token_hex(8)}"
        self.canary, self.secret = f"canary-{secrets.token_hex(12)}", f"secret-{secrets.token_hex(12)}"
        self.listeners, self.victim, self.cleanup, self.environment, self.descriptors = [], None, [], {}, []
        self.terminal = None
        self.dir = Path(stage) / self.nonce
        self.data, self.readable = self.dir / "data", self.dir / "readable"
        self.ungranted, self.home = self.dir / "host", self.dir / "home"
        for path in (self.dir, self.data, self.readable, self.ungranted, self.home):
            path.mkdir()
            path.chmod(0o755)
        # Open to everybody, so that no right of a file but only the cell's walls can be what stops an attempt.
        self.ungranted.chmod(0o777)
        self.canary_file = self.write(self.ungranted / "canary", self.canary)
        self.readable_text = "may be read\n"
        self.readable_file = self.write(self.readable / "file", self.readable_text, 0o644)
        for path in (self.data, self.readable, self.readable_file, self.home, self.canary_file):
            self.give(path)

    def write(self, path, text, mode=0o666):
        """A file of the host."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def give(self, path):
        """Makes it belong to the user who runs the attempt."""
        if os.geteuid() == 0:
            os.chown(path, self.identity.uid, self.identity.uid)

    def listen(self, listener):
        """Adds an ear."""
        self.listeners.append(listener)
        return listener

    def settle(self, condition, seconds=0.2):
        """Waits a little for what the kernel or a thread does a moment later."""
        until = time.monotonic() + seconds
        while not condition() and time.monotonic() < until:
            time.sleep(0.02)

    def start_victim(self, cwd="/"):
        """Starts a process of the same user that the cell must not touch."""
        self.victim = Victim(self, cwd)
        return self.victim

    def start_neighbour(self, what):
        """Starts another cell beside, that runs `what`; gives what an attempt may know of it."""
        from .attempt import Attempt
        from .launch import PRELUDE, environment

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        name = f"neighbour-{self.nonce[7:]}"
        contract = self.write(self.dir / "neighbour.toml", 'version = 1\npreset = "untrusted"\n', 0o644)
        child = subprocess.Popen(
            self.launcher.command(self, contract, name), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment(self), cwd=self.home, **self.identity.popen)
        known = {"name": name, "port": port}
        source = Attempt(name, name, inside=what, out=None).source(known | {"text": self.canary, "seconds": 20})
        child.stdin.write((PRELUDE + source).encode())
        child.stdin.close()
        while (line := child.stdout.readline()) and b"ready" not in line:
            pass
        os.set_blocking(child.stdout.fileno(), False)
        self.neighbour, self.neighbour_name, self._neighbour_text = child, name, b""
        if not line:
            raise LookupError("the other cell did not start")

        def end():
            child.terminate()
            for pid in self.processes(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()
            for directory in ("/tmp", "/dev/shm"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{directory}/{name}")

        self.cleanup.append(end)
        return known

    def neighbour_said(self):
        """What the other cell has written since it was ready."""
        with contextlib.suppress(BlockingIOError):
            self._neighbour_text += self.neighbour.stdout.read() or b""
        return self._neighbour_text

    def neighbour_runs(self):
        """Whether the other cell's program is alive."""
        return any(process.command.startswith(PYTHON) for process in proc.naming(self.neighbour_name))

    def processes(self, word):
        """Processes of the attempt."""
        return [process.pid for process in proc.naming(word)]

    def end(self):
        """Takes everything away."""
        for pid in self.processes(self.nonce):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for one in self.listeners:
            one.close()
        if self.victim:
            self.victim.end()
        for undo in reversed(self.cleanup):
            with contextlib.suppress(OSError):
                undo()
        self.settle(lambda: not self.processes(self.nonce), 2)
        shutil.rmtree(self.dir, ignore_errors=True)


# === small questions to the kernel ===

libc = ctypes.CDLL(None, use_errno=True)


def own_address():
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("198.51.100.1", 9))
        return probe.getsockname()[0]
    return None


def python_is_there():
    """Whether the Python that runs inside exists."""
    return os.access(PYTHON, os.X_OK) and sys.version_info >= (3, 11)
