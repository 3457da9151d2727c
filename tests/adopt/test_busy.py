"""Who counts as at work in a home or a target, and who does not."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.adopt import busy
from launcher.adopt.busy import Premises, Tenant
from launcher.errors import NotJudged
from launcher.processes import identify
from tests.adopt.world import EveryoneBut, World, at_work
from tests.vm import CHECKOUT, wait_until

Start = Callable[..., subprocess.Popen[bytes]]

_UNDUMPABLE = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)"
_READY = "print(flush=True); input()"


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts Python code, which then waits, and returns when it does."""
    started: list[subprocess.Popen[bytes]] = []

    def run(code: str = "", **options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-IS", "-c", f"{code}\n{_READY}"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        names = {**pipes, **options}
        process = subprocess.Popen(command, **names)  # type: ignore[call-overload]  # any options
        started.append(process)
        process.stdout.readline()
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def premises(tmp_path: Path) -> Premises:
    for name in ("home", "target", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "target" / "f").write_text("content")
    return Premises([str(tmp_path / "home")], [str(tmp_path / "target")])


def why(premises: Premises, process: subprocess.Popen[bytes]) -> str | None:
    return at_work(premises, EveryoneBut(process.pid)).get(process.pid)


def test_file_that_was_replaced_tells_while_it_has_no_name(
    premises: Premises, start: Start, tmp_path: Path
) -> None:
    """Its number is free then, and the next file that anybody makes may have it."""
    file = tmp_path / "elsewhere" / "f"
    file.touch()
    status = file.stat()
    there = Premises((), premises.directories, replaced={(status.st_dev, status.st_ino)})
    process = start(f"f = open({str(file)!r})")
    assert why(there, process) is None
    file.unlink()
    assert f"it has {file} (deleted) open" == why(there, process)


def test_configuration_directory_tells(premises: Premises, start: Start, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tmp_path / "home")
    for value in (str(tmp_path / "home"), str(tmp_path / "alias"), "home/."):
        process = start(env={"CLAUDE_CONFIG_DIR": value}, cwd=tmp_path)
        assert (why(premises, process) or "").startswith("its CLAUDE_CONFIG_DIR is")
    other = start(env={"CLAUDE_CONFIG_DIR": str(tmp_path / "elsewhere")})
    assert why(premises, other) is None


def test_open_file_working_directory_and_mapped_file_tell(
    premises: Premises, start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "target" / "f"
    opened = start(f"import sys; sys.stdout.flush(); f = open({str(file)!r})")
    assert f"it has {file} open" == why(premises, opened)
    inside = start(cwd=tmp_path / "target")
    assert f"it works in {tmp_path / 'target'}" == why(premises, inside)
    code = f"import mmap, os; d = os.open({str(file)!r}, 0); "
    mapped = start(code + "m = mmap.mmap(d, 0, prot=mmap.PROT_READ); os.close(d)")
    assert why(premises, mapped) is not None


def test_file_that_is_open_by_another_path_tells(
    premises: Premises, start: Start, tmp_path: Path
) -> None:
    os.link(tmp_path / "target" / "f", tmp_path / "elsewhere" / "f")
    process = start(f"f = open({str(tmp_path / 'elsewhere' / 'f')!r})")
    assert why(premises, process) is None
    status = (tmp_path / "target" / "f").stat()
    known = Premises(premises.homes, premises.directories, {(status.st_dev, status.st_ino)})
    assert why(known, process) is not None


def test_note_of_a_session_tells_while_its_process_lives(
    premises: Premises, start: Start, tmp_path: Path
) -> None:
    process = start()
    identity = identify(process.pid)
    assert identity is not None
    notes = tmp_path / "home" / "sessions"
    notes.mkdir()
    note = notes / f"{process.pid}.json"
    (notes / "999999999.json").write_text("{}")
    (notes / "other.txt").write_text("")
    cases: list[tuple[str, bool]] = [
        (json.dumps({"pid": process.pid, "procStart": str(identity.start)}), True),
        (json.dumps({"pid": process.pid, "procStart": identity.start}), True),
        (json.dumps({"pid": process.pid, "procStart": str(identity.start + 1)}), False),
        (json.dumps({"pid": process.pid}), True),
        ("torn", True),
        ("[]", True),
    ]
    for text, counts in cases:
        note.write_text(text)
        assert counts is (why(premises, process) is not None), text
    process.kill()
    process.wait()
    note.write_text(cases[0][0])
    assert why(premises, process) is None


def test_process_that_cannot_be_read_counts(premises: Premises, start: Start) -> None:
    """It made itself undumpable (prctl(2)): root alone, with its capability, can look into it."""
    become = "import os; os.setresuid(12345, 12345, 12345)" if os.geteuid() == 0 else ""
    process, of_others = start(f"import ctypes\n{become}\n{_UNDUMPABLE}"), start(_UNDUMPABLE)
    code = f"""from tests.adopt.world import *
{become}
with Interrupts() as interrupts:
    found = tenants(Premises([], {premises.directories}), (), interrupts)
print(*[one.pid for one in found if one.is_shut])"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, check=True
    )
    pids = [int(word) for word in result.stdout.split()]
    assert process.pid in pids
    assert (of_others.pid in pids) is (os.geteuid() != 0), "other users' processes do not count"


def test_process_list_that_cannot_be_read_is_not_an_empty_one(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the system has no descriptor left: not to see anybody is not to see nobody."""

    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr(busy, "open", full, raising=False)
    with pytest.raises(NotJudged, match="Too many open files"):
        at_work(premises)


def test_one_command_overlooks_all_that_cannot_be_looked_into(tmp_path: Path) -> None:
    """Pasted as it is, it leads on: it forgets nobody who was overlooked before."""
    shut = [Tenant(pid, "sshd", "what it has open cannot be read", is_shut=True) for pid in (7, 8)]
    found = [*shut, Tenant(9, "claude", "its CLAUDE_CONFIG_DIR is /home/x")]
    fixes = [one.fix for one in World(tmp_path).subject.busy(found, {1}, "--keep-both")]
    command = "launcher adopt backup projects --keep-both --ignore-process 1 --ignore-process 7"
    command += " --ignore-process 8"
    assert [command] * 2 == [fix.partition("in it): ")[2] for fix in fixes[:2]]
    assert fixes[2].endswith(f"{command} --ignore-process 9")


def test_ignored_process_does_not_count(premises: Premises, start: Start, tmp_path: Path) -> None:
    process = start(cwd=tmp_path / "target")
    assert why(premises, process) is not None
    assert process.pid not in at_work(premises, {process.pid})


def test_process_that_ended_does_not_count(
    premises: Premises, start: Start, tmp_path: Path
) -> None:
    process = start(cwd=tmp_path / "target")
    process.kill()
    wait_until(
        lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z",
        "it is a zombie",
    )
    assert why(premises, process) is None
