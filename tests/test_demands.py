"""The digest of what an inventory demands: what it depends on, and what changes nothing."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import load
from invariants.model import Account, Demands, Inventory, Link, Session, Settings
from invariants.own.contents import MAX_BYTES, contents
from invariants.schema import decode
from launcher.demands import digest, digest_now
from launcher.placements import place, placed
from tests.documents import PATH, changed, without
from tests.vm import Vm


def of(document: dict[str, Any]) -> str:
    inventory, problems = decode(document, PATH)
    assert not problems
    return digest(inventory, {})


def parsed(text: str) -> str:
    return of(tomllib.loads(text))


WHOLE = without("launcher.timeout")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("shared.root", "/srv/other"),
        ("shared.retention_days", 31),
        ("shared.links", ["projects", "file-history", "tasks"]),
        ("shared.targets.projects", "/data/other"),
        ("accounts[1].home", "/home/u/.claude-other"),
        ("accounts[1].name", "other"),
        ("sessions[0].name", "web"),
        ("sessions[0].account", "backup"),
        ("sessions[0].directory", "/home/u/other"),
        ("sessions[0].command", ["claude", "--verbose"]),
        ("sessions[0].pass_environment", ["LANG", "TERM"]),
        ("sessions[0].failover", ["primary", "backup"]),
        ("sessions[0].restart", "on-failure"),
        ("sessions[0].agent_view", True),
        ("sessions[0].conversation", "off"),
        ("sessions[0].conversation", "01234567-89ab-cdef-0123-456789abcdef"),
        ("invariants.parity", False),
        ("invariants.off", {}),
        ("invariants.off", {"retention": "because"}),
        ("launcher.backend", "process"),
        ("launcher.invariants", ["/etc/own"]),
        ("sessions", []),
    ],
)
def test_whatever_demands_something_else_changes_it(place: str, value: object) -> None:
    assert of(changed("launcher.timeout", 31)) != of(changed(place, value))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("launcher.timeout", 31),
        ("launcher.settle", 2),
        ("launcher.memory_rules", False),
        ("launcher.state", "/var/lib/other"),
        ("launcher.report", "/var/lib/other.json"),
        ("launcher.prometheus", "/var/lib/other.prom"),
        ("invariants.off.strays", "for another reason"),
        ("shared.root", "/srv/x/../claude/"),
        ("accounts[0].home", "/home/u/./.claude-primary"),
        ("watch", {"interval": 5}),
    ],
)
def test_what_demands_nothing_changes_nothing(place: str, value: object) -> None:
    assert of(WHOLE) == of(changed(place, value))


def test_comment_order_and_spelling_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    one = """
[shared]
root = "/srv/claude"
links = ["projects", "file-history"]
[[accounts]]
name = "primary"
home = "~/.claude-primary"
[[accounts]]
name = "backup"
home = "/home/u/.claude-backup"
[launcher]
backend = "process"
invariants = ["/etc/a", "/etc/b"]
"""
    other = """
launcher = {invariants = ["/etc/b", "/etc/a"], backend = 'process'}  # one line
accounts = [
    {home = "~/.claude-backup", name = "backup"},
    {home = "/home/u/.claude-primary", name = "primary"},
]
[shared]
links = ["file-history", "projects"]
root = "/srv/claude"
"""
    assert parsed(one) == parsed(other)


def test_names_cannot_be_moved_from_one_place_to_another() -> None:
    """What is put together for the digest can be told apart again."""
    links = ["projects", "file-history"]
    assert of(changed("shared.links", links)) != of(changed("shared.links", links[:1]))
    one = changed("sessions[0].command", ["claude", "a b"])
    assert of(one) != of(changed("sessions[0].command", ["claude", "a", "b"]))


def test_every_field_is_decided_on() -> None:
    """Whoever adds one says in launcher/demands.py whether it demands something, and here."""
    ours = ("path", "links", "accounts", "sessions", "settings", "watch", "demands")
    assert ours == Inventory._fields
    assert (("name", "home"), ("name", "target")) == (Account._fields, Link._fields)
    assert ("off", "parity", "retention_days") == Demands._fields
    own = ("backend", "state", "report", "timeout", "settle", "invariants", "prometheus")
    assert (*own, "memory_rules") == Settings._fields
    assert {"account", "wanted", "misplaced"} <= set(Session._fields)


def test_session_demands_the_same_wherever_it_has_been_switched_to(vm: Vm) -> None:
    vm.write({"api": ["sleep", "600"]})
    inventory = load(str(vm.inventory))
    place(inventory, inventory.sessions[0], "backup")
    there = placed(inventory)
    assert "backup" == there.sessions[0].account
    assert digest_now(inventory) == digest_now(there)
    (vm.state / "placements" / "api.json").write_text("torn")
    assert placed(inventory).sessions[0].misplaced
    assert digest_now(inventory) == digest_now(placed(inventory))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    directory = tmp_path / "own"
    directory.mkdir()
    (directory / "test_one.py").write_text("def test_one(): assert 1\n")
    return directory


def test_own_files_count_by_path_and_content(own: Path) -> None:
    before = contents([str(own)])
    file = own / "test_one.py"
    assert [str(file)] == list(before)
    os.utime(file, (1, 1))
    (own / "README").write_text("no Python")
    (own / ".test_hidden.py").write_text("an editor's")
    assert before == contents([str(own)])
    file.write_text("def test_one(): assert 2\n")
    assert before != (edited := contents([str(own)]))
    file.rename(own / "test_two.py")
    assert edited != contents([str(own)])
    (own / "test_two.py").rename(file)
    (own / "test_more.py").write_text("")
    assert {*edited, str(own / "test_more.py")} == set(contents([str(own)]))


def test_own_files_that_cannot_be_read_are_known_to_be_unreadable(own: Path) -> None:
    os.mkfifo(own / "test_pipe.py")
    (own / "test_loop.py").symlink_to("test_loop.py")
    (own / "test_directory.py").mkdir()
    (own / "test_large.py").write_bytes(b"#" * (MAX_BYTES + 1))
    gone = own.parent / "gone"
    found = contents([str(own), str(gone)])
    unreadable = [str(own / f"test_{name}.py") for name in ("directory", "loop", "pipe")]
    assert {*unreadable, str(gone)} <= {path for path, held in found.items() if held is None}
    assert found[str(own / "test_one.py")] is not None
