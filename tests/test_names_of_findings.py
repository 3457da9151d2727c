"""A finding has one name, wherever it is told: one VM with a finding of each kind, and each place.

What is told is what the operator reads: the output of the verbs, the page, each format, the
journal's lines, the fleet. The names are compared as text.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from invariants.finding import Finding
from invariants.inventory import load
from launcher import history
from launcher.history import History, advanced
from launcher.page import page
from launcher.reading import reading_of
from launcher.render import verdict_entries
from launcher.timeline import history_text, standing_lines
from launcher.verdict import Colour, Failure, Gate, Verdict
from tests import client
from tests.vm import Vm, wait_until

OWN = """
import pytest

def test_vpn_is_up():
    pytest.fail("it is down")

def test_home_is_local(account):
    assert account.name == "nobody"

def test_worktree_is_clean(account, session):
    assert session.name == "nobody"

def test_cannot_tell(account):
    raise OSError("no answer")
"""
REFUSED = "def test_room(link):\n    link.target == '/x'\n"

NAMES = {
    "link": "backup projects: divergent",
    "target": "target of session-env: missing",
    "home": "home of gone: missing",
    "session": "session api: missing (primary)",
    "login": "session web: not-logged-in (primary)",
    "start": "session web of primary: not-onboarded",
    "start, elsewhere": "session web of backup: not-onboarded",
    "machine": "no_home_is_left_out: stray",
    "backend": "session_backend_is_there: missing",
    "own, of the machine": "vpn_is_up: broken",
    "own, of an account": "home_is_local backup: broken",
    "own, of a session": "worktree_is_clean primary api: broken",
    "own, that could not tell": "cannot_tell backup: not-judged",
    "own file": "test_refused.py: not-judged",
}


@pytest.fixture
def vm(make_vm: Callable[..., Vm]) -> Vm:
    """Return a VM with a finding of each kind."""
    vm = make_vm(accounts=("primary", "backup", "gone")).link()
    vm.diverge("backup", "projects")
    vm.target("session-env").rmdir()
    vm.home("gone").rename(vm.root / "moved")
    stray = vm.user_home / ".claude-old"
    (stray / "projects" / "-src").mkdir(parents=True)
    (stray / ".claude.json").touch()
    own = vm.root / "own"
    own.mkdir(mode=0o700)
    for name, text in (("test_own.py", OWN), ("test_refused.py", REFUSED)):
        (own / name).write_text(text)
        (own / name).chmod(0o600)
    client.make_fit(vm, "backup")
    (vm.home("backup") / ".claude.json").unlink()
    programs = vm.root / "programs"
    programs.mkdir()
    (programs / "claude").write_text("#!/bin/sh\nexec sleep 600\n")
    (programs / "claude").chmod(0o755)
    (programs / "sh").symlink_to("/bin/sh")
    vm.environ["PATH"] = str(programs)
    missing = vm.root / "missing"
    vm.write(
        {"web": ["claude"], "api": ["claude"]},
        backend="tmux",
        session_keys='failover = ["backup"]',
        invariants=[str(own)],
    )
    text = vm.inventory.read_text()
    before, api = text.split('name = "api"')
    old, new = json.dumps(str(vm.root)), json.dumps(str(missing))
    vm.inventory.write_text(f'{before}name = "api"{api.replace(old, new, 1)}')
    return vm


def titles(vm: Vm) -> set[str]:
    """Return the names of the report's failures."""
    fields = ("invariant", "state", "expected", "found", "fix", "account", "link", "session")
    return {Finding(**{key: one[key] for key in fields}).title for one in vm.report["failures"]}


def checked(vm: Vm) -> subprocess.CompletedProcess[str]:
    done = vm.run("check")
    assert 1 == done.returncode, done.stderr
    return done


def without_account(title: str) -> str:
    """Return the name as it is below a title that names the account already."""
    return re.sub(r" \(\w+\)$", "", title)


def test_each_kind_of_finding_is_on_the_vm(vm: Vm) -> None:
    checked(vm)
    assert {*NAMES.values()} <= titles(vm)
    assert not any(title.startswith("launcher: ") for title in titles(vm))
    assert len(titles(vm)) == len(vm.report["failures"]), "two findings have one name"


