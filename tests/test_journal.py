"""The journal as the place for output: entries with a priority, and only where it is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.journal import Entry, Priority, is_journal, lines
from launcher.output import Output
from tests.vm import Vm


def stream(path: Path) -> dict[str, str]:
    """Return what systemd tells a service whose output goes to *path*."""
    status = path.stat()
    return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}


def test_file_that_the_variable_names_is_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("w") as file:
        assert is_journal(file.fileno(), stream(path))
        assert not is_journal(file.fileno(), {})
        assert not is_journal(0, stream(path))


def test_closed_descriptor_is_no_journal() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    assert not is_journal(writer, {"JOURNAL_STREAM": "1:1"})


def test_entry_is_one_line_with_its_priority() -> None:
    entries = [Entry(Priority.ERROR, "a\nb"), Entry(Priority.INFO, "c")]
    assert "<3>'a\\nb'\n<6>c\n" == lines(entries)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    path.touch()
    return path


def told(vm: Vm, journal: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run the launcher with its output in *journal*; return its code, and the entries."""
    with journal.open("w") as file:
        done = vm.run(*arguments, environ=stream(journal), stdout=file, stderr=file)
    return done.returncode, journal.read_text().splitlines()


def test_every_failure_of_a_red_gate_is_an_error_of_its_own(vm: Vm, journal: Path) -> None:
    vm.write({"api": ["sleep", "600"]})
    vm.diverge()
    vm.entry("primary", "file-history").unlink()
    code, entries = told(vm, journal, "up")
    errors = [entry for entry in entries if entry.startswith("<3>")]
    assert (1, 2) == (code, len(errors))
    for place, found in (("primary file-history: missing", "nothing"), ("backup projects", "sym")):
        (error,) = (error for error in errors if error.startswith(f"<3>{place}"))
        assert f"; found {found}" in error
        assert "; fix: " in error
    assert "<6>session api of primary: held" in entries
    assert "<4>red: 2 of 24 invariants do not hold; nothing was started" == entries[-1]


def test_green_gate_has_no_error(vm: Vm, journal: Path) -> None:
    code, entries = told(vm, journal, "check")
    assert (0, ["<5>green: all 21 invariants hold"]) == (code, entries)


def test_session_that_does_not_come_up_is_an_error_without_its_words(vm: Vm, journal: Path) -> None:
    vm.write({"api": ["sh", "-c", "echo secret; exit 3"]})
    code, entries = told(vm, journal, "up")
    assert (69, "<3>session api of primary: failed: it exited with status 3") == (code, entries[0])
    assert not any("secret" in entry for entry in entries)


def test_unknown_and_messages_are_errors(vm: Vm, journal: Path) -> None:
    (vm.root / "report").mkdir()
    vm.write(report=str(vm.root / "report"))
    code, entries = told(vm, journal, "check")
    assert 70 == code
    assert entries[-1].startswith("<3>unknown: the report cannot be published: ")
    vm.inventory.write_text("speling = 1\n[accounts]\n")
    code, entries = told(vm, journal, "check")
    assert 78 == code
    assert 2 <= len(entries)
    assert all(entry.startswith("<3>") for entry in entries)


def test_json_stays_json_in_the_journal(vm: Vm, journal: Path) -> None:
    _, entries = told(vm, journal, "check", "--json")
    assert "{" == entries[0]


@pytest.mark.parametrize("broken", [False, True], ids=["green", "red"])
@pytest.mark.thorough
def test_warning_is_an_entry_of_its_own_below_the_verdict(
    vm: Vm, journal: Path, broken: bool
) -> None:
    vm.write({"old": ["sleep", "600"], "api": ["sleep", "600"]})
    vm.run("up")
    vm.write({"api": ["sleep", "600"]})
    if broken:
        vm.diverge()
    code, entries = told(vm, journal, "check")
    verdict, warning = entries[-2:]
    assert (int(broken), "<4>red: " if broken else "<5>green") == (code, verdict[:8])
    assert warning.startswith("<4>warning: session old: it runs, but the inventory does not name")
    assert warning.endswith(f"; fix: launcher down old --inventory {vm.inventory}")


def test_message_of_a_warning_is_no_error_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    with path.open("w") as file:
        monkeypatch.setattr("sys.stderr", file)
        for name, value in stream(path).items():
            monkeypatch.setenv(name, value)
        Output().message("warning: a")
        Output().message("warning: a", is_error=False)
    assert "<3>warning: a\n<4>warning: a\n" == path.read_text()
