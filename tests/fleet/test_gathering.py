"""A VM that is told of twice, and one that is expected and not told of, is named; never green."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.fleets import FETCHED
from tests.fleet.fetched import Caller, Fetched


@pytest.fixture
def expect(tmp_path: Path) -> str:
    """Return a file that names vm-1 to vm-3, as people write such files."""
    path = tmp_path / "hosts.txt"
    path.write_text("# all of them\nvm-1\n  vm-2  # in the cellar\n\nvm-3\nvm-1\n")
    return str(path)


def test_two_reports_of_one_vm_are_not_green(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1")
    fetched.add("vm-1", at=fetched.root / "vm-8" / FETCHED)
    fetched.add("vm-2")
    answer = call()
    assert 70 == answer.code
    line = answer.line("vm-1")
    assert line.startswith("unknown ")
    assert "2 reports of one name: " in line
    for directory in ("vm-1", "vm-8"):
        assert f"{fetched.root / directory / FETCHED} says green, 10 s old" in line
    assert "1 of 2 VMs is unknown, 1 green" in answer.text


@pytest.mark.parametrize("order", [("red", "green"), ("green", "red")])
def test_of_two_reports_red_decides(fetched: Fetched, call: Caller, order: tuple[str, str]) -> None:
    for directory, kind in zip("ab", order, strict=True):
        fetched.add("vm-1", kind, at=fetched.root / directory / "report.json")
    answer = call()
    assert 1 == answer.code
    last = answer.text.partition("\n\n")[0].splitlines()[-1]
    assert last.startswith("red      vm-1 ")
    assert f"{fetched.root}/a/report.json says {order[0]}" in last
    assert f"{fetched.root}/b/report.json says {order[1]}" in last
    assert answer.text.endswith("\nred: 1 of 1 VM is red\n")


def test_failures_of_every_red_report_of_one_vm_are_told(fetched: Fetched, call: Caller) -> None:
    document = fetched.add("vm-1", "red", at=fetched.root / "a" / "report.json")
    (failure,) = document["failover"]["failures"]
    other = failure | {"link": "file-history", "nodeid": "invariants/another"}
    fetched.add("vm-1", "red", at=fetched.root / "b" / "report.json", failures=[failure, other])
    text = call().text
    assert "backup projects: divergent  1 VM: vm-1" in text
    assert "backup file-history: divergent  1 VM: vm-1" in text


def test_torn_report_beside_a_good_one_of_the_same_vm(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1")
    fetched.write(fetched.root / "vm-1" / "old" / "report.json", "{")
    fetched.write(fetched.root / "vm-1" / "root" / "report.json", "{")
    answer = call()
    assert 70 == answer.code
    assert f"{fetched.root}/vm-1/root/report.json: it is torn" in answer.line("vm-1")


def test_same_directory_twice_is_not_green(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1")
    assert 70 == call(paths=[fetched.root, fetched.root]).code


def test_directory_of_another_name_is_told(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1", at=fetched.root / "web1" / FETCHED)
    fetched.add("vm-2", at=fetched.root / "vm-2.example.org" / FETCHED)
    answer = call()
    assert 0 == answer.code
    assert answer.line("vm-1").endswith("; in web1")
    assert "example.org" not in answer.text


def test_vm_that_is_expected_and_has_no_report_is_unknown(
    fetched: Fetched, call: Caller, expect: str
) -> None:
    fetched.add("vm-1")
    fetched.add("vm-3")
    answer = call("--expect", expect)
    assert 70 == answer.code
    assert f"no report: {expect} names it" in answer.line("vm-2")
    assert "1 of 3 VMs is unknown, 2 green" in answer.text


def test_vm_that_is_not_expected_is_named(fetched: Fetched, call: Caller, expect: str) -> None:
    for number in range(1, 4):
        fetched.add(f"vm-{number}")
    fetched.add("vm-4", "red")
    answer = call("--expect", expect)
    assert 1 == answer.code
    assert "\n\nnot expected: vm-4\n\nred: " in answer.text
    assert ["vm-4"] == json.loads(call("--expect", expect, "--json").text)["unexpected"]


def test_expected_vm_is_known_by_its_directory_too(
    fetched: Fetched, call: Caller, expect: str
) -> None:
    fetched.add("vm-1")
    fetched.add("vm-3")
    fetched.add("ip-10-0-0-2", at=fetched.root / "vm-2" / FETCHED)
    answer = call("--expect", expect)
    assert 0 == answer.code
    assert answer.line("ip-10-0-0-2").endswith("; in vm-2")
    assert "not expected" not in answer.text


def test_one_report_stands_for_one_expected_vm_only(
    fetched: Fetched, call: Caller, expect: str
) -> None:
    """A VM that was cloned, report and all, and has not judged itself yet."""
    fetched.add("vm-1", at=fetched.root / "vm-2" / FETCHED)
    fetched.add("vm-3")
    answer = call("--expect", expect)
    assert 70 == answer.code
    assert "no report: " in answer.line("vm-2")


@pytest.mark.parametrize("content", [None, "", "# nobody\n"])
def test_list_that_names_nobody_is_refused(
    fetched: Fetched, call: Caller, tmp_path: Path, content: str | None
) -> None:
    fetched.add("vm-1")
    path = tmp_path / "nobody.txt"
    if content is not None:
        path.write_text(content)
    answer = call("--expect", str(path))
    assert (2, "") == (answer.code, answer.text)
    assert f"--expect {path}: it " in answer.errors
