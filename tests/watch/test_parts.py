"""The watch's small parts, each by itself."""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from invariants.inventory import load
from invariants.mounts import mount_point
from launcher.sessions import SessionState, SessionStatus
from launcher.watch import mounts
from launcher.watch.changes import Changes
from launcher.watch.mounts import Mounts, at
from launcher.watch.notify import Notify
from launcher.watch.starts import BURST, Starts
from launcher.watch.subjects import Concern, Subject, subjects
from launcher.watch.trace import trace
from tests.documents import WHOLE, changed, problems
from tests.vm import Vm


@pytest.fixture
def changes() -> Iterator[Changes]:
    made = Changes()
    yield made
    made.close()


def watch(changes: Changes, *some: Subject) -> None:
    look = changes.look(some)
    try:
        assert select.select([look.descriptor], [], [], 20)[0]
        changes.settle(look)
    finally:
        look.end()


def test_way_to_a_path_is_watched_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "real" / "home").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "loop").symlink_to("loop")
    seen: list[str] = []

    def add(path: str, mask: int) -> int:
        if path not in seen:
            seen.append(path)
        return seen.index(path)

    made = trace([Subject(str(tmp_path / "link" / ".." / "link" / "home"))], add)
    names = {seen[number]: set(names) for number, names in made.names.items()}
    assert {"link", "real"} == names[str(tmp_path)]
    assert {"home"} == names[str(tmp_path / "real")]
    assert {""} == names[str(tmp_path / "real" / "home")]
    assert {"/", str(tmp_path), str(tmp_path / "real" / "home")} <= made.places
    trace([Subject(str(tmp_path / "loop"))], add)
    trace([Subject(str(tmp_path / "missing" / "below"))], add)
    assert str(tmp_path / "missing") not in seen


