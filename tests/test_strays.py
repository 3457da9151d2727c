"""Homes of Claude Code that the inventory does not know."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from invariants import mounts, strays
from invariants.finding import Finding
from invariants.model import Account, Link
from invariants.strays import judge_strays
from invariants.warning import Warned
from tests.vm import CHECKOUT, UNPRIVILEGED


class Place:
    """A user's home and a directory of accounts' homes, with one account."""

    def __init__(self, root: Path) -> None:
        self.user, self.homes = root / "user", root / "homes"
        self.home = self.claude(self.homes / "primary", projects=False)
        self.user.mkdir()
        self.links = [Link("projects", str(root / "homes" / "shared" / "projects"))]
        (self.home / "projects").symlink_to(self.links[0].target)

    @staticmethod
    def claude(path: Path, *, mark: str = ".claude.json", projects: bool = True) -> Path:
        """Make a home as Claude Code leaves it."""
        path.mkdir(parents=True)
        (path / mark).touch()
        if projects:
            (path / "projects" / "-src").mkdir(parents=True)
        return path

    def judge(self) -> Finding | None:
        account = Account("primary", str(self.home))
        return judge_strays([account], self.links, str(self.user)).finding


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_machine_with_nothing_else_is_right(place: Place) -> None:
    assert place.judge() is None


@pytest.mark.parametrize("mark", [".claude.json", ".credentials.json", "history.jsonl", "todos"])
@pytest.mark.parametrize("name", ["user/.claude", "user/.claude-old", "homes/other"])
def test_home_with_conversations_of_its_own_is_named(
    place: Place, tmp_path: Path, name: str, mark: str
) -> None:
    stray = place.claude(tmp_path / name, mark=mark)
    finding = place.judge()

    assert finding is not None
    assert ("stray", f"conversations of their own in {stray}") == (finding.state, finding.found)


def test_what_is_no_stray_is_not_named(place: Place, tmp_path: Path) -> None:
    empty = place.claude(place.user / ".claude", projects=False)
    (empty / "projects").mkdir()
    place.claude(place.user / "unrelated")
    (place.user / ".claude-work" / "projects" / "mine").mkdir(parents=True)
    place.claude(place.homes / "shared")  # where the target is
    linked = place.claude(place.homes / "linked", projects=False)
    (linked / "projects").symlink_to(place.links[0].target)
    (place.user / ".claude-alias").symlink_to(place.home)
    (place.homes / "file").touch()

    assert place.judge() is None


def test_home_is_named_once_and_many_are_counted(place: Place) -> None:
    for number in range(5):
        place.claude(place.homes / f"old{number}")
    (place.homes / "zlink").symlink_to(place.homes / "old0")
    finding = place.judge()

    assert finding is not None
    assert f"{place.homes}/old2 and 2 more" == finding.found.rpartition(", ")[2]


def test_link_in_the_place_of_projects_is_no_directory_of_its_own(place: Place) -> None:
    stray = place.claude(place.user / ".claude", projects=False)
    (stray / "projects").symlink_to("projects")
    (place.user / ".claude-loop").symlink_to(".claude-loop")

    assert place.judge() is None


def test_what_cannot_be_read_is_told_apart(place: Place) -> None:
    stray = place.claude(place.user / ".claude")
    stray.chmod(0)
    program = (
        "import sys; from invariants.strays import *; from invariants.model import *;"
        "print(judge_strays([Account('a', sys.argv[1])], [], sys.argv[2]).finding)"
    )
    done = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-c", program, str(place.home), str(place.user)],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    )
    stray.chmod(0o700)

    assert f"  found     unreadable: {stray}\n" in done.stdout


def test_mount_that_does_not_answer_is_named_and_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Say a share that nobody serves any more: whoever looks at it waits for ever."""
    hung, other = place.claude(place.homes / "hung"), place.claude(place.homes / "other")
    (place.homes / "a-link").symlink_to(hung)
    monkeypatch.setattr(strays, "remote_points", lambda: frozenset({str(hung)}))
    look = strays._is_stray

    def waits(path: str, links: Sequence[Link]) -> bool:
        if os.path.realpath(path) == str(hung):
            signal.pause()
        return look(path, links)

    monkeypatch.setattr(strays, "_is_stray", waits)
    account = Account("primary", str(place.home))
    judged = judge_strays([account], place.links, str(place.user))
    assert (str(hung),) == judged.silent
    assert judged.finding is not None
    assert f"conversations of their own in {other}" == judged.finding.found
    warned: list[Warned] = []
    strays.warn_of_silence(judged.silent, warned.append)
    assert [f"{hung} does not answer: whether it is a home was not looked at"] == [
        one.found for one in warned
    ]


def test_home_on_a_mount_that_answers_is_a_stray_like_any_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = place.claude(place.homes / "mounted")
    monkeypatch.setattr(strays, "remote_points", lambda: frozenset({str(mounted), "/"}))
    finding = place.judge()
    assert finding is not None
    assert f"conversations of their own in {mounted}" == finding.found


def test_mounts_that_another_machine_answers_for_are_told_from_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"ext4": 0, "tmpfs": 0, "fuse.sshfs": 1, "fuseblk": 1, "nfs4": 1, "cifs": 1, "9p": 1}
    lines = [f"36 35 0:1 / /mnt/{kind} rw,nodev shared:1 - {kind} x rw\n" for kind in kinds]
    table = tmp_path / "mountinfo"
    table.write_text("".join(lines))
    monkeypatch.setattr(mounts, "TABLE", str(table))
    assert {f"/mnt/{kind}" for kind in kinds if kinds[kind]} == mounts.remote_points()
