"""Connections: a contract that grants one host and port grants nothing else, and a flood does not end the grant."""

import dataclasses
import socket

from . import listeners, network
from .attempt import ALL, attempt
from .host import own_address
from .oracles import listener_heard


def granted(arguments):
    """What the contract of an attempt grants."""
    return arguments["granted"]


def _named():
    """A name of this machine and what it resolves to. Cells do not know it by heart, as they do localhost."""
    name = socket.gethostname()
    try:
        return name, socket.getaddrinfo(name, 1, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise LookupError(f"the machine's own name does not resolve, and no other name leads to a listener of ours: {error}") from error


def _target(other=None, by_name=True, by_address=True):
    """A granted listener; where another one is what must not be reached, the oracle listens there.

    A name that leads to the machine itself is followed only if the address is granted as well.
    """

    def before(host):
        name, address = _named() if by_name else ("127.0.0.1", "127.0.0.1")
        ear = listeners.tcp("the granted listener", address, greet=b"hello\n")
        host.cleanup.append(ear.close)
        grants = [f"{name}:{ear.port}"] * by_name + [f"{address}:{ear.port}"] * by_address
        arguments = {"granted": grants, "host": name, "address": address, "port": ear.port}
        target = host.listen(other(ear)) if other else host.listen(ear)
        if other:
            arguments |= {"other": target.address[0], "other_port": target.address[1]}
        return arguments

    return before


def _other_port(ear):
    return listeners.tcp("another port", ear.address[0])


def _other_host(ear):
    return listeners.Listener("another host", socket.AF_INET, socket.SOCK_STREAM, (own_address() or "127.0.0.3", ear.port))


def _datagrams(ear):
    return listeners.udp("a UDP listener on the granted port", *ear.address[:2])


@attempt("egress", before=_target(_other_port), out=listener_heard, egress=granted)
def other_port(at):
    """Connects to another port of the granted host, by its name and by its address."""
    each([at.host, at.address], lambda name: socket.create_connection((name, at.other_port), 3).sendall(at.nonce.encode()))


@attempt("egress", before=_target(_other_host), out=listener_heard, egress=granted)
def other_host(at):
    """Connects to another host on the granted port."""
    socket.create_connection((at.other, at.other_port), 3).sendall(at.nonce.encode())


@attempt("egress", before=_target(by_address=False), out=listener_heard, egress=granted)
def literal_address(at):
    """Connects to the granted host by its address, where only its name is granted."""
    socket.create_connection((at.address, at.port), 3).sendall(at.nonce.encode())


@attempt("egress", before=_target(by_address=False), out=listener_heard, egress=granted)
def name_that_leads_home(at):
    """Connects to a granted name that resolves to the machine itself: who owns a name must not open the host with it."""
    socket.create_connection((at.host, at.port), 3).sendall(at.nonce.encode())


@attempt("egress", before=_target(by_address=False), out=listener_heard, egress=granted)
def other_name(at):
    """Connects to the granted host by another of its names."""
    socket.create_connection(("localhost", at.port), 3).sendall(at.nonce.encode())


@attempt("egress", before=_target(_datagrams), out=listener_heard, egress=granted)
def datagram_to_granted_port(at):
    """Sends a datagram to the granted host and port, which were granted for TCP."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    each([at.host, at.address], lambda name: peer.sendto(at.nonce.encode(), (name, at.port)))


@attempt("egress", before=_target(), out=listener_heard, egress=granted)
def other_name_in_hello(at):
    """Asks the granted host for another site by the server name of its TLS hello."""
    name = f"{at.nonce}.example".encode()
    entry = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
    extension = struct.pack(">HH", 0, len(entry)) + entry
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + struct.pack(">H", len(extension)) + extension
    hello = b"\x01" + struct.pack(">I", len(body))[1:] + body
    peer = socket.create_connection((at.host, at.port), 3)
    peer.sendall(b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello)
    time.sleep(0.3)


@attempt("egress", before=_target(), out=listener_heard, egress=granted)
def other_name_in_request(at):
    """Asks the granted host for another site by the Host of its request."""
    peer = socket.create_connection((at.host, at.port), 3)
    peer.sendall(f"GET / HTTP/1.1\r\nHost: {at.nonce}.example\r\n\r\n".encode())
    time.sleep(0.3)


@attempt("egress", before=_target(), out=listener_heard, egress=granted, allowed=True)
def granted_name(at):
    """Must work: connects to the granted host by its name, and is answered."""
    peer = socket.create_connection((at.host, at.port), 5)
    peer.sendall(f"GET /{at.nonce} HTTP/1.1\r\nHost: {at.host}:{at.port}\r\n\r\n".encode())
    assert peer.recv(100) == b"hello\n"


@attempt("egress", before=_target(by_name=False), out=listener_heard, egress=granted, allowed=True)
def granted_address(at):
    """Must work: connects to a granted address."""
    peer = socket.create_connection((at.host, at.port), 5)
    peer.sendall(at.nonce.encode())
    assert peer.recv(100) == b"hello\n"


@attempt("egress", before=_target(by_name=False), out=listener_heard, egress=granted, allowed=True, patience=60)
def granted_after_a_flood(at):
    """Must work: after a thousand connections to granted and other hosts the granted one still answers."""
    kept = []
    for number in range(1000):
        peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex((at.address if number % 2 else "127.0.0.9", at.port))
        kept.append(peer)
        if len(kept) > 200:
            kept.pop(0).close()
    kept.clear()
    time.sleep(0.5)
    peer = socket.create_connection((at.host, at.port), 10)
    peer.sendall(at.nonce.encode())
    assert peer.recv(100) == b"hello\n"


@attempt("egress", before=_target(), out=listener_heard, egress=granted, allowed=True, patience=60)
def granted_after_many_questions(at):
    """Must work: after two thousand questions for names the granted one is still answered."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.setblocking(False)
    for number in range(2000):
        label = b"%d" % number
        question = struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + bytes([len(label)]) + label + b"\x04test\0\0\x01\0\x01"
        try:
            peer.sendto(question, ("127.0.0.1", 53))
        except OSError:
            pass
    peer = socket.create_connection((at.host, at.port), 10)
    peer.sendall(f"GET /{at.nonce} HTTP/1.1\r\nHost: {at.host}:{at.port}\r\n\r\n".encode())
    assert peer.recv(100) == b"hello\n"


@attempt("egress", before=_target(by_name=False), out=listener_heard, egress=granted, allowed=True, patience=60)
def granted_beside_slow_ones(at):
    """Must work: beside fifty connections that send one byte of a hello and wait, another one is served."""
    kept = []
    for _ in range(50):
        try:
            kept.append(socket.create_connection((at.host, at.port), 5))
            kept[-1].sendall(b"\x16")
        except OSError:
            pass
    peer = socket.create_connection((at.host, at.port), 10)
    peer.sendall(at.nonce.encode())
    assert peer.recv(100) == b"hello\n"


def _another_host(arguments):
    """A host that does not exist, on the very port that an attempt tries: somebody listens for the cell there."""
    return [f"host.example:{arguments.get('port', 443)}"]


# A cell with a grant has another network than one without: what must not be reached from the one is tried from the other.
for _one in [one for one in ALL if one.inside.__module__ == network.__name__]:
    ALL.append(dataclasses.replace(
        _one, name=f"egress.elsewhere-{_one.name.partition('.')[2]}", egress=_another_host,
        says=f"{_one.says[:-1]}, from a cell that is granted another host on that port."))
