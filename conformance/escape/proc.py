"""Processes of this machine, as the host sees them in /proc."""

import os
from dataclasses import dataclass


@dataclass
class Seen:
    """One process at one moment."""

    pid: int
    parent: int
    state: str
    ticks: int
    command: str
    threads: int = 0
    resident: int = 0
    uid: int = -1
    tracer: int = 0


def text(path, otherwise=""):
    """A file of /proc; what belongs to a process that is gone is empty."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return otherwise


def see(pid):
    """One process, or None when it is gone."""
    line = text(f"/proc/{pid}/stat")
    if not line:
        return None
    rest = line[line.rindex(")") + 2:].split()
    command = text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    return Seen(pid, int(rest[1]), rest[0], int(rest[11]) + int(rest[12]), command)


def more(process):
    """Adds what costs another file: threads, memory, user, tracer."""
    for line in text(f"/proc/{process.pid}/status").splitlines():
        key, _, value = line.partition(":")
        match key:
            case "Threads":
                process.threads = int(value)
            case "RssAnon" | "RssShmem":
                process.resident += int(value.split()[0]) << 10
            case "Uid":
                process.uid = int(value.split()[1])
            case "TracerPid":
                process.tracer = int(value)
    return process


def share(process):
    """Bytes of memory of a process, what it shares with others divided among them."""
    found = 0
    for line in text(f"/proc/{process.pid}/smaps_rollup").splitlines():
        key, _, value = line.partition(":")
        if key in ("Pss_Anon", "Pss_Shmem"):
            found += int(value.split()[0]) << 10
    return found


def everyone():
    """All processes; zombies hold nothing and are left out."""
    found = (see(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process and process.state not in "ZX"]


def below(root):
    """A process and all its descendants."""
    all_of_them = everyone()
    family = [process for process in all_of_them if process.pid == root]
    for member in family:
        family += [process for process in all_of_them if process.parent == member.pid and process.pid != root]
    return family


def naming(word):
    """Processes whose command line has the word."""
    own = os.getpid()
    return [process for process in everyone() if word in process.command and process.pid != own]
