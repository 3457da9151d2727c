"""Where the listener listens: a Unix socket, or an address that nobody can reach from elsewhere."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass

from launcher.directories import make_readable
from launcher.errors import Unavailable, WrongUsage

SOCKET_MODE = 0o660
"""For the user and the group: whoever may read the report may not therefore ask the listener."""

_LONGEST = 107  # sun_path, unix(7)
_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket at an absolute path."""

    path: str

    def __str__(self) -> str:
        """Return the address as ``--listen`` takes it."""
        return self.path

    def open(self) -> socket.socket:
        """Return the bound socket. One that nobody listens on is replaced; all else is left alone.

        Raises Unavailable where that cannot be done.
        """
        listener = socket.socket(socket.AF_UNIX)
        try:
            make_readable(os.path.dirname(self.path))
            self._remove_stale()
            before = os.umask(0o777 & ~SOCKET_MODE)
            try:
                listener.bind(self.path)
            finally:
                os.umask(before)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise Unavailable(f"cannot listen on {self.path}: {error.strerror or error}") from error
        except BaseException:
            listener.close()
            raise
        return listener

    def _remove_stale(self) -> None:
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise Unavailable(f"cannot listen on {self.path}: what stands there is no socket")
        with socket.socket(socket.AF_UNIX) as asker:
            try:
                asker.connect(self.path)
            except ConnectionRefusedError:
                os.unlink(self.path)
                return
        raise Unavailable(f"cannot listen on {self.path}: somebody else does")

    def remove(self) -> None:
        """Remove the socket, now that nobody listens on it; all else is left alone."""
        with suppress(OSError, Unavailable):
            self._remove_stale()


@dataclass(frozen=True, slots=True)
class Address:
    """A loopback address and a port; 0 is whichever is free."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as ``--listen`` takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def open(self) -> socket.socket:
        """Return the bound socket. Raises Unavailable where that cannot be done."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise Unavailable(f"cannot listen on {self}: {error.strerror or error}") from error
        return listener

    def remove(self) -> None:
        """Do nothing: a port is free once its socket is closed."""


def parse_address(text: str, base: str) -> Address | UnixAddress:
    """Return the address that ``--listen`` names: a path, or HOST:PORT of this machine alone.

    A path that is relative starts from *base*. Raises WrongUsage for anything that somebody on
    another machine could reach, and for a name that does not lead to the loopback alone.
    """
    host, colon, port = text.rpartition(":")
    if "/" in text or not colon:
        return _unix(os.path.join(base, text.removeprefix("unix:")))
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise WrongUsage(f"--listen {text}: not a port: {port!r}; write a path, or HOST:PORT")
    return Address(_loopback(host.removeprefix("[").removesuffix("]"), text), int(port))


def _unix(path: str) -> UnixAddress:
    if len(os.fsencode(path)) > _LONGEST:
        raise WrongUsage(f"--listen {path}: a socket's path has {_LONGEST} bytes at most")
    return UnixAddress(path)


def _loopback(host: str, text: str) -> str:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)} if host else set()
    except OSError:
        found = set()
    wrong = [one for one in found if not _is_loopback(one)]
    if not found or wrong:
        leads = f"it leads to {', '.join(sorted(wrong))}" if wrong else "it leads nowhere"
        raise WrongUsage(
            f"--listen {text}: only this machine is answered, and {leads}; "
            "write a path, 127.0.0.1:PORT or [::1]:PORT"
        )
    return min(found, key=lambda one: ":" in one)


def _is_loopback(host: str) -> bool:
    if "%" in host or ("." in host and ":" in host) or host.lower().startswith("::ffff:"):
        return False  # a scope, or IPv4 in IPv6: what Python says of these differs by version
    return ipaddress.ip_address(host).is_loopback
