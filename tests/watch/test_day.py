"""What Claude Code and its users do all day: the report stays green, and nothing is judged anew."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tests.vm import Vm
from tests.watch.conftest import Watcher
from tests.watch.rich import CONVERSATION, Rich, moved_away, write

Watching = Callable[..., Watcher]
BUSY = 0.1
"""A reader that is held up for so many seconds is on a machine where the watch is so as well."""
LATE = "a change of the VM is not judged yet, though a second is over []"
"""What a green report is then taken back for; nothing else may be said of a healthy VM."""


class Reader:
    """Reads the report all the time, and keeps each verdict that it saw, and why it was so."""

    def __init__(self, vm: Vm) -> None:
        self.seen: set[tuple[str, str]] = set()
        self.longest = 0.0
        """For how many seconds it has not come to read: so busy was the machine."""
        self._path = vm.report_path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _read(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.005):
            self.longest, last = max(self.longest, time.monotonic() - last), time.monotonic()
            report = json.loads(self._path.read_text())["failover"]
            self.seen.add((report["verdict"], f"{report['reason']} {report['failures']}"))


def append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{line}\n")


def five_minutes(rich: Rich, pid: int, number: int) -> None:
    """Do what a VM with a busy session does in five minutes, at once."""
    vm = rich.vm
    for account in vm.accounts:
        home = vm.home(account)
        write(home / ".claude.json", rich.state(account, numStartups=number, tips={"a": number}))
        write(home / ".credentials.json", rich.login(f"{account}, renewed {number} times"))
        write(home / "settings.json", rich.settings(model=f"model-{number}"))
        write(home / "daemon" / "roster.json", {"workers": {}, "updatedAt": number})
        append(home / "history.jsonl", f"{number}")
        append(home / "shell-snapshots" / f"{number % 7}.sh", "true")
        (home / ".claude.json.lock").mkdir()
        (home / ".claude.json.lock").rmdir()
        write(home / "sessions" / f"{2**30 + number % 5}.json", {"sessionId": CONVERSATION})
    rich.note("primary", pid, status=["busy", "idle"][number % 2], sessionId=str(UUID(int=1)))
    append(vm.target("projects") / f"project{number % 9}" / "one.jsonl", "{}")
    append(vm.target("file-history") / f"{number % 9}" / f"{number}@v1", "text")
    (vm.target("session-env") / f"{number}").mkdir()
    for directory in (rich.worktree, rich.docs):
        rules = {"cleanupPeriodDays": 100, "permissions": {"allow": [f"Bash(make {number})"]}}
        write(directory / ".claude" / "settings.local.json", rules)
        append(directory / f"source-{number % 20}.py", "pass")
        (directory / "build").mkdir()
        (directory / "build").rmdir()
    (rich.root / f"download-{number}").mkdir()
    append(vm.user_home / ".bash_history", "make")
    (vm.user_home / f".cache-{number}").mkdir()
    subprocess.run(["/bin/true"], check=True)


MAIN = "import sys; from launcher.__main__ import main; sys.exit(main())"


def test_what_a_look_has_found_waits_for_nothing_else(rich: Rich, watching: Watching) -> None:
    """What else wakes the watch is so rare here that a test would wait in vain for it."""
    rarely = "import launcher.watch.service as service; service._TICK = service.OVERDUE = 600; "
    watcher = watching(rich.vm, program=("-c", rarely + MAIN))
    watcher.until("green")
    with moved_away(rich.vm.home("backup") / ".claude.json"):
        watcher.until("red")


def test_report_that_was_taken_back_for_nothing_is_green_again(
    rich: Rich, watching: Watching
) -> None:
    """A look came so late that the report was taken back, and then the part was as it had been."""
    hasty = "import launcher.watch.service as service; service.OVERDUE = 0; "
    watcher = watching(rich.vm, program=("-c", hasty + MAIN))
    watcher.until("green")
    begun = rich.vm.report["started"]
    write(rich.vm.home("backup") / ".claude.json", rich.state("backup", numStartups=1))
    watcher.wait(lambda: begun < rich.vm.report["started"], "it has been judged anew")
    watcher.until("green")


@pytest.mark.parametrize(
    "rounds", [48, pytest.param(288, marks=pytest.mark.thorough)], ids=["four-hours", "a-day"]
)
def test_busy_healthy_vm_stays_green_and_is_judged_no_more(
    rich: Rich, watching: Watching, rounds: int
) -> None:
    watcher = watching(rich.vm)
    watcher.until("green")
    begun, reader = rich.vm.report["started"], Reader(rich.vm)
    noted = rich.start()
    with reader.reading():
        for number in range(rounds):
            five_minutes(rich, noted, number)
            if number % 12 == 0:  # another session begins, and ends
                other = rich.start("--session-id", str(UUID(int=number + 2)))
                rich.end(other)
    if reader.longest < BUSY:
        assert {("green", "None []")} == reader.seen
        assert begun == rich.vm.report["started"]
    assert {("green", "None []"), ("unknown", LATE)} >= reader.seen
    # What is heard after all that shows that nothing of it is still to come.
    with moved_away(rich.vm.home("backup") / ".claude.json"):
        watcher.until("red")
    watcher.until("green")
