"""How an attempt is started: in a cell, in a stand-in for one, or with nothing around it."""

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import proc
from .attempt import APART, HIDDEN, NAIVE, ROOT, Attempt
from .host import PYTHON, Host

# What is kept of one stream, in bytes; an attempt that floods is not the suite's end.
KEEP = 1 << 20
# Between two looks at a running attempt, in seconds.
LOOK = 0.02
# How long a stream may stay open after its program is gone, in seconds: a survivor may hold it.
DRAIN = 1.0

# Every launcher that was started, by number: what is left of which is ours to judge.
STARTED: set[int] = set()

PRELUDE = (Path(__file__).parent / "inside.py").read_text()
# A launcher that keeps what its program writes until the end.
KEEPS_ALL = "import subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True)"
BOOT = "import sys; exec(compile(sys.stdin.read(), 'attempt', 'exec'))"


@dataclass(frozen=True)
class Identity:
    """Who starts the cell."""

    name: str
    uid: int

    @property
    def popen(self):
        """Arguments of Popen that make a process his."""
        if os.geteuid() != 0 or self.uid == 0:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}


@dataclass
class Run:
    """What happened."""

    nonce: str
    pid: int = 0
    code: int | None = None
    seconds: float = 0.0
    timed_out: bool = False
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    # What the attempt's `during` noted, and what it keeps between two looks.
    seen: list = field(default_factory=list)
    notes: dict = field(default_factory=dict)

    @property
    def output(self):
        """Both streams."""
        return (self.stdout + self.stderr).decode(errors="replace")

    @property
    def began(self):
        """Whether the attempt was made at all: a program that never ran proves nothing."""
        return b"began" in self.stdout

    def why(self):
        """The last words, for messages."""
        lines = [line for line in self.output.splitlines() if line.strip() and line != "began"]
        text = " ".join(lines[-4:])[:300]
        return f"{text or 'it said nothing'} (exit {self.code}{', timed out' if self.timed_out else ''})"


