"""A VM under watch: the real ``launcher watch``, told of by what it tells systemd."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.vm import Vm, wait_until
from tests.watch.rich import Rich


@pytest.fixture
def rich(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rich]:
    """Return a VM in which every family has something to read."""
    monkeypatch.setenv("HOME", str(vm.user_home))
    made = Rich(vm)
    yield made
    made.close()


class Watcher:
    """``launcher watch`` for a VM, with a socket in systemd's place."""

    def __init__(
        self,
        vm: Vm,
        *arguments: str,
        cwd: Path | None = None,
        ready: bool = True,
        program: Sequence[str] = ("-m", "launcher"),
    ) -> None:
        self.vm = vm
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"\0claude-failover-test-{vm.root}"[:100]
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.told: list[str] = []
        self.log = vm.root / "watch.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *[sys.executable, *program],
                    *["--inventory", str(vm.inventory), "watch", *arguments],
                ],
                cwd=cwd or vm.root,
                env={**vm.environ, "NOTIFY_SOCKET": f"@{address[1:]}", "WATCHDOG_USEC": "4000000"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if ready:
            self.wait(lambda: "READY=1" in self.messages(), "the watch is ready")

    def messages(self) -> list[str]:
        """Return all that systemd was told so far."""
        with suppress(BlockingIOError):
            while True:
                self.told.append(self.socket.recv(4096).decode())
        return self.told

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until *condition* holds while the watch lives."""

        def holds() -> object:
            assert self.process.poll() is None, self.said()
            return condition()

        wait_until(holds, what)

    def until(self, verdict: str, what: str = "") -> None:
        """Wait until the report says *verdict*."""
        self.wait(lambda: self.verdict == verdict, f"{verdict} {what}: {self.said()}")

    @property
    def verdict(self) -> str | None:
        with suppress(FileNotFoundError):
            return str(self.vm.report["verdict"])
        return None

    def said(self) -> str:
        """Return what it printed."""
        return self.log.read_text()

    def runs(self) -> int:
        """Return how many gates have been published: each has a finish of its own."""
        return int(self.vm.report["finished"] * 1000)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the watch; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.socket.close()
        return code

    @property
    def zygote(self) -> int:
        """The pid of the warm process."""
        (pid,) = children(self.process.pid, "zygote.py")
        return pid

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self) -> int:
        """Return the resident size of watch and warm process in kB."""
        return sum(
            int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])
            for pid in (self.process.pid, self.zygote)
        )


def children(parent: int, word: str) -> list[int]:
    """Return the children of *parent* whose command line holds *word*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if above == parent and word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.fixture
def watching() -> Iterator[Callable[..., Watcher]]:
    """Return what starts a watch; all are ended with the test."""
    made: list[Watcher] = []

    def make(vm: Vm, *arguments: str, **more: object) -> Watcher:
        made.append(Watcher(vm, *arguments, **more))  # type: ignore[arg-type]  # passed through
        return made[-1]

    yield make
    for watcher in made:
        watcher.end()  # not killed: what it covered would be lost
