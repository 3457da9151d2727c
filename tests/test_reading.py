"""What a report is taken for: only what is whole, fresh, of this boot and inventory counts."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from launcher.processes import identify
from launcher.reading import UNKNOWN, matrix_of
from launcher.verdict import Colour
from tests.formats.conftest import documents, told
from tests.formats.told import Told

__all__ = ["documents", "told"]

Document = dict[str, Any]
EDITED = "the inventory or an own invariant has been edited since: run launcher check"


def key(**changes: Any) -> Callable[[Document], None]:
    return lambda document: document["failover"].update(changes)


def without(name: str) -> Callable[[Document], None]:
    return lambda document: document["failover"].pop(name)


def test_green_counts(told: Told) -> None:
    told.case("green")
    reading = told.reading()
    assert (Colour.GREEN, None, 0) == (reading.verdict, reading.problem, reading.code)
    assert {"primary": None, "backup": None} == matrix_of(reading).homes


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (key(boot_id="another"), "before the last reboot"),
        (key(finished=time.time() + 9999), "from the future"),
        (key(inventory="/etc/o\nther.toml"), "another inventory: '/etc/o\\nther.toml'"),
        (key(passed=13), "says green, but that 13 of 24 checks passed"),
        (key(expected=25), "says green, but that 24 of 25 checks passed"),
        (key(expected=0, passed=0), "says green, but that 0 of 0 checks passed"),
        (key(keeper={"pid": 4194304, "start": 1}), "launcher watch that kept it true has ended"),
        (key(keeper={"pid": os.getpid(), "start": 1}), "has ended"),
    ],
)
def test_green_that_cannot_be_is_unknown(
    told: Told, change: Callable[[Document], None], problem: str
) -> None:
    document = told.document("green")
    change(document)
    told.tell(document)
    reading = told.reading()
    assert (Colour.UNKNOWN, 70) == (reading.verdict, reading.code)
    assert problem in str(reading.problem)
    assert {UNKNOWN} == set(matrix_of(reading).homes.values())


@pytest.mark.parametrize(
    "change",
    [
        *map(without, ("verdict", "finished", "started", "failures", "sessions", "host", "reason")),
        *(key(verdict="purple"), key(verdict=["green"]), key(finished="now"), key(finished=True)),
        *(
            key(finished=math.nan),
            key(started=math.inf),
            key(failures=[{}]),
            key(failures={"a": 1}),
        ),
        *(key(sessions=[{"name": "a"}]), key(sessions="abc"), key(host=1), key(reason=5)),
        *(key(keeper={}), key(keeper="me"), key(inventory=None), key(failures=7)),
        key(sessions=[{"name": "a", "account": "b", "state": "lost", "detail": None}]),
        lambda document: document.update(tests=[{"outcome": "passed"}]),
        lambda document: document.update(tests=["green"]),
        lambda document: document.update(tests=7),
        lambda document: document["tests"][0]["call"].update(duration="long"),
    ],
)
def test_what_is_no_report_is_unknown(told: Told, change: Callable[[Document], object]) -> None:
    document = told.document("green")
    change(document)
    told.tell(document)
    reading = told.reading()
    assert Colour.UNKNOWN is reading.verdict
    assert f"not a report of this version: {told.vm.report_path}" == reading.problem


@pytest.mark.parametrize("content", ["", "[]", "{", '{"failover": 1}', "[" * 100_000, "\0\xff"])
def test_what_is_no_json_of_ours_is_unknown(told: Told, content: str) -> None:
    told.vm.state.mkdir()
    told.vm.report_path.write_bytes(content.encode("latin-1"))
    assert Colour.UNKNOWN is told.reading().verdict
    assert told.reading().problem


def test_keeper_that_lives_is_no_problem(told: Told) -> None:
    document = told.document("green")
    keeper = identify(os.getpid())
    assert keeper is not None
    document["failover"]["keeper"] = {"pid": keeper.pid, "start": keeper.start}
    told.tell(document)
    assert Colour.GREEN is told.reading().verdict


@pytest.mark.parametrize("outcome", ["failed", "skipped", None])
def test_green_without_a_pass_for_every_check_is_unknown(told: Told, outcome: str | None) -> None:
    document = told.document("green")
    if outcome is None:
        del document["tests"][0]
    else:
        document["tests"][0]["outcome"] = outcome
    told.tell(document)
    assert "it does not tell of test_home_is_usable[primary]" in str(told.reading().problem)


def test_account_that_was_added_since_makes_green_unknown(told: Told) -> None:
    told.case("green")
    told.vm.accounts.append("third")
    told.vm.write({"api": ["sleep", "600"]})
    reading = told.reading()
    assert Colour.UNKNOWN is reading.verdict
    assert "test_home_is_usable[third], which the inventory calls for by now" in str(
        reading.problem
    )


def test_red_of_an_edited_inventory_does_not_count_either(told: Told) -> None:
    told.case("red")
    matrix = matrix_of(told.reading())
    assert ("divergent", None) == (matrix.entries["backup"]["projects"], matrix.homes["primary"])
    assert (False, True) == (
        matrix.reached("backup", "projects"),
        matrix.reached("primary", "projects"),
    )
    told.vm.accounts.append("third")
    told.vm.write({"api": ["sleep", "600"]})
    reading = told.reading()
    matrix = matrix_of(reading)
    assert (Colour.RED, Colour.UNKNOWN) == (reading.said, reading.verdict)
    assert EDITED == reading.problem
    assert {UNKNOWN} == {state for row in matrix.entries.values() for state in row.values()}
    assert matrix.reached("backup", "projects") is None


def test_report_of_a_version_without_demands_does_not_count(told: Told) -> None:
    for colour in ("green", "red"):
        document = told.document(colour)
        del document["failover"]["demands"]
        told.tell(document)
        problem = "it is of a version that does not say what the inventory demanded"
        assert f"{problem}: run launcher check" == told.reading().problem


def test_unknown_keeps_its_reason_whatever_was_edited_since(told: Told) -> None:
    told.case("unknown")
    told.vm.write({"web": ["sleep", "600"]})
    reading = told.reading()
    assert (Colour.UNKNOWN, None) == (reading.verdict, reading.problem)
    assert "hung at backup projects" in reading.summary


def test_key_that_this_version_does_not_know_is_passed_over(told: Told) -> None:
    document = told.document("red")
    for place in (document, document["failover"], *document["failover"]["failures"]):
        place["new"] = {"a": 1}
    told.tell(document)
    assert Colour.RED is told.reading().verdict


def test_read_only_file_system_cannot_be_trusted(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.case("green")
    monkeypatch.setattr("os.statvfs", lambda path: os.statvfs_result((1,) * 8 + (os.ST_RDONLY, 1)))
    assert "read-only file system" in str(told.reading().problem)

    def fail(path: str) -> os.statvfs_result:
        raise PermissionError(path)

    monkeypatch.setattr("os.statvfs", fail)
    assert Colour.GREEN is told.reading().verdict


def test_report_as_it_is_goes_along(told: Told) -> None:
    told.case("red")
    assert json.loads(told.vm.report_path.read_text()) == told.reading().document
