"""The listener as it runs: a process, a socket, clients of all kinds."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import Unavailable
from launcher.listen import Address, Listener, UnixAddress, server
from tests.formats.told import Told
from tests.vm import wait_until


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float = 30) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@pytest.fixture
def place() -> Iterator[str]:
    path = f"/tmp/cf-listener-{os.getpid()}.sock"
    yield path
    Path(path).unlink(missing_ok=True)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def listener(told: Told, place: str, said: list[str]) -> Iterator[Listener]:
    told.case("green")
    with Listener(UnixAddress(place), str(told.vm.inventory), told.vm.environ, said.append) as made:
        yield made


def get(place: str, path: str, method: str = "GET", **names: Any) -> tuple[int, bytes]:
    with closing(UnixConnection(place)) as connection:
        connection.request(method, path, **names)
        response = connection.getresponse()
        return response.status, response.read()


def raw(place: str, content: bytes) -> bytes:
    """Send *content* and return all that comes until the connection ends."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(place)
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):  # it did not care to read all of it
            while chunk := client.recv(65536):
                answer += chunk
        return answer


def test_report_changes_and_so_does_the_answer(
    listener: Listener, told: Told, place: str, said: list[str]
) -> None:
    assert (200, b"green: all 24 invariants hold\n") == get(place, "/healthz")
    told.case("red")
    assert (503, b"red: 1 of 24 invariants does not hold\n") == get(place, "/healthz")
    for path in ("/report", "/metrics", "/"):
        assert 200 == get(place, path)[0]
        assert (200, b"") == get(place, path, "HEAD")
    assert (405, b"GET or HEAD\n") == get(place, "/report", "POST", body=b"x" * 100)
    assert b" 413 " in raw(place, b"POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n")
    long = raw(place, b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * server.HEADER_BYTES + b"\r\n\r\n")
    assert b" 431 " in long or not long
    assert b" 400 " in raw(place, b"nonsense\r\n\r\n")
    told.vm.inventory.write_text("= nonsense")
    assert 503 == get(place, "/healthz")[0]
    assert [] == said


def test_answer_does_not_say_what_answers(listener: Listener, place: str) -> None:
    head = raw(place, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")[0].lower()
    assert b"waitress" not in head
    assert b"python" not in head


def test_clients_that_trickle_or_say_nothing_keep_nobody_out(
    listener: Listener, place: str
) -> None:
    clients = [socket.socket(socket.AF_UNIX) for _ in range(server.CONNECTIONS // 2)]
    for client in clients:
        client.connect(place)
        client.sendall(b"GET /healthz HTTP/1.1\r\n")
    try:
        assert 200 == get(place, "/healthz")[0]
    finally:
        for client in clients:
            client.close()


@pytest.mark.thorough
def test_trickling_client_is_cut_off(listener: Listener, place: str) -> None:
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(place)
        client.settimeout(0.5)
        while time.monotonic() < began + 3 * server.LIFETIME:
            try:
                client.sendall(b"X")
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            raise AssertionError("it may trickle for ever")
    assert server.LIFETIME - 1 <= time.monotonic() - began


def test_a_thousand_idle_connections_keep_nobody_out(listener: Listener, place: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 2000), hard), hard))
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for number in range(1000):
            client = opened.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(place)
            if number % 2:
                client.sendall(b"GET /healthz HTTP/1.1\r\n")
        with closing(UnixConnection(place, server.LIFETIME / 2)) as asking:
            asking.request("GET", "/healthz")
            assert 200 == asking.getresponse().status
        assert len(os.listdir(f"/proc/{listener.pid}/fd")) < server.CONNECTIONS + 30


def test_socket_goes_with_the_listener(told: Told, place: str, said: list[str]) -> None:
    with Listener(UnixAddress(place), str(told.vm.inventory), {}, said.append) as made:
        assert 503 == get(place, "/healthz")[0]
        pid = made.pid
        assert place == made.address
    assert not Path(place).exists()
    assert not Path(f"/proc/{pid}").exists()


def test_server_that_was_killed_is_started_anew(
    listener: Listener, place: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.listen.listener._PAUSE", 0.0)
    listener.keep()
    assert [] == said
    os.kill(listener.pid, signal.SIGKILL)

    def is_noticed() -> bool:
        listener.keep()
        return bool(said)

    wait_until(is_noticed, "its end is noticed")
    assert ["the listener has ended (-9), and is started anew"] == said
    assert 200 == get(place, "/healthz")[0]


def test_server_that_does_not_live_is_not_started_in_a_loop(
    listener: Listener, said: list[str]
) -> None:
    os.kill(listener.pid, signal.SIGKILL)
    os.waitid(os.P_PID, listener.pid, os.WEXITED | os.WNOWAIT)
    listener.keep()
    assert [] == said


def test_loopback_is_answered_by_its_names_alone(told: Told, said: list[str]) -> None:
    told.case("green")
    with Listener(Address("127.0.0.1", 0), str(told.vm.inventory), {}, said.append) as made:
        host, _, port = made.address.rpartition(":")
        codes = []
        for name in ("localhost", "127.0.0.1:1", "evil.example"):
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.request("GET", "/healthz", headers={"Host": name})
            codes.append(connection.getresponse().status)
            connection.close()
        assert [200, 200, 421] == codes


def test_server_ends_with_an_owner_that_was_killed(told: Told, place: str) -> None:
    program = (
        "import sys, time; from launcher.listen import Listener, UnixAddress\n"
        "with Listener(UnixAddress(sys.argv[1]), sys.argv[2], {}, print) as made:\n"
        "    print(made.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program, place, str(told.vm.inventory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert 503 == get(place, "/healthz")[0]
        owner.kill()
    wait_until(lambda: not _runs(pid), "the server ends")


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_listener_that_cannot_start_leaves_nothing_behind(
    told: Told, place: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", f"{place}-nonexistent")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(Unavailable, match="the listener does not start"):
        Listener(UnixAddress(place), str(told.vm.inventory), {}, said.append).__enter__()
    assert not Path(place).exists()
    assert len(before) == len(os.listdir("/proc/self/fd"))
