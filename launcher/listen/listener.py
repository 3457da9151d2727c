"""The listener as its owner has it: a socket that is there for as long as it is entered."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import Self

from launcher.early import gate_environment
from launcher.errors import Unavailable
from launcher.listen.address import Address, UnixAddress
from launcher.reading import MAX_AGE

_PATIENCE = 5.0
_PAUSE = 5.0
"""Seconds between two starts of a server that does not live."""


class Listener:
    """Answers requests about the report of an inventory while it is entered.

    The server reads the inventory anew for each request, so that a reload is no matter of its
    owner's, who calls :meth:`keep` now and then. It ends with its owner, however that ends.
    """

    def __init__(
        self,
        address: Address | UnixAddress,
        inventory: str,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        max_age: float = MAX_AGE,
    ) -> None:
        """Take where to listen, the inventory's path, and who is told what goes wrong."""
        self._address = address
        self._arguments = [inventory, str(max_age)]
        self._environ = environ
        self._say = say
        self._began = 0.0

    def __enter__(self) -> Self:
        """Listen. Raises Unavailable where that cannot be done."""
        self._socket = self._address.open()
        self._leash, self._writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._start()
        except OSError as error:
            os.close(self._writer)
            self._close()
            raise Unavailable(f"the listener does not start: {error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._writer)  # tells the server to end
        try:
            self._server.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._close()

    def _close(self) -> None:
        os.close(self._leash)
        self._socket.close()
        self._address.remove()

    @property
    def address(self) -> str:
        """Where it listens, with the port that was free where none was named."""
        if isinstance(self._address, UnixAddress):
            return str(self._address)
        return str(Address(self._address.host, self._socket.getsockname()[1]))

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._server.pid

    def keep(self) -> None:
        """Start the server anew where it has ended, and say so; at most every few seconds."""
        if self._server.poll() is not None and monotonic() - self._began >= _PAUSE:
            self._say(f"the listener has ended ({self._server.returncode}), and is started anew")
            self._start()

    def _start(self) -> None:
        self._began = monotonic()
        here = os.path.dirname(os.path.abspath(__file__))
        shared = (self._socket.fileno(), self._leash)
        command = [sys.executable, "-I", "-X", "utf8", os.path.join(here, "server.py")]
        command += [os.path.dirname(os.path.dirname(here)), *self._arguments, *map(str, shared)]
        self._server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=gate_environment(self._environ),
            cwd="/",
            pass_fds=shared,
            start_new_session=True,
        )
