"""Secrets: what the host knows must be nowhere in a cell, neither in its environment nor in files nor in memory."""

from .attempt import attempt
from .oracles import secret_came_out

# The name of the granted secret inside; what stands under it may be a placeholder and never the value.
OWN = {"API": {"from": "env:ESCAPE_SECRET", "host": "api.example", "env": "API_TOKEN"}}


def _homes(host):
    config = f'[servers.other]\ncommand = "true"\nenv = {{ KEY = "{host.secret}" }}\n'
    paths = [host.write(host.home / "config/cella/cella.toml", config, 0o600)]
    paths += [host.write(host.home / f"state/cella/default/{name}", host.secret, 0o600) for name in ("token", "vault", "other.env")]
    for path in host.home.rglob("*"):
        host.give(path)
    return {"home": str(host.home), "paths": [str(path) for path in paths]}


@attempt("secrets", before=_homes, out=secret_came_out)
def environment(at):
    """Prints its environment: the node's own variables must not be in it."""
    say(dict(os.environ))


@attempt("secrets", before=_homes, out=secret_came_out)
def own_memory(at):
    """Searches its own memory for what the process that started it knew."""
    each(scan_memory("self", b"secret-"), lambda text: say(text[:40].decode(errors="replace")))


@attempt("secrets", before=_homes, out=secret_came_out)
def initial_stack(at):
    """Reads its initial stack, with environment and auxiliary vector, as the kernel shows it."""
    each(["environ", "auxv", "cmdline", "stat"], lambda name: say(open(f"/proc/self/{name}", "rb").read().decode(errors="replace")))


@attempt("secrets", before=_homes, out=secret_came_out)
def files(at):
    """Searches all small files outside of the system's programs for secrets."""
    def search(top):
        for base, names, files in os.walk(top):
            names[:] = names[:200]
            for name in files[:200]:
                try:
                    with open(f"{base}/{name}", "rb") as file:
                        text = file.read(1 << 16)
                except OSError:
                    continue
                if b"secret-" in text:
                    at_ = text.find(b"secret-")
                    say(text[at_:at_ + 40].decode(errors="replace"))
    each([at.home, os.path.expanduser("~"), "/etc", "/run", "/tmp", "/dev/shm", "/var/tmp", "/opt", "/srv"], search)


@attempt("secrets", before=_homes, out=secret_came_out)
def values_of_other_servers(at):
    """Reads Cella's configuration and state, where values of other servers may stand."""
    each(at.paths, lambda path: say(open(path).read()))


@attempt("secrets", before=_homes, out=secret_came_out, secrets=OWN)
def own_secret_in_environment(at):
    """Prints the secret that its contract grants for one host: a placeholder may be there, the value may not."""
    say(os.environ.get("API_TOKEN") or os.environ.get("ESCAPE_SECRET"))
    say(dict(os.environ))


@attempt("secrets", before=_homes, out=secret_came_out, secrets=OWN)
def own_secret_in_memory(at):
    """Searches all memory that it can read for the value of the secret that its contract grants for one host."""
    each(["self", 1, os.getppid()], lambda pid: each(scan_memory(pid, b"secret-"), lambda text: say(text[:40].decode(errors="replace"))))


def _in_arguments(host):
    import subprocess

    from .host import PYTHON

    child = subprocess.Popen([PYTHON, "-I", "-c", "import time; time.sleep(600)", f"--password={host.secret}"], **host.identity.popen)
    host.cleanup.append(lambda: (child.kill(), child.wait()))
    return {}


@attempt("secrets", before=_in_arguments, out=secret_came_out)
def command_lines(at):
    """Reads the arguments of every process it can see: one of the host has a password there."""
    each(others(), lambda pid: say(open(f"/proc/{pid}/cmdline").read()))
