"""The history: what changed and since when, bounded, and never torn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from invariants.finding import Finding
from invariants.inventory import Inventory, load
from launcher import history
from launcher.errors import NotJudged
from launcher.history import Failing, History, advanced, read, record
from launcher.timeline import history_text, moment, standing_lines
from launcher.verdict import Colour, Failure, Gate, Verdict
from tests.vm import CHECKOUT, UNPRIVILEGED, Vm

FILE = "/etc/claude-failover/failover.toml"


def failure(account: str, link: str = "projects", state: str = "missing") -> Failure:
    finding = Finding(
        invariant="link_is_shared",
        account=account,
        link=link,
        state=state,
        expected="/srv",
        found="nothing",
        fix="launcher ensure",
    )
    return Failure(f"{account}-{link}", finding)


def gate(at: float, *failures: Failure, reason: str | None = None) -> Gate:
    colour = Colour.UNKNOWN if reason else Colour.RED if failures else Colour.GREEN
    return Gate(Verdict(colour, reason, failures, 8, 8 - len(failures)), {}, at - 1, at)


def after(*gates: Gate) -> History:
    """Return the history that *gates* make."""
    seen = History()
    for one in gates:
        seen = advanced(seen, FILE, one)
    return seen


@pytest.fixture
def inventory(vm: Vm) -> Inventory:
    return load(str(vm.inventory))


def test_gate_that_tells_nothing_new_is_no_change() -> None:
    for first in (gate(10), gate(10, failure("a")), gate(10, reason="no verdict")):
        seen = after(first)
        assert advanced(seen, FILE, first._replace(finished=20.0)) is seen
        assert (10.0, 1) == (seen.since, len(seen.changes))


def test_change_tells_what_came_and_what_went() -> None:
    seen = after(gate(10, failure("a"), failure("b")), gate(20, failure("b"), failure("c")))
    last = seen.changes[-1]
    assert (["c projects"], ["a projects"]) == (
        [one.place for one in last.appeared],
        [one.place for one in last.mended],
    )
    assert {"b": 10.0, "c": 20.0} == {str(one.account): one.since for one in seen.standing}
    assert ["c"] == [one.account for one in seen.latest]
    assert ("red", 10.0) == (seen.verdict, seen.since)


def test_other_state_of_an_entry_is_a_change() -> None:
    seen = after(gate(10, failure("a")), gate(20, failure("a", state="real-directory")))
    assert ["real-directory"] == [one.state for one in seen.latest]


def test_what_nobody_could_look_at_is_not_mended() -> None:
    seen = after(gate(10, failure("a")), gate(20, reason="timeout"), gate(30, failure("a")))
    assert ["red", "unknown", "red"] == [change.verdict for change in seen.changes]
    assert [10.0] == [one.since for one in seen.standing]
    assert () == seen.changes[-1].appeared
    assert 30.0 == seen.since


def test_another_inventory_begins_anew() -> None:
    seen = advanced(after(gate(10, failure("a"))), "/other.toml", gate(20, failure("a")))
    assert ("/other.toml", 20.0) == (seen.inventory, seen.since)
    assert [20.0] == [one.since for one in seen.standing]
    assert () == seen.changes[-1].mended


def test_changes_are_bounded_in_number_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.history.MAX_CHANGES", 40)
    seen = History()
    for number in range(history.MAX_CHANGES + 10):
        seen = advanced(seen, FILE, gate(number, *[failure("a")] * (number % 2)))
    assert history.MAX_CHANGES == len(seen.changes)
    many = [failure(f"account{number}") for number in range(500)]
    for number in range(30):
        seen = advanced(seen, FILE, gate(5000 + number, *many * (number % 2)))
    assert 1 < len(seen.changes) < 40
    assert history.MAX_BYTES >= sum(len(json.dumps(one.as_json())) * 0.9 for one in seen.changes)
    assert 500 == len(seen.standing)
    last = seen.changes[-1]
    assert (history.MAX_LISTED, 400, 500) == (len(last.appeared), last.more, last.failures)


def test_what_is_read_is_what_was_recorded(inventory: Inventory) -> None:
    path = history.place(inventory)
    assert History() == read(path)
    made = [gate(10, failure("a")), gate(20), gate(30, reason="no verdict within 30 s")]
    seen = History()
    for one in made:
        assert record(inventory, one) is None
        seen = advanced(seen, inventory.path, one)
    assert seen == read(path)
    before = os.stat(path)
    assert record(inventory, made[-1]._replace(finished=40.0)) is None
    assert before == os.stat(path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"schema": 2}', '{"schema": 1}', "[" * 100_000, "1"],
    ids=["empty", "torn", "list", "newer", "bare", "deep", "number"],
)
def test_file_that_is_no_history_is_set_aside(inventory: Inventory, content: str) -> None:
    path = Path(history.place(inventory))
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(NotJudged, match="not a history of this version"):
        read(str(path))
    assert "a new history was begun" in (record(inventory, gate(10)) or "")
    assert "green" == read(str(path)).verdict
    assert content == Path(f"{path}.unreadable").read_text()


@pytest.mark.parametrize("place", ["verdict", "standing", "changes", "since"])
def test_history_of_the_wrong_types_is_refused(inventory: Inventory, place: str) -> None:
    record(inventory, gate(10, failure("a")))
    path = Path(history.place(inventory))
    path.write_text(json.dumps({**json.loads(path.read_text()), place: [{"at": "x"}]}))
    with pytest.raises(NotJudged, match="not a history"):
        read(str(path))


def test_something_else_in_its_place_is_said(inventory: Inventory) -> None:
    path = Path(history.place(inventory))
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(NotJudged, match="no regular file"):
        read(str(path))
    assert record(inventory, gate(10)) is not None
    assert "green" == read(str(path)).verdict


def test_history_that_cannot_be_written_never_turns_a_verdict(vm: Vm) -> None:
    vm.write(report=str(vm.root / "elsewhere" / "report.json"))
    (vm.state / "history.json.unreadable").mkdir(parents=True)
    (vm.state / "history.json").write_text("not a history")
    result = vm.run("check")
    assert (0, "green") == (result.returncode, json.loads(report(vm))["failover"]["verdict"])
    assert "launcher: the history cannot be written" in result.stderr
    vm.diverge()
    assert 1 == vm.run("check").returncode


def report(vm: Vm) -> str:
    return (vm.root / "elsewhere" / "report.json").read_text()


def test_history_that_may_not_be_read_is_said(vm: Vm) -> None:
    vm.run("check")
    (vm.state / "history.json").chmod(0)
    result = vm.run("status", prefix=UNPRIVILEGED)
    assert "history: the history cannot be read" in result.stdout
    result = vm.run("history", prefix=UNPRIVILEGED)
    assert 70 == result.returncode


@pytest.mark.thorough
def test_a_kill_at_any_moment_leaves_a_whole_history(inventory: Inventory, vm: Vm) -> None:
    program = """\
