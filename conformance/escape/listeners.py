"""Ears of the host: sockets that note what reaches them, so that a byte is the proof and not a return code."""

import contextlib
import os
import select
import socket
import threading

# What an ear keeps of one message; the word looked for stands at its beginning.
KEEP = 4096
# How often an ear looks whether it shall end, in seconds.
TICK = 0.1


class Listener:
    """A socket of any kind, heard in a thread of its own. `greet` is sent to whoever connects."""

    def __init__(self, name, family, kind, address, protocol=0, greet=b""):
        self.name, self.greet, self.messages, self.alone = name, greet, [], threading.Lock()
        self.socket = socket.socket(family, kind, protocol)
        if family in (socket.AF_INET, socket.AF_INET6):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address is not None:
            self.socket.bind(address)
        self.address = self.socket.getsockname()
        if kind == socket.SOCK_STREAM:
            self.socket.listen(256)
        if family == socket.AF_UNIX and isinstance(address, str) and not address.startswith("\0"):
            os.chmod(address, 0o777)
        self.streams, self.ending = kind == socket.SOCK_STREAM, False
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    @property
    def port(self):
        """The port it got."""
        return self.address[1]

    def heard(self, word):
        """Whether a message holds the word."""
        with self.alone:
            return any(word.encode() in message for message in self.messages)

    def count(self):
        """How many messages came."""
        with self.alone:
            return len(self.messages)

    def close(self):
        """Ends the ear."""
        self.ending = True
        self.thread.join(2)
        self.socket.close()

    def _hear(self):
        connections = []
        while not self.ending:
            ready, _, _ = select.select([self.socket, *connections], [], [], TICK)
            for one in ready:
                with contextlib.suppress(OSError):
                    if one is self.socket and self.streams:
                        connections.append(self._greeted(one.accept()[0]))
                        continue
                    message = one.recv(KEEP)
                    if message:
                        with self.alone:
                            self.messages.append(message)
                    if message or one is self.socket:
                        continue
                connections.remove(one) if one in connections else None
                one.close() if one is not self.socket else None
        for one in connections:
            one.close()

    def _greeted(self, connection):
        if self.greet:
            connection.sendall(self.greet)
        return connection


def tcp(name="a TCP listener", address="127.0.0.1", greet=b""):
    """TCP, IPv4 or IPv6 by the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return Listener(name, family, socket.SOCK_STREAM, (address, 0), greet=greet)


def udp(name="a UDP listener", address="127.0.0.1", port=0):
    """UDP, IPv4 or IPv6 by the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return Listener(name, family, socket.SOCK_DGRAM, (address, port))


def unix(path, kind=socket.SOCK_STREAM, name=None):
    """A socket in the file system, or an abstract one where the path begins with NUL."""
    return Listener(name or f"the socket {path.lstrip(chr(0))}", socket.AF_UNIX, kind, path)
