"""What systemd is told of the service: ready, how it stands, and that it is alive (sd_notify(3)).

The protocol is a datagram to a Unix socket. The packages for it do no more than this: sdnotify has
seen no release since 2017, and systemd-python needs a compiler and libsystemd.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

VARIABLES = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
"""What systemd tells this process alone: nothing that it starts may inherit them."""


class Notify:
    """Tells systemd, where it asked for that; otherwise nobody."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the socket and the watchdog's time from *environ*."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._told = ""
        self._ready = False
        usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
        ours = usec.isdigit() and pid in (None, str(os.getpid()))
        self.watchdog: float | None = int(usec) / 2e6 if ours else None
        """After how many seconds, at the latest, :meth:`alive` is due; None: never."""

    def ready(self) -> None:
        """Say that the service has started, once."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")

    def status(self, text: str) -> None:
        """Say in a line how the service stands, if that is news."""
        if text != self._told:
            self._told = text
            self._send(f"STATUS={' '.join(text.split())}")

    def alive(self) -> None:
        """Say that the service is alive."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service ends."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        # Nobody listens while systemd itself is being restarted; it asks again by its watchdog.
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as speaker:
            speaker.sendto(message.encode(errors="replace"), self._address)
