"""The process backend: its records, its logs, and what a record must not be mistaken for."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import Unavailable
from launcher.processes import identify
from tests.sessions.keeper import Keeper
from tests.vm import CHECKOUT, Vm, wait_until


@pytest.fixture
def keeper(vm: Vm) -> Keeper:
    """Return a keeper of the process backend."""
    return Keeper(vm, "process")


def record_of(keeper: Keeper) -> Path:
    return keeper.vm.state / "sessions" / "work.json"


def change(record: Path, **keys: Any) -> None:
    record.write_text(json.dumps({**json.loads(record.read_text()), **keys}))


@contextmanager
def no_space() -> Iterator[None]:
    """Let every write to a file fail, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_log_and_record_are_the_user_s_alone(keeper: Keeper) -> None:
    before = os.umask(0)
    try:
        keeper.start("work")
    finally:
        os.umask(before)
    directory = keeper.vm.state / "sessions"
    assert 0o700 == directory.stat().st_mode & 0o777
    assert 0o600 == (directory / "work.log").stat().st_mode & 0o777


def test_session_reads_nothing_and_writes_into_its_log(keeper: Keeper) -> None:
    script = "echo one; echo two >&2; cat; echo three"
    keeper.start("work", "sh", "-c", script)
    keeper.dead()
    assert "one\ntwo\nthree\n" == (keeper.vm.state / "sessions" / "work.log").read_text()
    keeper.start("other")
    assert os.devnull == keeper.seen("other")["stdin"]


def test_log_of_an_earlier_run_is_kept(keeper: Keeper) -> None:
    for words in ("first run", "second run"):
        keeper.start("work", "echo", words)
        keeper.backend.discard(keeper.dead())
    log = keeper.vm.state / "sessions" / "work.log"
    assert "first run\nsecond run\n" == log.read_text()


def test_log_that_leads_elsewhere_is_not_written(keeper: Keeper) -> None:
    elsewhere = keeper.vm.root / "elsewhere"
    record_of(keeper).parent.mkdir(parents=True)
    record_of(keeper).with_suffix(".log").symlink_to(elsewhere)
    with pytest.raises(Unavailable, match="cannot be started"):
        keeper.start("work")
    assert not elsewhere.exists()


def test_stranger_with_a_recycled_pid_is_no_session(keeper: Keeper) -> None:
    keeper.start("work")
    keeper.seen()
    own = identify(os.getpid())
    assert own is not None
    change(record_of(keeper), pid=own.pid)
    assert not keeper.kept().alive
    keeper.inventory("work")
    assert [("work", "stopped")] == keeper.down()


def test_record_of_an_earlier_boot_is_no_session(keeper: Keeper) -> None:
    keeper.start("work")
    assert keeper.kept().alive
    change(record_of(keeper), boot_id="00000000-0000-0000-0000-000000000000")
    assert not keeper.kept().alive


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pid": 1}', "\0" * 200, "é", "directory"], ids=repr
)
@pytest.mark.sampled(2)
def test_record_that_cannot_be_read_lets_nothing_start(keeper: Keeper, content: str) -> None:
    keeper.inventory("work", "other")
    keeper.start("work")
    seen = keeper.seen()
    record_of(keeper).unlink()
    if content == "directory":
        record_of(keeper).mkdir()
    else:
        record_of(keeper).write_text(content)
    done = keeper.vm.run("up")
    assert 69 == done.returncode
    report = keeper.vm.report["sessions"]
    assert ["failed", "failed"] == [session["state"] for session in report]
    assert str(record_of(keeper)) in report[0]["detail"]
    assert [f"seen-{seen['pid']}.json"] == [path.name for path in keeper.witnesses()]
    assert [seen["pid"]] == keeper.vm.processes()


def test_session_whose_record_has_no_place_does_not_run(keeper: Keeper) -> None:
    record_of(keeper).with_suffix(".new").mkdir(parents=True)
    with pytest.raises(Unavailable, match="cannot be started"):
        keeper.start("work")
    wait_until(lambda: not keeper.vm.processes(), "what was started for it ends")
    assert [] == keeper.witnesses()
    assert [] == keeper.backend.kept()


def test_session_is_not_started_on_a_full_disk(keeper: Keeper) -> None:
    with no_space(), pytest.raises(Unavailable, match="cannot be started"):
        keeper.start("work")
    wait_until(lambda: not keeper.vm.processes(), "what was started for it ends")
    assert [] == keeper.witnesses()
    assert [] == keeper.backend.kept()
    keeper.start("work")
    assert keeper.seen()["pid"] == keeper.kept().process.pid


_KILLED = """\
import os, signal, sys
from pathlib import Path
from launcher.sessions.process import ProcessBackend
from tests.sessions.keeper import Keeper
from tests.vm import Vm

def killed(*arguments):
    {before}
    os.kill(os.getpid(), signal.SIGKILL)

record = ProcessBackend._record
ProcessBackend._record = killed
class Same(Vm):
    def __init__(self, root):
        self.root, self.state = root, root / "state"
        self.environ, self.inventory = dict(os.environ), root / "failover.toml"
Keeper(Same(Path(sys.argv[1])), "process").start("work")
"""


@pytest.mark.parametrize("before", ["pass", "record(*arguments)"], ids=["before", "after"])
@pytest.mark.thorough
def test_launcher_killed_at_the_record_leaves_no_program(keeper: Keeper, before: str) -> None:
    script = _KILLED.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", script, str(keeper.vm.root)],
        env=keeper.environ,
        cwd=CHECKOUT,
        check=False,
    )
    assert -signal.SIGKILL == done.returncode
    wait_until(
        lambda: not any(kept.alive for kept in keeper.backend.kept()) and not keeper.vm.processes(),
        "the shell that waits for its record ends",
    )
    assert [] == keeper.witnesses()
    keeper.inventory("work")
    assert 0 == keeper.vm.run("up").returncode
    assert keeper.kept().alive


def test_sessions_directory_that_cannot_be_read_is_told_of(keeper: Keeper) -> None:
    keeper.vm.state.mkdir()
    (keeper.vm.state / "sessions").write_text("a file")
    with pytest.raises(Unavailable, match="sessions"):
        keeper.backend.kept()


def test_program_that_is_gone_since_the_look_is_told_with_its_words(keeper: Keeper) -> None:
    program = keeper.vm.root / "program"
    program.write_text(f"#!{program}-interpreter\n")
    program.chmod(0o700)
    keeper.start("work", str(program))
    dead = keeper.dead()
    assert dead.ending in ("exited with status 126", "exited with status 127")
    assert "program" in (keeper.backend.words(dead) or "")


def test_words_of_a_session_without_a_log_are_none(keeper: Keeper) -> None:
    keeper.start("work", "true")
    dead = keeper.dead()
    record_of(keeper).with_suffix(".log").unlink()
    assert keeper.backend.words(dead) is None