class Launcher:
    """A command template, or one of the words `cella`, `bwrap`, `none`."""

    def __init__(self, template, cella):
        self.template, self.cella = template, cella

    def command(self, host: Host, contract: Path, word, control=None):
        """The command that runs a Python under the contract; `word` is what its processes are known by."""
        program = [PYTHON, "-I", "-c", BOOT, word]
        match self.template:
            case "none":
                return self._unconfined(host, program, control)
            case "cella":
                return [str(self.cella), "exec", "--contract", str(contract), "--", *program]
            case "bwrap":
                return [*self._bwrap(host), *program]
        words = [word.format(contract=contract, cella=self.cella) for word in shlex.split(self.template)]
        return [*words, *program]

    @staticmethod
    def _unconfined(host, program, control):
        """A shell stands where the launcher would, so that the attempt has a parent that is not this suite."""
        if control == NAIVE:
            return [PYTHON, "-I", "-c", KEEPS_ALL, *program]
        shell = ["sh", "-c", '"$@"; exit $?', "sh"]
        if control not in (APART, HIDDEN):
            return [*shell, *program]
        steps = [f"mount --bind {host.readable} {host.readable}", f"mount -o remount,bind,ro {host.readable}"]
        if control == HIDDEN:
            steps.append(f"mount -t tmpfs none {host.ungranted}")
        script = " && ".join([*steps, '"$@"; exit $?'])
        return ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", script, "sh", *program]

    @staticmethod
    def _bwrap(host):
        links = [word for name in ("bin", "sbin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
        return ["bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--ro-bind", "/usr", "/usr", *links,
                "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/home/cell", "--setenv", "HOME", "/home/cell",
                "--ro-bind", str(host.readable), str(host.readable), "--bind", str(host.data), str(host.data),
                "--chdir", "/home/cell", "--"]


def contract_text(host: Host, attempt: Attempt, preset, arguments):
    """The contract of an attempt: one directory to read, one to write, and what it names itself."""
    lines = ["version = 1", f'preset = "{preset}"']
    granted = attempt.egress(arguments) if attempt.egress else []
    # a secret is bound to a host, and that host must be granted
    granted = list(granted) + [f'{terms["host"]}:443' for terms in attempt.secrets.values()]
    lines.append("egress = [" + ", ".join(f'"{one}"' for one in granted) + "]")
    for path, mode in ((host.readable, "read"), (host.data, "write")):
        lines += ["", "[[files]]", f'path = "{path}"', f'mode = "{mode}"']
    if attempt.limits:
        lines += ["", "[limits]"]
        lines += [f"{key} = " + (f'"{value}"' if isinstance(value, str) else str(value)) for key, value in attempt.limits.items()]
    for name, terms in attempt.secrets.items():
        lines += ["", f"[secrets.{name}]", f'from = "{terms["from"]}"', f'hosts = ["{terms["host"]}"]', f'env = "{terms["env"]}"']
    return "\n".join(lines) + "\n"


def environment(host: Host):
    """What the launcher gets: a home and directories of its own, and a secret that no cell may see."""
    home = str(host.home)
    own = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": home, "NO_COLOR": "1", "LANG": "C.UTF-8",
           "ESCAPE_SECRET": host.secret, "AWS_SECRET_ACCESS_KEY": host.secret}
    for variable, name in (("CONFIG_HOME", "config"), ("STATE_HOME", "state"), ("CACHE_HOME", "cache"),
                           ("DATA_HOME", "share"), ("RUNTIME_DIR", "run")):
        path = host.home / name
        path.mkdir(exist_ok=True, mode=0o700)
        host.give(path)
        own[f"XDG_{variable}"] = str(path)
    return own | host.environment


def start(launcher: Launcher, attempt: Attempt, host: Host, preset, arguments, control=None) -> Run:
    """Runs an attempt to its end, looking at it meanwhile."""
    run = Run(host.nonce)
    contract = host.write(host.dir / "contract.toml", contract_text(host, attempt, preset, arguments), 0o644)
    words = launcher.command(host, contract, host.nonce, control)
    child = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(host), cwd=host.home,
        start_new_session=host.terminal is None, pass_fds=host.descriptors, preexec_fn=host.terminal, **host.identity.popen)
    run.pid, began = child.pid, time.monotonic()
    STARTED.add(child.pid)
    pumps = [threading.Thread(target=_pump, args=pair, daemon=True) for pair in ((child.stdout, run.stdout), (child.stderr, run.stderr))]
    if attempt.control != NAIVE:
        _all(pumps, threading.Thread.start)
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write((PRELUDE + attempt.source({**arguments, "nonce": host.nonce, "launcher": child.pid})).encode())
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()
    _follow(child, attempt, host, run, began)
    run.code, run.seconds = child.returncode, time.monotonic() - began
    if attempt.control == NAIVE:
        # Nobody read while it ran: that was the attempt.
        _all(pumps, threading.Thread.start)
    _all(pumps, lambda pump: pump.join(DRAIN))
    return run


def _all(pumps, what):
    for pump in pumps:
        what(pump)


def _follow(child, attempt, host, run, began):
    while child.poll() is None:
        if attempt.during:
            attempt.during(host, run)
        if time.monotonic() - began > attempt.patience:
            run.timed_out = True
            # The launcher first: a cell dies with it. What does not is an escape of its own, and is ended with the host.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LOOK)


def _pump(stream, kept):
    with contextlib.suppress(OSError, ValueError):
        while chunk := os.read(stream.fileno(), 1 << 16):
            if len(kept) < KEEP:
                kept += chunk


def family(run: Run):
    """The attempt's own processes: those below its launcher that run the Python of the attempt."""
    return [process for process in proc.below(run.pid) if run.nonce in process.command and process.command.startswith(PYTHON)]


def control_identity(attempt: Attempt, user: Identity) -> Identity:
    """Who makes the control run."""
    return Identity("root", 0) if attempt.control in (ROOT, APART, HIDDEN) else user