def test_check_names_them_below_whose_they_are(vm: Vm) -> None:
    blocks = {}
    text = checked(vm).stdout
    for block in text.split("\n\n"):
        title, *lines = block.splitlines()
        blocks[title.split(" (")[0]] = {line.strip() for line in lines}
    assert without_account(NAMES["session"]) in blocks["primary"]
    assert {NAMES["start"], NAMES["own, of a session"]} <= blocks["primary"]
    assert NAMES["start, elsewhere"] in blocks["backup"]
    assert {NAMES["link"], NAMES["own, of an account"]} <= blocks["backup"]
    assert NAMES["own, that could not tell"] in blocks["backup"]
    assert NAMES["home"] in blocks["gone"]
    assert NAMES["target"] in blocks["shared"]
    assert {NAMES["machine"], NAMES["backend"], NAMES["own file"]} <= blocks["machine"]
    assert NAMES["own, of the machine"] in blocks["machine"]
    for title in titles(vm):
        assert f"\n  {without_account(title)}\n" in text


def test_history_and_status_name_them_the_same(vm: Vm) -> None:
    checked(vm)
    told = vm.run("history").stdout
    assert {f"    + {title}" for title in titles(vm)} <= set(told.splitlines())
    standing = "\n".join(standing_lines(history.read(str(vm.state / "history.json")), time.time()))
    named = re.findall(r"^  new   (.*), since", standing, re.MULTILINE)
    assert 10 == len(named)
    assert {*named} <= titles(vm)
    (vm.root / "missing").mkdir()  # one is mended, and is told by the same name
    checked(vm)
    assert f"    - {NAMES['session']}" in vm.run("history", "--last", "1").stdout.splitlines()
    status = vm.run("status").stdout
    assert named[0] in status
    assert "  new   " not in status


def test_page_names_them_the_same_and_knows_which_are_new(vm: Vm) -> None:
    checked(vm)
    file = vm.root / "page.html"
    vm.run("status", "--html", str(file))
    heads = _heads(file.read_text())
    assert {f"{title} new" for title in titles(vm)} == heads
    (vm.root / "missing").mkdir()
    (vm.root / "own" / "test_later.py").write_text("def test_later():\n    assert not id(1)\n")
    (vm.root / "own" / "test_later.py").chmod(0o600)
    checked(vm)
    vm.run("status", "--html", str(file))
    text = file.read_text()
    assert {"later: broken new"} == {head for head in _heads(text) if head.endswith(" new")}
    assert {*NAMES.values()} - {NAMES["session"]} <= {
        head.removesuffix(" today") for head in _heads(text)
    }
    assert f"<b>went</b> {NAMES['session']}" in text


def _heads(text: str) -> set[str]:
    found = re.findall(r"<h3>(.*?)</h3>", text.partition('id="failures"')[2], re.DOTALL)
    return {" ".join(html.unescape(re.sub("<[^>]*>", "", head)).split()) for head in found}


def test_each_format_names_them_the_same(vm: Vm) -> None:
    checked(vm)
    expected = titles(vm)
    nagios = vm.run("status", "--format", "nagios").stdout
    for title in expected:
        assert f"\n{title}; expected " in nagios
    tap = vm.run("status", "--format", "tap").stdout
    assert expected == {json.loads(line) for line in re.findall(r"^  message: (.*)$", tap, re.M)}
    junit = ElementTree.fromstring(vm.run("status", "--format", "junit").stdout)
    cases = [one for case in junit.iter("testcase") for one in case if one.tag != "system-out"]
    assert expected == {one.attrib["message"] for one in cases}
    markdown = vm.run("status", "--format", "markdown").stdout
    for title in expected:
        place, _, rest = title.partition(": ")
        assert f"**{place}**: {rest}\n".replace("_", "\\_") in markdown
    metrics = vm.run("status", "--format", "prometheus").stdout
    counts = dict(re.findall(r'invariant_failures\{invariant="(.*?)",.*?\} ([\d.]+)', metrics))
    for failure in vm.report["failures"]:
        assert float(counts[failure["invariant"]]) > 0


