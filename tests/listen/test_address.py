"""Where the listener may listen: on this machine, and in no place that holds something else."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.errors import Unavailable, WrongUsage
from launcher.listen import Address, UnixAddress, parse_address


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a path that is short enough for a socket."""
    place = Path(f"/tmp/cf-listen-{os.getpid()}.sock")
    yield place
    place.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/a.sock", UnixAddress("/run/a.sock")),
        ("unix:/run/a.sock", UnixAddress("/run/a.sock")),
        ("a.sock", UnixAddress("/state/a.sock")),
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("127.8.9.1:80", Address("127.8.9.1", 80)),
        ("[::1]:9", Address("::1", 9)),
        ("::1:9", Address("::1", 9)),
    ],
)
def test_address_is_a_path_or_a_loopback(text: str, address: object) -> None:
    assert address == parse_address(text, "/state")


def test_localhost_is_an_address_of_the_loopback() -> None:
    address = parse_address("localhost:80", "/state")
    assert isinstance(address, Address)
    assert address.host in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "[::]", "", "10.0.0.1", "192.168.1.1", "8.8.8.8", "[fe80::1]", "0"),
        *("[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "no.such.name.invalid", "255.255.255.255"),
    ],
)
def test_what_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(WrongUsage, match="only this machine is answered"):
        parse_address(f"{host}:8080", "/state")


def test_name_that_leads_elsewhere_too_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("203.0.113.7", 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: found)
    with pytest.raises(WrongUsage, match=r"it leads to 203\.0\.113\.7"):
        parse_address("both.example:80", "/state")


@pytest.mark.parametrize("port", ["http", "-1", "65536", "", "８"])
def test_port_has_to_be_one(port: str) -> None:
    with pytest.raises(WrongUsage, match="not a port"):
        parse_address(f"127.0.0.1:{port}", "/state")


def test_path_of_a_socket_has_to_be_short() -> None:
    with pytest.raises(WrongUsage, match="107 bytes at most"):
        parse_address("/" + "a" * 107, "/state")


def test_socket_is_for_user_and_group(place: Path) -> None:
    before = os.umask(0o077)
    try:
        with UnixAddress(str(place)).open():
            assert 0o660 == stat.S_IMODE(place.stat().st_mode)
    finally:
        os.umask(before)


def test_stale_socket_is_replaced(place: Path) -> None:
    UnixAddress(str(place)).open().close()
    assert place.exists()
    with UnixAddress(str(place)).open():
        pass


def test_socket_that_somebody_listens_on_is_left_alone(place: Path) -> None:
    address = UnixAddress(str(place))
    with address.open(), pytest.raises(Unavailable, match="somebody else does"):
        address.open()
    with address.open():
        address.remove()
        assert place.exists()
    address.remove()
    assert not place.exists()


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "fifo"])
def test_what_is_no_socket_is_left_alone(place: Path, kind: str, tmp_path: Path) -> None:
    make: dict[str, Callable[[], object]] = {
        "file": lambda: place.write_text("precious"),
        "directory": place.mkdir,
        "symlink": lambda: place.symlink_to(tmp_path / "elsewhere"),
        "fifo": lambda: os.mkfifo(place),
    }
    make[kind]()
    before = place.lstat()
    with pytest.raises(Unavailable, match="no socket"):
        UnixAddress(str(place)).open()
    UnixAddress(str(place)).remove()
    assert before.st_ino == place.lstat().st_ino
    if kind == "directory":
        place.rmdir()


def test_directory_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot listen on"):
        UnixAddress(str(tmp_path / "file" / "a")).open()


def test_port_that_is_taken_is_told() -> None:
    refused = pytest.raises(Unavailable, match="Address already in use")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        Address("127.0.0.1", taken.getsockname()[1]).open()
    Address("127.0.0.1", 0).remove()


def test_address_is_spelled_as_it_is_given() -> None:
    for text in ("127.0.0.1:80", "[::1]:80", "/run/a.sock"):
        assert text == str(parse_address(text, "/"))
