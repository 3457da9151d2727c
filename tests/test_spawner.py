"""A process in a unit of its own: both ends of the socket, with this test in systemd's place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.errors import Unavailable
from launcher.spawner import spawn
from tests.vm import wait_until


class Systemd:
    """Accepts connections and starts :mod:`launcher.spawned` for each, keeping its own copy."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.started: list[subprocess.Popen[bytes]] = []
        self._kept: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        command = [sys.executable, "-m", "launcher.spawned"]
        while True:
            connection, _ = self._listener.accept()
            self._kept.append(connection)
            if connection.recv(1, socket.MSG_PEEK) == b"":
                return
            process = subprocess.Popen(command, stdin=connection.fileno(), start_new_session=True)
            self.started.append(process)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.path)
        self._thread.join()
        for process in self.started:
            process.kill()
            process.wait()
        for connection in (*self._kept, self._listener):
            connection.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    server = Systemd(tmp_path / "spawn")
    yield server
    server.close()


def test_process_has_exactly_the_given_environment_and_descriptors(
    systemd: Systemd, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with open(os.devnull) as null, log.open("w") as file:
        argv = ["/usr/bin/env"]
        descriptors = (null.fileno(), file.fileno(), file.fileno())
        spawn(systemd.path, argv, {"ONE": "ü", "TWO": "a\nb"}, descriptors)
    wait_until(lambda: log.stat().st_size, "it wrote its environment")
    assert {"ONE=ü", "TWO=a", "b"} == set(log.read_text().splitlines())


def test_pid_is_that_of_the_program_which_leads_a_session(systemd: Systemd) -> None:
    pid = spawn(systemd.path, ["/bin/sleep", "600"], {})
    assert pid == systemd.started[0].pid == os.getsid(pid)
    wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "it became the program")
    assert os.devnull == os.readlink(f"/proc/{pid}/fd/0")
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    assert [] == [one for one in (signal.SIGPIPE, signal.SIGXFSZ) if ignored >> (one - 1) & 1]


def test_program_that_cannot_be_executed_is_told(systemd: Systemd, tmp_path: Path) -> None:
    program = str(tmp_path / "program")
    with pytest.raises(Unavailable, match=f"started no {program}: it cannot be executed"):
        spawn(systemd.path, [program], {})


def test_socket_that_is_not_there_is_told_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"fix: systemctl .*start claude-failover-spawn\.socket"):
        spawn(str(tmp_path / "spawn"), ["/bin/true"], {})


def test_connection_that_ends_without_an_answer_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "spawn")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(Unavailable, match="no answer"):
            spawn(path, ["/bin/true"], {})
        thread.join()
