"""Looks at what has changed: what counts and is another has a gate run, whatever else does not."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator

import pytest

from invariants.declared import counted
from invariants.inventory import load
from invariants.judges import Judges
from launcher.early import gate_environment
from launcher.watch.changes import Changes
from launcher.watch.glances import Glances
from launcher.watch.subjects import Concern, subjects
from tests.vm import wait_until
from tests.watch.rich import Rich, write


class Look:
    """The glances at a VM, without a watch around them."""

    def __init__(self, rich: Rich) -> None:
        self.inventory = load(str(rich.vm.inventory))
        self.environ = gate_environment(rich.vm.environ)
        self.changes = Changes()
        look = self.changes.look(subjects(self.inventory, self.environ))
        assert select.select([look.descriptor], [], [], 20)[0]
        self.changes.settle(look)
        look.end()
        self.glances = Glances(self.changes, self.environ)
        self.parts = counted(self.inventory, self.environ, Judges(self.inventory))
        self.glances.begin()
        assert self.glances.judged(self.parts) is None

    def hear(self) -> frozenset[str]:
        """Touch what has changed; return it."""
        parts = self.changes.take() - frozenset(Concern)
        self.glances.touch(parts)
        return parts

    def looked(self) -> float | None:
        """Look at what was touched, and return what came of it."""
        found: list[float | None] = []

        def is_over() -> bool:
            found.append(self.glances.turn(self.inventory, may_begin=True))
            return not self.glances.descriptors and self.glances.limit is None

        wait_until(is_over, "it has been looked at")
        return next((at for at in found if at is not None), None)

    def close(self) -> None:
        self.glances.close()
        self.changes.close()


@pytest.fixture
def look(rich: Rich) -> Iterator[Look]:
    made = Look(rich)
    yield made
    made.close()


def test_part_that_stays_counts_for_nothing(rich: Rich, look: Look) -> None:
    before = time.monotonic()
    path = rich.vm.home("backup") / ".claude.json"
    for number in range(3):  # the file is watched anew each time
        write(path, rich.state("backup", numStartups=number))
        assert {"login_is_its_own backup", "session_can_start_unattended backup"} < look.hear()
        assert look.looked() is None
    os.link(path, rich.root / "second")
    assert {"login_is_isolated backup .claude.json"} <= look.hear()
    assert (at := look.looked()) is not None
    assert before < at < time.monotonic()


@pytest.mark.parametrize(
    "change",
    [
        lambda rich: rich.state("backup", projects={}),
        lambda rich: rich.state("backup", oauthAccount={"accountUuid": "another"}),
        lambda rich: "no JSON",
        lambda rich: '{"' + "x" * 40_000_000 + '": 1}',
    ],
    ids=["trust", "login", "no-json", "too-large"],
)
def test_part_that_is_another_counts(
    rich: Rich, look: Look, change: Callable[[Rich], object]
) -> None:
    write(rich.vm.home("backup") / ".claude.json", change(rich))
    look.hear()
    assert look.looked() is not None


def test_what_cannot_be_looked_at_in_time_counts(
    rich: Rich, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that hangs holds up a process that is given up on, and nobody else."""
    monkeypatch.setattr("launcher.watch.glances.counted", lambda *_: time.sleep(600))
    write(rich.vm.home("backup") / ".claude.json", rich.state("backup"))
    look.hear()
    begun = time.monotonic()
    assert look.looked() is not None
    assert time.monotonic() - begun < 10


def test_what_a_gate_has_seen_otherwise_counts(rich: Rich, look: Look) -> None:
    """It changed while the gate ran, and back again: the gate may have judged what is no more."""
    part = "login_is_its_own backup"
    look.glances.begin()
    write(rich.vm.home("backup") / ".claude.json", rich.state("backup"))
    assert part in look.hear()
    assert look.looked() is None
    assert look.glances.judged({**look.parts, part: "another"}) is not None


def test_without_a_judgement_each_change_counts(rich: Rich, look: Look) -> None:
    look.glances.begin()
    assert look.glances.judged({}) is None
    write(rich.vm.home("backup") / ".claude.json", rich.state("backup"))
    look.hear()
    assert look.looked() is not None


def test_directory_that_may_become_a_home_is_watched_once_it_is_there(
    rich: Rich, look: Look
) -> None:
    new = rich.root / "new"
    new.mkdir()
    assert {"no_home_is_left_out strays"} == look.hear()
    assert look.looked() is None
    (new / "projects").mkdir()
    assert {"no_home_is_left_out strays"} == look.hear()
    assert look.looked() is None
    (new / "projects" / "-src").mkdir()
    look.hear()
    assert look.looked() is None
    (new / "todos").mkdir()
    assert {"no_home_is_left_out strays"} == look.hear()
    assert look.looked() is not None


def test_patient_part_waits_and_a_hasty_one_hurries_it(rich: Rich, look: Look) -> None:
    (part,) = look.changes.processes
    look.glances.touch({part}, 600)
    assert look.glances.turn(look.inventory, may_begin=True) is None
    assert [] == look.glances.descriptors
    look.glances.touch({part})
    assert look.looked() is None
