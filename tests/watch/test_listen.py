"""``launcher watch --listen``: what is asked is as true as the report, and ends with the watch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.listen.test_listener import get
from tests.vm import Vm, wait_until
from tests.watch.conftest import Watcher

Watching = Callable[..., Watcher]


@pytest.fixture
def place() -> Iterator[str]:
    path = f"/tmp/cf-watch-{os.getpid()}.sock"
    yield path
    Path(path).unlink(missing_ok=True)


def test_answer_follows_the_vm_and_ends_with_the_watch(
    vm: Vm, watching: Watching, place: str
) -> None:
    watcher = watching(vm, "--listen", place)
    assert f"launcher: listening on {place}\n" in watcher.said()
    assert (200, b"green: all 21 invariants hold\n") == get(place, "/healthz")
    vm.diverge()
    watcher.until("red")
    assert (503, b"red: 1 of 21 invariants does not hold\n") == get(place, "/healthz")
    assert 0 == watcher.end()
    assert not Path(place).exists()


def test_watch_that_was_killed_leaves_nobody_to_answer(
    vm: Vm, watching: Watching, place: str
) -> None:
    watcher = watching(vm, "--listen", place)
    watcher.process.send_signal(signal.SIGKILL)
    watcher.process.wait()

    def is_gone() -> bool:
        try:
            get(place, "/healthz")
        except OSError:
            return True
        return False

    wait_until(is_gone, "the listener ends")


@pytest.mark.parametrize(
    ("address", "code"), [("0.0.0.0:8080", 2), ("127.0.0.1:port", 2), ("/dev/null", 69)]
)
def test_watch_does_not_begin_where_it_may_not_listen(vm: Vm, address: str, code: int) -> None:
    assert code == vm.run("watch", "--listen", address).returncode
    assert not vm.report_path.exists()
