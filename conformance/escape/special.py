"""Kernel files and sockets of the host: what can be opened though no contract names it."""

import os
import socket

from . import listeners
from .attempt import ROOT, attempt
from .oracles import call, listener_heard


def _paths(*paths):
    return lambda host: {"paths": list(paths)}


@attempt("special", before=_paths("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun",
                                  "/dev/vhost-net", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop-control", "/dev/mapper/control"),
         out=call, control=ROOT, by_call=True)
def devices(at):
    """Opens devices that have power over the machine: memory, ports, disks, KVM, FUSE, tunnels."""
    each(at.paths, lambda path: (os.open(path, os.O_RDONLY | os.O_NONBLOCK), reached(path)))


@attempt("special", before=_paths("/proc/kcore", "/proc/kpageflags", "/proc/kmsg", "/sys/kernel/debug", "/sys/kernel/tracing/trace"),
         out=call, control=ROOT, by_call=True)
def kernel_memory(at):
    """Opens what shows the kernel's memory, its log and its traces."""
    each(at.paths, lambda path: (os.open(path, os.O_RDONLY | os.O_NONBLOCK), os.stat(path).st_mode, reached(path)))


# What follows is opened for writing and closed again: nothing is written, not even in the control run.


@attempt("special", before=_paths("/proc/sys/kernel/core_pattern"), out=call, control=ROOT, by_call=True)
def core_pattern(at):
    """Opens for writing the name of the program that the kernel starts for a crashed process, as root of the host."""
    each(at.paths, lambda path: (os.close(os.open(path, os.O_WRONLY)), reached(path)))


@attempt("special", before=_paths("/sys/kernel/uevent_helper", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
                                  "/proc/sys/kernel/poweroff_cmd"), out=call, control=ROOT, by_call=True)
def programs_of_the_kernel(at):
    """Opens for writing the names of other programs that the kernel starts as root of the host."""
    each(at.paths, lambda path: (os.close(os.open(path, os.O_WRONLY)), reached(path)))


@attempt("special", before=_paths("/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/sys/vm/panic_on_oom",
                                  "/proc/sys/kernel/panic"), out=call, control=ROOT, by_call=True)
def machine_switches(at):
    """Opens for writing what stops, panics or reconfigures the machine."""
    each(at.paths, lambda path: (os.close(os.open(path, os.O_WRONLY)), reached(path)))


@attempt("special", before=_paths("/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/profiling",
                                  "/sys/block/vda/queue/scheduler", "/sys/devices/system/cpu/cpu1/online"),
         out=call, control=ROOT, by_call=True)
def sysfs(at):
    """Opens settings of devices and of the kernel under /sys for writing."""
    each(at.paths, lambda path: (os.close(os.open(path, os.O_WRONLY)), reached(path)))


@attempt("special", before=lambda host: {"data": str(host.data)}, out=call, control=ROOT, by_call=True)
def release_agent(at):
    """Opens for writing the program that the kernel starts, as root of the host, when a control group becomes empty."""
    def by_mount(kind):
        mount("none", at.data, "cgroup", 0, kind)
        try:
            os.close(os.open(f"{at.data}/release_agent", os.O_WRONLY))
            reached(f"release_agent of {kind}")
        finally:
            call("umount2", at.data.encode(), 2)
    def directly(path):
        os.close(os.open(path, os.O_WRONLY))
        reached(path)
    here = glob.glob("/sys/fs/cgroup/*/release_agent") + glob.glob("/sys/fs/cgroup/release_agent")
    each([lambda p=p: directly(p) for p in here] + [lambda k=k: by_mount(k) for k in ("memory", "pids", "cpu")], lambda way: way())


def _ear(kind, name, variable=None):
    def before(host):
        path = str(host.ungranted / name)
        host.listen(listeners.unix(path, kind))
        if variable:
            host.environment[variable] = path
        return {"path": path}

    return before


@attempt("special", before=_ear(socket.SOCK_STREAM, "docker.sock"), out=listener_heard)
def daemon_socket(at):
    """Asks a container daemon of the host over its unix socket; a decoy stands for it."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(at.path)
    peer.sendall(at.nonce.encode())


def _run_socket(host):
    if os.geteuid() == 0:
        path = f"/run/{host.nonce}.sock"
        host.listen(listeners.unix(path))
        host.cleanup.append(lambda: os.unlink(path))
    return {}


@attempt("special", before=_run_socket, out=call, control=ROOT, by_call=True)
def sockets_of_daemons(at):
    """Finds unix sockets of daemons below /run; none is connected to, because the control would do it to real ones."""
    paths = glob.glob("/run/**", recursive=True) + glob.glob("/var/run/**", recursive=True)
    found = [path for path in paths if os.path.lexists(path) and stat.S_ISSOCK(os.lstat(path).st_mode)]
    if not found:
        raise OSError("no socket to be seen")
    reached(f"finding {found[0]}")


@attempt("special", before=_ear(socket.SOCK_DGRAM, "notify", "NOTIFY_SOCKET"), out=listener_heard)
def notify_socket(at):
    """Tells the host's service supervisor something over the notify socket that the launcher was started with."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    each([os.environ.get("NOTIFY_SOCKET", at.path), at.path], lambda path: peer.sendto(f"STATUS={at.nonce}".encode(), path))


@attempt("special", before=_ear(socket.SOCK_STREAM, "agent", "SSH_AUTH_SOCK"), out=listener_heard)
def agent_socket(at):
    """Talks to the key agent of the user who runs Cella."""
    def ask(path):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        peer.sendall(at.nonce.encode())
    each([os.environ.get("SSH_AUTH_SOCK", at.path), at.path], ask)


def _bus(host):
    path = str(host.ungranted / "bus")
    host.listen(listeners.unix(path))
    host.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={path}"
    return {"path": path}


@attempt("special", before=_bus, out=listener_heard)
def message_bus(at):
    """Talks to the message bus of the user who runs Cella."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(os.environ.get("DBUS_SESSION_BUS_ADDRESS", "unix:path=" + at.path).partition("path=")[2])
    peer.sendall(at.nonce.encode())


def _node_socket(host):
    path = host.home / "state/cella/default/cella.sock"
    path.parent.mkdir(parents=True)
    host.listen(listeners.unix(str(path)))
    for part in (host.home / "state", *(host.home / "state").rglob("*")):
        host.give(part)
        os.chmod(part, 0o777)
    return {"path": str(path)}


@attempt("special", before=_node_socket, out=listener_heard)
def cella_socket(at):
    """Talks to Cella's own node over its unix socket."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(at.path)
    peer.sendall(at.nonce.encode())
