"""The listener's process: started by path in isolated mode, it serves until its parent is gone.

``server.py ROOT INVENTORY MAX_AGE SOCKET LEASH``: where the packages are, the inventory's path,
how many seconds a report may be old, and the descriptors of a bound socket and of a pipe, which
the parent keeps open for as long as it lives.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from functools import partial
from operator import attrgetter
from threading import Thread
from typing import Any

THREADS = 4
CONNECTIONS = 64
"""How many there may be: for one more, the oldest that has sent no whole request is closed."""
LIFETIME = 10
"""Seconds that a connection may last, however busy: a client that trickles has no longer."""
HEADER_BYTES = 8192
BODY_BYTES = 1024


def main(inventory: str, max_age: float, listening: socket.socket, leash: int) -> None:
    """Serve until *leash* ends, with its writer."""
    import logging

    from waitress.channel import HTTPChannel
    from waitress.server import create_server

    from launcher.listen.app import Application, Reader, look

    class Connection(HTTPChannel):  # type: ignore[misc]  # waitress has no types
        """A connection whose time runs from its beginning, and not from what last trickled in."""

        def add_channel(self, map: dict[int, Any] | None = None) -> None:
            """Close the oldest connection that waits for nothing, where there are too many."""
            others = list(self.server.active_channels.values())
            idle = [one for one in others if not (one.requests or one.total_outbufs_len)]
            if len(others) >= CONNECTIONS and idle:
                min(idle, key=attrgetter("creation_time")).handle_close()
            super().add_channel(map)

        @property
        def last_activity(self) -> float:
            began: float = self.creation_time
            return began

        @last_activity.setter
        def last_activity(self, at: float) -> None:
            """Pass over what waitress notes with each byte."""

    logging.getLogger("waitress").setLevel(logging.CRITICAL)
    reader = Reader(partial(look, inventory, max_age))
    server = create_server(
        Application(reader, is_open=listening.family != socket.AF_UNIX),
        sockets=[listening],
        threads=THREADS,
        connection_limit=2 * CONNECTIONS,  # where all of them wait for an answer
        channel_timeout=LIFETIME,
        cleanup_interval=1,
        asyncore_loop_timeout=1,
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=BODY_BYTES,
        clear_untrusted_proxy_headers=True,
        expose_tracebacks=False,
        ident=None,
        _start=True,
    )
    server.channel_class = Connection
    Thread(target=server.run, daemon=True).start()
    select.select([leash], [], [])
    os._exit(0)  # a thread that hangs at a file system is not waited for


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    descriptors = [int(word) for word in sys.argv[4:6]]
    main(sys.argv[2], float(sys.argv[3]), socket.socket(fileno=descriptors[0]), descriptors[1])
