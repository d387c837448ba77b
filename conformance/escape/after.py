"""After everything: nothing of the suite's cells is left on the machine."""

import os
import time

from . import proc
from .launch import STARTED

# How long what is on its way out may take, in seconds.
GRACE = 5


def groups():
    """Control groups that name one of our launchers; `cella-NAMESPACE-PID-TIME-NUMBER`. Others belong to other nodes."""
    found = set()
    for base, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            parts = name.split("-")
            if name.startswith("cella-") and len(parts) == 5 and parts[2].isdigit() and int(parts[2]) in STARTED:
                found.add(os.path.join(base, name))
    return found


def processes(stage):
    """Processes that carry an attempt's word or stand in the stage."""
    found = [f"{one.pid} {one.command[:60]}" for one in proc.naming("escape-") if " escape-" in f" {one.command}" and "-I -c" in one.command]
    for one in proc.everyone():
        try:
            if os.readlink(f"/proc/{one.pid}/cwd").startswith(str(stage)):
                found.append(f"{one.pid} works in {stage}")
        except OSError:
            continue
    return found


def mounts(stage):
    """Mounts of the host that name the stage."""
    return [line for line in proc.text("/proc/self/mountinfo").splitlines() if str(stage) in line]


def sockets(stage):
    """Unix sockets of the host that name the stage or an attempt."""
    lines = proc.text("/proc/net/unix").splitlines()
    return [line.split()[-1] for line in lines if str(stage) in line or "@escape-" in line or "@neighbour-" in line]


def namespaces(before):
    """Network and mount namespaces that only processes of the suite could have made."""
    return sorted(of_suite() - before)


def of_suite():
    """Namespaces of this process's descendants."""
    found = set()
    for one in proc.below(os.getpid()):
        for kind in ("mnt", "net", "pid", "user"):
            try:
                found.add(os.readlink(f"/proc/{one.pid}/ns/{kind}"))
            except OSError:
                continue
    return found


def segments(before):
    """Segments of System V memory that were not there before."""
    return sorted(set(memory()) - set(before))


def memory():
    """Numbers of all segments of System V memory."""
    return [line.split()[1] for line in proc.text("/proc/sysvipc/shm").splitlines()[1:]]


class Before:
    """What was there before the first attempt."""

    def __init__(self, stage):
        self.stage, self.groups, self.namespaces, self.memory = stage, groups(), of_suite(), memory()

    def left(self):
        """Per kind, what is left now."""
        looks = {
            "processes": lambda: processes(self.stage),
            "mounts": lambda: mounts(self.stage),
            "control groups": lambda: sorted(groups() - self.groups),
            "sockets": lambda: sockets(self.stage),
            "namespaces": lambda: namespaces(self.namespaces),
            "shared memory": lambda: segments(self.memory),
        }
        found, until = {}, time.monotonic() + GRACE
        for kind, look in looks.items():
            while (found_now := look()) and time.monotonic() < until:
                time.sleep(0.1)
            found[kind] = found_now
        return found