def test_journal_and_fleet_name_them_the_same(vm: Vm) -> None:
    checked(vm)
    expected = titles(vm)
    inventory = load(str(vm.inventory))
    document = json.loads(vm.report_path.read_text())
    failures = reading_of(document, inventory).failures
    gate = Gate(Verdict(Colour.RED, None, failures, 99, 1), {}, 1.0, 2.0)
    lines = {entry.text.partition(": expected ")[0] for entry in verdict_entries(gate, [])}
    assert expected <= lines
    reports = vm.root / "reports"
    (reports / "vm-1").mkdir(parents=True)
    (reports / "vm-1" / "report.json").write_bytes(vm.report_path.read_bytes())
    done = vm.run("fleet", str(reports), inventory=False)
    told = set(re.findall(r"^  (\S.*?)  1 VM: ", done.stdout, re.MULTILINE))
    assert expected == told, done.stdout + done.stderr
    file = vm.root / "fleet.html"
    vm.run("fleet", str(reports), "--html", str(file), inventory=False)
    assert expected == _heads(file.read_text())


def test_the_watch_says_the_name_of_the_first(vm: Vm) -> None:
    command = [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory), "watch"]
    log = vm.root / "log"
    with open(log, "wb") as file, subprocess.Popen(command, env=vm.environ, stderr=file) as process:
        try:
            wait_until(lambda: "red: " in log.read_text(), "it tells its verdict")
        finally:
            process.terminate()
    first = Finding(**{k: v for k, v in vm.report["failures"][0].items() if k != "nodeid"}).title
    assert f" invariants do not hold: {first} and " in log.read_text()


def _gate(at: float, *findings: Finding) -> Gate:
    failures = tuple(Failure(str(number), one) for number, one in enumerate(findings))
    colour = Colour.RED if findings else Colour.GREEN
    return Gate(Verdict(colour, None, failures, 30, 30 - len(failures)), {}, at - 1, at)


def _finding(invariant: str, state: str, **names: str) -> Finding:
    return Finding(invariant, state, "e", "f", "x", **names)


EARLIER: dict[str, Any] = {
    "schema": 1,
    "inventory": "/failover.toml",
    "verdict": "red",
    "since": 10.0,
    "standing": [
        {"invariant": name, "account": None, "link": None, "session": None, "state": state}
        | {"since": 10.0}
        for name, state in (("vpn_is_up", "broken"), ("no_home_is_left_out", "stray"))
    ],
    "changes": [],
}
EARLIER["changes"] = [
    {"at": 10.0, "inventory": "/failover.toml", "verdict": "red", "reason": None}
    | {"appeared": EARLIER["standing"], "mended": [], "more": 0, "failures": 2}
]


def test_history_of_an_earlier_version_is_told_in_the_names_of_this_one(tmp_path: Path) -> None:
    """It keeps what a finding is about, and since when: so nothing in it is new by the upgrade."""
    file = tmp_path / "history.json"
    file.write_text(json.dumps(EARLIER))
    before = history.read(str(file))
    assert EARLIER == before.as_json()
    text = history_text(before, lambda text, colour: text)  # type: ignore[arg-type]  # no colours
    assert ["    + vpn_is_up: broken", "    + no_home_is_left_out: stray"] == text.splitlines()[1:]
    found = (_finding("vpn_is_up", "broken"), _finding("no_home_is_left_out", "stray"))
    assert advanced(before, "/failover.toml", _gate(20.0, *found)) is before
    after = advanced(before, "/failover.toml", _gate(20.0, *found, _finding("a_b", "broken")))
    assert ["a_b: broken"] == [one.title for one in after.latest]
    assert [10.0, 10.0, 20.0] == [one.since for one in after.standing]


def test_own_invariants_of_one_account_have_a_mark_each(vm: Vm) -> None:
    inventory = load(str(vm.inventory))
    first = _finding("home_is_local", "broken", account="backup")
    second = _finding("home_is_small", "broken", account="backup")
    seen = advanced(History(), inventory.path, _gate(10.0, first))
    seen = advanced(seen, inventory.path, _gate(20.0, first, second))
    checked(vm)
    document = json.loads(vm.report_path.read_text())
    reading = reading_of(document, inventory)
    failures = tuple(Failure(one.invariant, one) for one in (first, second))
    text = page(reading._replace(failures=failures), seen)
    assert {"home_is_local backup: broken", "home_is_small backup: broken new"} == _heads(text)