def test_directory_that_cannot_be_watched_is_told_only_if_there_is_no_room() -> None:
    for number, told in ((errno.ENOSPC, True), (errno.EACCES, False)):

        def add(path: str, mask: int, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        made = trace([Subject("/etc/passwd", content=True)], add)
        assert told == (made.blind is not None)


def test_changes_are_told_by_what_they_concern(tmp_path: Path, changes: Changes) -> None:
    file, home = tmp_path / "failover.toml", tmp_path / "home"
    file.touch()
    home.mkdir()
    watch(changes, Subject(str(file), Concern.INVENTORY, content=True), Subject(str(home)))
    assert frozenset() == changes.take()
    (tmp_path / "other").touch()
    (home / "inside").touch()
    assert frozenset() == changes.take()
    file.write_text("x")
    assert {Concern.INVENTORY} == changes.take()
    home.chmod(0o700)
    assert {Concern.VM} == changes.take()
    (home / "inside").unlink()
    assert frozenset() == changes.take()
    home.rmdir()
    assert {Concern.VM} == changes.take()
    assert changes.blind is None


def test_file_that_is_changed_by_another_name_is_heard_of(tmp_path: Path, changes: Changes) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    file, second = tmp_path / "one" / "file", tmp_path / "other" / "file"
    file.touch()
    watch(changes, Subject(str(file), content=True))
    second.hardlink_to(file)
    assert {Concern.VM} == changes.take()
    second.write_text("x")
    assert {Concern.VM} == changes.take()
    second.chmod(0o600)
    assert {Concern.VM} == changes.take()


def test_names_of_a_directory_are_heard_of_and_what_is_written_there_is_not(
    tmp_path: Path, changes: Changes
) -> None:
    plain, full = tmp_path / "plain", tmp_path / "full"
    for directory in (plain, full):
        directory.mkdir()
        (directory / "file").touch()
    some = [Subject(str(plain), "names", names=True), Subject(str(full), "content", content=True)]
    watch(changes, *some, Subject(str(plain / "other"), "other", content=True))
    for directory in (plain, full):
        (directory / "file").write_text("x")
    assert {"content"} == changes.take()
    for directory in (plain, full):
        (directory / "new").touch()
    assert {"content", "names"} == changes.take()
    (plain / "other").touch()
    assert {"other", "names"} == changes.take()


def test_watches_that_are_no_longer_needed_are_let_go(tmp_path: Path, changes: Changes) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    watch(changes, Subject(str(one)), Subject(str(other)))
    both = len(changes._watched)
    one.rmdir()
    watch(changes, Subject(str(other)))
    assert both - 1 == len(changes._watched)
    assert frozenset() == changes.take()


def test_mounts_wake_and_only_those_on_the_way_count(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    table, place = Mounts(), tmp_path / "a b"
    place.mkdir()
    before = mounts.table()
    subprocess.run(["mount", "--bind", tmp_path, place], check=True)
    try:
        assert select.select([table.fileno()], [], [], 10)[0]
        table.take()
        assert not select.select([table.fileno()], [], [], 0)[0]
        now = mounts.table()
        assert [str(place)] == [mount_point(line) for line in now if line not in before]
        assert () == at(now, {str(tmp_path)}) == at(before, {str(place)})
        assert 1 == len(at(now, {str(place)}))
    finally:
        subprocess.run(["umount", place], check=True)
        table.close()


def test_systemd_is_told_by_its_protocol(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"})
        assert 1.0 == notify.watchdog
        notify.ready()
        notify.ready()
        notify.status("two\nlines")
        notify.status("two\nlines")
        notify.alive()
        notify.stopping()
        told = [listener.recv(100).decode() for _ in range(4)]
        assert ["READY=1", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"] == told


def test_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    assert Notify({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}).watchdog is None
    silent = Notify({})
    silent.ready()
    assert silent.watchdog is None
    Notify({"NOTIFY_SOCKET": str(tmp_path / "nowhere")}).ready()


def stopped(name: str) -> SessionStatus:
    return SessionStatus(name, "primary", SessionState.STOPPED, None)


def test_session_is_started_a_few_times_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("launcher.watch.starts.monotonic", lambda: now[0])
    starts = Starts()
    for _ in range(BURST):
        assert ["api"] == starts.due([stopped("api")])
        starts.note(["api"])
        now[0] += 1
    assert [] == starts.due([stopped("api")])
    now[0] += 1_000_000
    assert (["web"], ["api"]) == (
        starts.due([stopped("api"), stopped("web")]),
        starts.given_up([stopped("api"), stopped("web")]),
    )
    starts.forget()
    assert ["api"] == starts.due([stopped("api")])
    starts.note(["api"])
    now[0] += 3600  # it has lasted
    for _ in range(BURST):
        assert ["api"] == starts.due([stopped("api")])
        starts.note(["api"])
    assert [] == starts.due([stopped("api")])


def test_subjects_are_all_that_the_inventory_names(vm: Vm) -> None:
    vm.write({"api": ["/bin/sleep", "600"], "web": ["sleep", "600"]})
    found = list(subjects(load(str(vm.inventory)), vm.environ))
    by_path = {subject.path: subject for subject in found}
    assert by_path[str(vm.home("backup") / ".config.json")].content
    assert by_path[str(vm.inventory)].content
    assert Concern.REPORT == by_path[str(vm.report_path)].about
    expected = {vm.home("primary"), vm.entry("backup", "projects"), vm.target("projects"), vm.root}
    assert {*map(str, expected), "/bin/sleep"} <= set(by_path)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("interval", 0, "watch.interval: must be above 0 and at most 3600 seconds, not 0"),
        ("debounce", 1, "watch.debounce: must be from 0 and at most 0.5 seconds, not 1"),
        ("on_change", [], "watch.on_change: must not be empty"),
        (
            "on_change",
            ["mail"],
            "watch.on_change[0]: must be the full path of a program, not 'mail'",
        ),
        ("on_chang", ["/x"], "watch.on_chang: unknown key; did you mean on_change?"),
    ],
)
def test_table_of_the_watch_is_validated(key: str, value: object, problem: str) -> None:
    assert [problem] == problems({**WHOLE, "watch": {key: value}})
    assert "watch" not in changed("launcher.timeout", 3)


def test_inotify_is_what_it_is_taken_for(tmp_path: Path) -> None:
    """One descriptor for one inode, however it is reached: what the trace builds on."""
    (tmp_path / "link").symlink_to(tmp_path)
    with INotify() as inotify:
        assert inotify.add_watch(tmp_path, 0x100) == inotify.add_watch(tmp_path / "link", 0x100)
