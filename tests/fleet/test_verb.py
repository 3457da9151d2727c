"""``launcher fleet``: the worst first, the worst decides, one failure one block."""

from __future__ import annotations

import json
import os
import stat
from itertools import combinations
from pathlib import Path

import pytest

from launcher.cli import main
from launcher.fleet import text
from tests.fleet.fetched import Caller, Fetched
from tests.formats.hostile import TEXTS
from tests.vm import snapshot

CODES = {"red": 1, "unknown": 70, "stale": 70, "session": 69, "green": 0}


def add(fetched: Fetched, vm: str, kind: str) -> None:
    fetched.add(vm, "green" if kind == "stale" else kind, 1000 if kind == "stale" else 10)


@pytest.mark.parametrize("kinds", [*combinations(CODES, 2), *combinations(CODES, 1)])
def test_worst_vm_decides(fetched: Fetched, call: Caller, kinds: tuple[str, ...]) -> None:
    for number, kind in enumerate(kinds):
        add(fetched, f"vm-{number}", kind)
        add(fetched, f"vm-{number}-too", "green")
    worst = next(kind for kind in CODES if kind in kinds)
    assert CODES[worst] == call().code == call("--json").code
    page = fetched.root.parent / "page.html"
    assert CODES[worst] == call("--html", str(page)).code
    assert {0: 0, 1: 2, 69: 2, 70: 3}[CODES[worst]] == call("--format", "nagios").code or (
        set(kinds) in ({"unknown", "session"}, {"stale", "session"})
    )


def test_worst_comes_first_and_the_sum_last(fetched: Fetched, call: Caller) -> None:
    for number, kind in enumerate(["green", "session", "stale", "unknown", "red", "green", "red"]):
        add(fetched, f"vm-{number}", kind)
    answer = call()
    lines = answer.text.partition("\n\n")[0].splitlines()
    assert text.HEAD == f"{lines[0]}\n"
    assert [
        "red      vm-4                   10 s  1 of 24 does not hold; sessions: 1 held",
        "red      vm-6                   10 s  1 of 24 does not hold; sessions: 1 held",
        "unknown  vm-2                 16 min  it is 1000 s old, 900 s at most were asked for;"
        " it said green",
        "unknown  vm-3                   10 s  no verdict within 30 s, hung at backup projects;"
        " sessions: 1 held",
        "not up   vm-1                   10 s  24 hold; sessions: 1 failed (api);"
        " api: it ended at once (exit code 127)",
        "green    vm-0                   10 s  24 hold; sessions: 1 running",
        "green    vm-5                   10 s  24 hold; sessions: 1 running",
    ] == lines[1:]
    assert answer.text.endswith("\nred: 2 of 7 VMs are red, 2 unknown, 1 not up, 2 green\n")


def test_same_failure_on_many_vms_is_told_once(fetched: Fetched, call: Caller) -> None:
    for number in range(1, 12):
        fetched.add(f"vm-{number:02}", "red")
    document = fetched.add("vm-12", "red")
    (failure,) = document["failover"]["failures"]
    other = failure | {"account": "primary", "nodeid": "invariants/x", "state": "missing"}
    fetched.add("vm-12", "red", failures=[failure | {"fix": "another"}, other], passed=22)
    answer = call()
    blocks = answer.text.split("\n\n")[1].splitlines()
    assert "what does not hold" == blocks[0]
    assert (
        "  backup projects: divergent  12 VMs: vm-01, vm-02, vm-03, vm-04, vm-05, vm-06, vm-07,"
        " vm-08, 4 more" == blocks[1]
    )
    assert blocks[3].startswith("    fix       mkdir /home/claude/")
    assert blocks[3].endswith(" (on vm-01; on others it differs)")
    assert "  primary projects: missing  1 VM: vm-12" == blocks[4]
    assert "2 of 24 do not hold" in answer.line("vm-12")


def test_all_green_is_said_in_so_many_words(fetched: Fetched, call: Caller) -> None:
    for vm in ("vm-1", "vm-2"):
        fetched.add(vm)
    answer = call()
    assert (0, "") == (answer.code, answer.errors)
    assert answer.text.endswith("\n\ngreen: all of 2 VMs are green\n")
    assert call(paths=[fetched.path("vm-1")]).text.endswith("\ngreen: all of 1 VM is green\n")


