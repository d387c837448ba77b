"""The network: everything that listens on the host must not hear a byte."""

import contextlib
import os
import socket
import subprocess

from . import listeners
from .attempt import ROOT, attempt
from .host import own_address
from .oracles import call, host_text, listener_heard


def _tcp(address):
    def before(host):
        ear = host.listen(listeners.tcp(address=address() if callable(address) else address))
        return {"address": ear.address[0], "port": ear.port}

    return before


def _udp(address):
    def before(host):
        ear = host.listen(listeners.udp(address=address))
        return {"address": ear.address[0], "port": ear.port}

    return before


@attempt("network", before=_tcp("127.0.0.1"), out=listener_heard)
def loopback(at):
    """Connects to a listener on the host's loopback address by TCP."""
    socket.create_connection((at.address, at.port), 2).sendall(at.nonce.encode())


@attempt("network", before=_tcp("127.0.0.1"), out=listener_heard)
def any_address(at):
    """Connects to a listener of the host by 0.0.0.0, by localhost and by other names of loopback."""
    names = ["0.0.0.0", "localhost", "127.1", "2130706433", "127.0.0.2", "::ffff:127.0.0.1"]
    each(names, lambda name: socket.create_connection((name, at.port), 2).sendall(at.nonce.encode()))


@attempt("network", before=_tcp(lambda: own_address() or "127.0.0.1"), out=listener_heard)
def own_address_of_host(at):
    """Connects to a listener on the host's own address in its network."""
    socket.create_connection((at.address, at.port), 2).sendall(at.nonce.encode())


@attempt("network", before=_tcp("::1"), out=listener_heard)
def loopback_ipv6(at):
    """Connects to a listener on the host's loopback address by IPv6."""
    socket.create_connection((at.address, at.port), 2).sendall(at.nonce.encode())


@attempt("network", before=_tcp("127.0.0.1"), out=listener_heard)
def multipath(at):
    """Connects to a listener of the host by multipath TCP, another protocol number for the same."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    peer.settimeout(2)
    peer.connect((at.address, at.port))
    peer.sendall(at.nonce.encode())


@attempt("network", before=_tcp("127.0.0.1"), out=listener_heard)
def fast_open(at):
    """Sends data with the first packet of a connection, past what looks at connect."""
    peer = socket.socket()
    peer.sendto(at.nonce.encode(), 0x20000000, (at.address, at.port))


@attempt("network", before=_udp("127.0.0.1"), out=listener_heard)
def datagram(at):
    """Sends a datagram to a listener on the host's loopback address."""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(at.nonce.encode(), (at.address, at.port))


@attempt("network", before=_udp("::1"), out=listener_heard)
def datagram_ipv6(at):
    """Sends a datagram to a listener of the host by IPv6."""
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(at.nonce.encode(), (at.address, at.port))


@attempt("network", before=_udp("127.0.0.1"), out=listener_heard)
def name_tunnel(at):
    """Hides data in a question for a name, of type TXT, and sends it to a name server on the host."""
    label = at.nonce.encode()
    question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + bytes([len(label)]) + label + b"\x04test\x00" + struct.pack(">HH", 16, 1)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, (at.address, at.port))


def _link_local(host):
    address = "169.254.77.77"
    if os.geteuid() == 0 and subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], stderr=subprocess.DEVNULL).returncode == 0:
        host.cleanup.append(lambda: subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], stderr=subprocess.DEVNULL))
        return _tcp(address)(host)
    return _tcp("127.0.0.1")(host)


@attempt("network", before=_link_local, out=listener_heard)
def link_local(at):
    """Connects to a link-local address, where clouds keep credentials; a listener of the host stands for the real one."""
    socket.create_connection((at.address, at.port), 2).sendall(at.nonce.encode())


def _abstract(kind):
    def before(host):
        host.listen(listeners.unix(f"\0{host.nonce}-ear", kind))
        return {"name": f"\0{host.nonce}-ear"}

    return before


