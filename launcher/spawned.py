"""What ``claude-failover-spawn@.service`` runs: it becomes the process that is asked for.

Standard input is the connection of :func:`launcher.spawner.spawn`. The answer is a line: the pid,
or the reason why there will be none.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import NoReturn

_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python, and the first by systemd too


def main() -> NoReturn:
    """Take one request, answer it, and become what it asks for."""
    connection = socket.socket(fileno=os.dup(0))
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as file:
        request = json.load(file)
    for standard, given in enumerate(descriptors or [os.open(os.devnull, os.O_RDWR)]):
        os.dup2(given, standard)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    argv: list[str] = request["argv"]
    if not os.access(argv[0], os.X_OK):
        connection.sendall(b"it cannot be executed\n")
        raise SystemExit(72)
    if os.path.basename(argv[0]) == "tmux":
        _have_it_look()
    connection.sendall(f"{os.getpid()}\n".encode())
    os.execve(argv[0], argv, request["environment"])


def _have_it_look() -> None:
    """Tell the server that this becomes to look for ended children, every two seconds.

    Debian's tmux forgets one that ends while it takes note of the closed terminal: libutempter
    sets SIGCHLD to its default meanwhile.
    """
    look = f"while sleep 2 && kill -CHLD {os.getpid()}; do :; done"
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        os.closerange(3, 1024)
        os.execv("/bin/sh", ["/bin/sh", "-c", look])


if __name__ == "__main__":
    main()
