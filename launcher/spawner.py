"""Has systemd start a process in a unit of its own, instead of this launcher forking it.

What a service forks lives in that service's control group and sandbox: it ends when the service is
stopped, and what is closed off for the launcher is closed off for it too. So the launcher's unit
names a socket, ``claude-failover-spawn.socket``; for each connection to it systemd starts an
instance of ``claude-failover-spawn@.service``, which becomes the process that is asked for
(:mod:`launcher.spawned`). That takes no privilege and no bus, for a system unit as for a user's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from launcher.errors import Unavailable

if TYPE_CHECKING:
    import socket

VARIABLE = "CLAUDE_FAILOVER_SPAWN"
"""Names the socket's path; set by the units, and never handed on to a session."""

_SECONDS = 10.0


def spawn(
    path: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    descriptors: Sequence[int] = (),
) -> int:
    """Have *argv* run in a unit of its own with exactly *environment*; return its pid.

    *path* is the socket's. *argv[0]* is an absolute path. *descriptors* are its standard input,
    output and error; without them it reads nothing and writes to the journal. It leads a session
    of its own (setsid(2)), and is no child of the caller's. Raises Unavailable.
    """
    import json
    import socket

    request = json.dumps({"argv": list(argv), "environment": dict(environment)}).encode("ascii")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(path)
            socket.send_fds(connection, [b"\n"], list(descriptors))
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = _line(connection)
    except OSError as error:
        user = "--user " if os.geteuid() else ""
        fix = f"systemctl {user}start claude-failover-spawn.socket"
        raise Unavailable(f"systemd starts no unit for it: {path}: {error} (fix: {fix})") from error
    if not answer.isdecimal():
        raise Unavailable(f"systemd started no {argv[0]}: {answer or 'no answer'}")
    return int(answer)


def _line(connection: socket.socket) -> str:
    """Read a line. There may be no end to wait for: systemd keeps the connection open as well."""
    content = b""
    while not content.endswith(b"\n") and (more := connection.recv(4096)):
        content += more
    return content.decode(errors="replace").strip()