import sys, itertools
from invariants.inventory import load
from launcher.history import record
from tests.test_history import failure, gate
inventory = load(sys.argv[1])
for number in itertools.count(1):
    assert record(inventory, gate(number, *[failure("a")] * (number % 2))) is None
    if number == 3:
        print("at work", flush=True)
"""
    path = history.place(inventory)
    seen = 0
    for round_ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", program, inventory.path], cwd=CHECKOUT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            until = time.monotonic() + 0.02 * round_
            while time.monotonic() < until:
                seen += bool(read(path).changes)
            process.send_signal(signal.SIGKILL)
        assert read(path).changes
    record(inventory, gate(10**6, reason="the last"))
    assert seen
    assert ["history.json"] == sorted(os.listdir(vm.state))


def test_gates_of_all_verbs_are_in_it(vm: Vm) -> None:
    vm.write({"api": ["sleep", "600"]})
    assert 0 == vm.run("up").returncode
    entry = vm.diverge()
    assert 1 == vm.run("check").returncode
    entry.unlink()
    entry.symlink_to(vm.target("projects"))
    assert 0 == vm.run("run", "primary", "--", "true").returncode
    document = json.loads(vm.run("history", "--json").stdout)
    assert ["green", "red", "green"] == [one["verdict"] for one in document["changes"]]
    assert "green" == document["verdict"]
    assert str(vm.state / "history.json") == document["path"]
    (last,) = json.loads(vm.run("history", "--json", "--last", "1").stdout)["changes"]
    assert [("backup", "projects", "divergent")] == [
        (one["account"], one["link"], one["state"]) for one in last["mended"]
    ]
    assert 2 == vm.run("history", "--last", "0").returncode


def test_status_says_since_when_and_what_is_new(vm: Vm) -> None:
    vm.diverge("backup", "projects")
    vm.run("check")
    path = vm.state / "history.json"
    old = json.loads(path.read_text())
    old["standing"][0]["since"] = old["since"] = old["changes"][0]["at"] = 86400.0
    path.write_text(json.dumps(old))
    vm.diverge("primary", "session-env")
    vm.run("check")
    told = json.loads(vm.run("status", "--json").stdout)["history"]
    assert (86400.0, None) == (told["since"], told["problem"])
    assert {"primary": (True, True), "backup": (False, False)} == {
        one["account"]: (one["new"], one["today"]) for one in told["failures"]
    }
    text = vm.run("status").stdout
    assert f"\nred since {moment(86400.0)}\n  new   primary session-env: divergent, since " in text
    assert f"\n        backup projects: divergent, since {moment(86400.0)}\n" in text


def test_history_that_does_not_end_with_the_report_is_not_told(vm: Vm) -> None:
    vm.run("check")
    (vm.state / "history.json").unlink()
    assert " since " not in vm.run("status").stdout
    assert "no history yet: launcher check begins one\n" == vm.run("history").stdout


def test_history_as_text() -> None:
    seen = after(
        gate(10),
        gate(20, failure("a"), failure("b")),
        gate(30, failure("b"), *[failure(f"c{number}") for number in range(120)]),
        gate(40, reason="hung\nhere"),
    )
    lines = history_text(seen, lambda text, colour: text).splitlines()  # type: ignore[arg-type]
    assert f"{moment(10)}  green" == lines[0]
    assert f"{moment(20)}  red      2 invariants do not hold" == lines[1]
    assert ["    + a projects: missing", "    + b projects: missing"] == lines[2:4]
    assert "    - a projects: missing" in lines
    assert "    and 20 more" in lines
    assert f"{moment(40)}  unknown  'hung\\nhere'" == lines[-1]


def test_long_list_of_what_stands_is_cut() -> None:
    seen = after(gate(10, *[failure(f"c{number}") for number in range(13)]))
    lines = standing_lines(seen, 10.0)
    assert "  and 3 more: launcher history" == lines[-1]
    assert [] == standing_lines(History(), 10.0)
    assert [] == standing_lines(after(gate(10)), 10.0)
    unknown = after(gate(10), gate(20, reason="hung"))
    assert [f"unknown since {moment(20)}"] == standing_lines(unknown, 20.0)


@pytest.mark.parametrize(
    ("one", "place"),
    [
        (Failing("i", "a", None, "api", "missing", 0), "session api"),
        (Failing("i", "a", None, None, "missing", 0), "home of a"),
        (Failing("i", None, "projects", None, "missing", 0), "target of projects"),
        (Failing("i", None, None, None, "missing", 0), "launcher"),
    ],
)
def test_failure_is_named_as_a_person_names_it(one: Failing, place: str) -> None:
    assert place == one.place
