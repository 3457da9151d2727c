"""The listener: tells the report over HTTP to who asks on this machine, in a process of its own.

A process and not a thread, since the server has threads and ``launcher watch`` forks: and so that
nothing that is asked of it, and no file system that hangs, reaches the process that keeps watch.
The server is waitress: maintained, no dependency, Unix sockets, a bounded number of threads and
connections. http.server says of itself that it is not for production, uvicorn and gunicorn bring
event loops and workers that nobody needs here.
"""

from __future__ import annotations

from launcher.listen.address import Address, UnixAddress, parse_address
from launcher.listen.listener import Listener

__all__ = ["Address", "Listener", "UnixAddress", "parse_address"]