@attempt("network", before=_abstract(socket.SOCK_STREAM), out=listener_heard)
def abstract_socket(at):
    """Connects to a unix socket of the host that has a name but no file."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(at.name)
    peer.sendall(at.nonce.encode())


@attempt("network", before=_abstract(socket.SOCK_DGRAM), out=listener_heard)
def abstract_datagram(at):
    """Sends a datagram to a unix socket of the host that has a name but no file."""
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(at.nonce.encode(), at.name)


def _path(host):
    path = str(host.ungranted / "ear")
    host.listen(listeners.unix(path))
    return {"path": path}


@attempt("network", before=_path, out=listener_heard)
def socket_in_a_directory(at):
    """Connects to a unix socket of the host by its path."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(at.path)
    peer.sendall(at.nonce.encode())


def _sniff(protocol):
    def before(host):
        with contextlib.suppress(PermissionError):
            host.listen(listeners.Listener("the host's loopback", socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0), protocol))
        return {}

    return before


@attempt("network", before=_sniff(socket.IPPROTO_ICMP), out=listener_heard, control=ROOT)
def ping(at):
    """Sends an ICMP echo with data to the host, by a raw or by a ping socket."""
    def send(kind):
        body = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + at.nonce.encode() + b" " * (len(at.nonce) % 2)
        total = sum(struct.unpack(f">{len(body) // 2}H", body))
        total = (total & 0xFFFF) + (total >> 16)
        total = ~(total + (total >> 16)) & 0xFFFF
        body = body[:2] + struct.pack(">H", total) + body[4:]
        socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).sendto(body, ("127.0.0.1", 0))
    each([socket.SOCK_RAW, socket.SOCK_DGRAM], send)


@attempt("network", before=_sniff(253), out=listener_heard, control=ROOT)
def raw_packets(at):
    """Sends packets of a protocol of its own by a raw socket."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 253).sendto(at.nonce.encode(), ("127.0.0.1", 0))


def _sniff_frames(host):
    with contextlib.suppress(PermissionError):
        host.listen(listeners.Listener("the host's network", socket.AF_PACKET, socket.SOCK_RAW, ("lo", 3)))
    return {}


@attempt("network", before=_sniff_frames, out=listener_heard, control=ROOT)
def frames(at):
    """Writes whole frames to an interface by a packet socket, past all routes and filters."""
    peer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    peer.bind(("lo", 0x88B5))
    peer.send(bytes(12) + b"\x88\xb5" + at.nonce.encode() + bytes(40))


@attempt("network", before=lambda host: {"address": own_address() or "127.0.0.1"}, out=host_text(lambda host: own_address() or "no address"))
def interfaces(at):
    """Lists the host's network addresses by netlink and by /proc/net."""
    def by_netlink():
        peer = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        peer.send(struct.pack("=IHHIIBxxxxxxx", 24, 22, 0x301, 1, 0, socket.AF_INET))
        answer = peer.recv(1 << 16)
        wanted = socket.inet_aton(at.address)
        if wanted in answer:
            say(socket.inet_ntoa(answer[answer.find(wanted):][:4]))
    # The address came with the arguments: only what the kernel answered is printed.
    each([by_netlink, lambda: say(open("/proc/net/fib_trie").read())], lambda way: way())


def _listening(host):
    ear = host.listen(listeners.tcp())
    host.hex_port = f":{ear.port:04X} "
    return {}


@attempt("network", before=_listening, out=host_text(lambda host: host.hex_port))
def connections(at):
    """Lists the host's listeners and connections by /proc/net."""
    each(["/proc/net/tcp", *(f"/proc/{pid}/net/tcp" for pid in others())], lambda path: say(open(path).read()))


@attempt("network", before=lambda host: {}, out=call, by_call=True, control=ROOT)
def reconfigure(at):
    """Brings up a network device of its own by netlink or ioctl."""
    import fcntl

    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = struct.pack("16sh22x", b"lo", 0)
    flags = fcntl.ioctl(peer, 0x8913, request)
    fcntl.ioctl(peer, 0x8914, flags)
    reached("changing a network interface")


@attempt("network", before=lambda host: {}, out=call, by_call=True, control=ROOT)
def low_port(at):
    """Listens on a port that belongs to the system, on every address of its network namespace, and owns the host's network with it."""
    host = open("/proc/net/dev").read()
    if len(host.splitlines()) <= 3:
        raise OSError("there is only its own loopback")
    listener = socket.socket()
    listener.bind(("0.0.0.0", 893))
    reached("bind to port 893")
