"""Who decides whether an attempt got out. Each gives the evidence as a text, or None.

An oracle looks at the host: at what came out, at files, listeners and processes. None looks at an error number.
"""

import os
import stat


def canary_came_out(host, run):
    """The canary's content, which only the host knows, stands in the output."""
    return "the canary's content came out" if host.canary in run.output else None


def secret_came_out(host, run):
    """A value of the launcher's own environment stands in the output."""
    return "a secret of the host came out" if host.secret in run.output else None


def canary_changed(host, run):
    """The canary is not what it was."""
    return _changed(host.canary_file, host.canary)


def readable_changed(host, run):
    """The file that was granted for reading is not what it was."""
    return _changed(host.readable_file, host.readable_text)


def _changed(path, content):
    try:
        with open(path) as file:
            return None if file.read() == content else f"{path} was changed"
    except FileNotFoundError:
        return f"{path} was removed"


def listener_heard(host, run):
    """A listener of the host got at least one byte of this attempt."""
    host.settle(lambda: any(one.heard(run.nonce) for one in host.listeners))
    heard = [one.name for one in host.listeners if one.heard(run.nonce)]
    return f"{', '.join(heard)} on the host was reached" if heard else None


def victim_ended(host, run):
    """The host's process is gone, or stopped."""
    alive = ("R", "S", "D", "I")
    host.settle(lambda: host.victim.state() not in alive, 0.1)
    state = host.victim.state()
    return None if state in alive else f"the host's process is {'stopped' if state else 'gone'}"


def survivors(host, run):
    """A process of the attempt still runs after its launcher is gone."""
    host.settle(lambda: not host.processes(run.nonce), 5)
    left = host.processes(run.nonce)
    return f"processes {left} still run" if left else None


def seen(host, run):
    """What the host saw while it ran; the attempt's `during` has noted it."""
    return "; ".join(sorted(set(run.seen))) or None


def watched(host, run):
    """The same, but an attempt that the host never saw is no proof of anything."""
    if run.began and "looked" not in run.notes:
        raise LookupError("the host could not watch the attempt's processes")
    return seen(host, run)


def lent_mode(host, run):
    """A file in the writable directory lends its owner or group to whoever executes it on the host."""
    for name in os.listdir(host.data):
        mode = os.lstat(os.path.join(host.data, name)).st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            return f"{name} has mode {stat.S_IMODE(mode):o} on the host"
    return None


def device_node(host, run):
    """A device lies in the writable directory."""
    for name in os.listdir(host.data):
        mode = os.lstat(os.path.join(host.data, name)).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            return f"{name} is a device on the host"
    return None


def call(host, run):
    """The system call succeeded inside: nothing on the host would show it."""
    lines = [line for line in run.output.splitlines() if line.startswith("reached: ")]
    return lines[0][len("reached: "):] + " succeeded inside" if lines else None


def host_text(text):
    """A text of the host, known beforehand, stands in the output."""
    return lambda host, run: f"{text(host)} of the host came out" if text(host) in run.output else None


def done(host, run):
    """For what must work: it ran to its end and said so."""
    return "done" if "all done" in run.output and run.code == 0 else None


def ended_late(limit, grace):
    """It ran longer than its contract says."""
    return lambda host, run: f"ran {run.seconds:.1f} s of {limit} s" if run.seconds > limit + grace else None