def test_families_that_are_switched_off_are_named(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1", off={"strays": "many", "parity": "not here"})
    assert call().line("vm-1").endswith("; switched off: parity, strays")


@pytest.mark.parametrize(("option", "code"), [("900", 70), ("1200", 0), ("inf", 0)])
def test_age_that_counts_can_be_said(
    fetched: Fetched, call: Caller, option: str, code: int
) -> None:
    fetched.add("vm-1", age=1000)
    assert code == call("--max-age", option).code


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "soon"])
def test_age_that_means_nothing_is_a_wrong_call(fetched: Fetched, call: Caller, wrong: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        call("--max-age", wrong)


def test_call_without_a_path_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["fleet"])
    assert "PATH" in capfd.readouterr().err


def test_json_has_every_vm_and_every_failure(fetched: Fetched, call: Caller) -> None:
    for number, kind in enumerate(["green", "session", "stale", "red"]):
        add(fetched, f"vm-{number}", kind)
    fetched.write(fetched.path("vm-4"), "{")
    document = json.loads(call("--json").text)
    assert {"red": 1, "unknown": 2, "not_up": 1, "green": 1} == document["counts"]
    assert "red" == document["standing"]
    assert ["vm-3", "vm-2", "vm-4", "vm-1", "vm-0"] == [vm["vm"] for vm in document["vms"]]
    red, stale, torn, session, green = document["vms"]
    assert [failure["fix"] for failure in red["failures"]] == [
        failure["fix"] for failure in document["failures"]
    ]
    assert (["vm-3"], True) == (document["failures"][0]["vms"], document["failures"][0]["alike"])
    assert ("unknown", "green", []) == (stale["verdict"], stale["said"], stale["failures"])
    assert (None, None, [str(fetched.path("vm-4"))]) == (torn["said"], torn["age"], torn["reports"])
    assert ("green", "not_up") == (session["verdict"], session["standing"])
    assert "failed" == session["sessions"][0]["state"]
    assert (None, "green") == (green["problem"], green["standing"])


def test_reading_changes_nothing(fetched: Fetched, call: Caller) -> None:
    for number, kind in enumerate(CODES):
        add(fetched, f"vm-{number}", kind)
    before = snapshot(fetched.root)
    for option in ([], ["--json"], ["--format", "prometheus"], ["--format", "nagios"]):
        call(*option)
    assert before == snapshot(fetched.root)


@pytest.mark.parametrize("hostile", TEXTS)
def test_hostile_text_makes_no_line_and_no_control(
    fetched: Fetched, call: Caller, hostile: str
) -> None:
    document = fetched.add("vm-1", "red")
    lines = len(call().text.splitlines())
    failover = document["failover"]
    failover["failures"][0] |= {"found": hostile, "fix": hostile, "state": f"s{hostile}"}
    failover["failures"][0] |= {"expected": hostile, "account": f"a{hostile}"}
    failover["sessions"] = [
        {"name": hostile, "account": hostile, "state": "failed", "detail": hostile}
    ]
    failover |= {"host": f"vm-1{hostile}", "off": {hostile: hostile}}
    fetched.write(fetched.path("vm-1"), json.dumps(document))
    answer = call()
    assert lines == len(answer.text.splitlines())
    assert all(line.isprintable() for line in answer.text.split("\n"))
    failover |= {"verdict": "unknown", "reason": f"r{hostile}"}
    fetched.write(fetched.path("vm-1"), json.dumps(document))
    assert all(line.isprintable() for line in call().text.split("\n"))


@pytest.mark.parametrize("number", [1e308, -1e308, 0, -0.0, 1e-300, 10**18])
def test_number_of_one_report_ends_nothing(fetched: Fetched, call: Caller, number: float) -> None:
    fetched.add("vm-1", "red")
    fetched.add("vm-2", finished=number, started=number)
    fetched.add("vm-3", expected=number, passed=number)
    for option in ([], ["--json"], ["--format", "prometheus"]):
        answer = call(*option)
        assert (1, "") == (answer.code, answer.errors)
    assert "1 of 3 VMs is red, 2 unknown" in call().text
    assert 2 == call("--format", "nagios").code
    assert 1 == call("--html", str(fetched.root.parent / "page.html")).code


def test_page_is_written_whole_and_over_nothing_else(
    fetched: Fetched, call: Caller, tmp_path: Path
) -> None:
    fetched.add("vm-1")
    page = tmp_path / "fleet.html"
    assert (0, "") == call("--html", str(page))[:2]
    assert 0o644 == stat.S_IMODE(page.stat().st_mode)
    page.write_text("precious")
    answer = call("--html", str(page))
    assert 70 == answer.code
    assert f"the page cannot be written: {page}: " in answer.errors
    assert "precious" == page.read_text()


def test_reader_that_has_seen_enough_changes_no_code(
    fetched: Fetched, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched.add("vm-1", "red")
    kept = os.dup(1)
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    try:
        assert 1 == main(["fleet", str(fetched.root)])
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(writer)
