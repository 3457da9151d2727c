"""What an inventory may say: each refusal by its place and words, and all of them at once."""

from __future__ import annotations

import datetime
import sys
import tomllib
from collections.abc import Callable
from copy import deepcopy
from types import FrameType
from typing import Any

import pytest

from invariants.links import REQUIRED_SHARED
from invariants.model import Inventory
from invariants.schema import decode
from tests.documents import PATH, WHOLE, changed, problems, without

VALUES = {
    "a string": "text",
    "a number": 5,
    "true or false": True,
    "an array": [1],
    "a table": {"a": 1},
    "a date or time": datetime.date(2024, 1, 2),
}


def text_problems(text: str) -> list[str]:
    return problems(tomllib.loads(text))


def test_whole_document_is_taken_as_it_stands() -> None:
    inventory, wrong = decode(deepcopy(WHOLE), PATH)

    assert [] == wrong
    assert PATH == inventory.path
    assert {"projects": "/data/projects", "file-history": "/srv/claude/file-history"} == {
        link.name: link.target for link in inventory.links
    }
    assert ["primary", "backup"] == [account.name for account in inventory.accounts]
    assert ("claude",) == inventory.sessions[0].command
    assert ("LANG",) == inventory.sessions[0].pass_environment
    assert ("primary",) == inventory.sessions[0].failover
    assert (30.0, 0.5) == (inventory.settings.timeout, inventory.settings.settle)
    assert inventory.settings.memory_rules


def test_least_document_gets_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    inventory, wrong = decode(
        {"shared": {"root": "/srv"}, "accounts": [{"name": "a", "home": "~/a"}]}, PATH
    )

    assert [] == wrong
    assert REQUIRED_SHARED == tuple(link.name for link in inventory.links)
    assert "/home/u/a" == inventory.accounts[0].home
    assert "auto" == inventory.settings.backend
    assert "/home/u/.local/state/claude-failover/report.json" == inventory.settings.report
    assert (30.0, 1.0) == (inventory.settings.timeout, inventory.settings.settle)
    assert inventory.settings.memory_rules


def test_rules_for_the_memory_can_be_switched_off() -> None:
    inventory, wrong = decode(changed("launcher.memory_rules", False), PATH)

    assert ([], False) == (wrong, inventory.settings.memory_rules)


def test_relative_path_starts_from_the_inventorys_directory() -> None:
    inventory = decode(changed("accounts[1].home", "../homes/./backup/"), PATH)[0]

    assert "/etc/homes/backup" == inventory.accounts[1].home


WANTED = [
    ("shared", "a table"),
    ("shared.root", "a string"),
    ("shared.links", "an array"),
    ("shared.links[0]", "a string"),
    ("shared.targets", "a table"),
    ("shared.targets.projects", "a string"),
    ("accounts", "an array"),
    ("accounts[1]", "a table"),
    ("accounts[1].name", "a string"),
    ("accounts[1].home", "a string"),
    ("sessions", "an array"),
    ("sessions[0]", "a table"),
    ("sessions[0].name", "a string"),
    ("sessions[0].account", "a string"),
    ("sessions[0].directory", "a string"),
    ("sessions[0].command", "an array"),
    ("sessions[0].command[0]", "a string"),
    ("sessions[0].pass_environment", "an array"),
    ("sessions[0].pass_environment[0]", "a string"),
    ("sessions[0].failover", "an array"),
    ("sessions[0].failover[0]", "a string"),
    ("shared.retention_days", "a number of days"),
    ("invariants", "a table"),
    ("invariants.parity", "true or false"),
    ("invariants.off", "a table"),
    ("invariants.off.strays", "a string"),
    ("launcher", "a table"),
    ("launcher.backend", "a string"),
    ("launcher.state", "a string"),
    ("launcher.report", "a string"),
    ("launcher.timeout", "a number of seconds"),
    ("launcher.settle", "a number of seconds"),
    ("launcher.memory_rules", "true or false"),
]


@pytest.mark.parametrize(
    ("place", "wanted", "found"),
    [(*row, found) for row in WANTED for found in VALUES if not row[1].startswith(found)],
)
def test_wrong_type_is_refused_at_its_place(place: str, wanted: str, found: str) -> None:
    refusal = f"{place}: must be {wanted}, not {found}"
    if place in ("accounts", "sessions") and found == "a table":
        refusal = f"{place}: must be an array of tables: write [[{place}]], not [{place}]"

    assert refusal in problems(changed(place, VALUES[found]))


@pytest.mark.parametrize(
    ("place", "near"),
    [
        ("account", "accounts"),
        ("lancher", "launcher"),
        ("shared.rooot", "root"),
        ("shared.link", "links"),
        ("shared.target", "targets"),
        ("accounts[1].hom", "home"),
        ("sessions[0].comand", "command"),
        ("sessions[0].pass_enviroment", "pass_environment"),
        ("launcher.time-out", "timeout"),
        ("launcher.reprot", "report"),
    ],
)
def test_unknown_key_is_refused_with_the_near_miss(place: str, near: str) -> None:
    assert [f"{place}: unknown key; did you mean {near}?"] == problems(changed(place, "x"))


@pytest.mark.parametrize(
    ("place", "near"),
    [("shared.link", "links"), ("sessions[0].pass_enviroment", "pass_environment")],
)
def test_near_miss_is_suggested_where_the_key_itself_is_absent(place: str, near: str) -> None:
    document = changed(place, ["PATH"])
    del document["shared"]["links"], document["shared"]["targets"]
    del document["sessions"][0]["pass_environment"]

    assert [f"{place}: unknown key; did you mean {near}?"] == problems(document)


@pytest.mark.parametrize(
    ("place", "known"),
    [
        ("zzz", "accounts, invariants, launcher, sessions, shared, watch"),
        ("shared.zzz", "links, retention_days, root, targets"),
        ("accounts[0].zzz", "home, name"),
        (
            "sessions[0].zzz",
            "account, agent_view, command, conversation, directory, failover, limits, name, "
            "pass_environment, restart",
        ),
        (
            "launcher.zzz",
            "backend, invariants, memory_rules, prometheus, report, settle, state, timeout",
        ),
    ],
)
def test_unknown_key_like_no_other_is_refused_with_those_known(place: str, known: str) -> None:
    assert [f"{place}: unknown key; known are {known}"] == problems(changed(place, 1))


def test_target_of_no_link_is_refused_with_the_links() -> None:
    wrong = problems(changed("shared.targets.project", "/x"))

    assert [
        "shared.targets.project: there is no link 'project'; links are projects, file-history"
    ] == wrong


@pytest.mark.parametrize(
    ("place", "refusal"),
    [
        ("accounts", "accounts: there is none; write at least one [[accounts]] table"),
        ("shared.root", "shared.root: is missing"),
        ("accounts[1].name", "accounts[1].name: is missing"),
        ("accounts[1].home", "accounts[1].home: is missing"),
        ("sessions[0].name", "sessions[0].name: is missing"),
        ("sessions[0].account", "sessions[0].account: is missing"),
        ("sessions[0].directory", "sessions[0].directory: is missing"),
        ("sessions[0].command", "sessions[0].command: is missing"),
    ],
)
def test_absent_key_is_refused(place: str, refusal: str) -> None:
    assert refusal in problems(without(place))


def test_root_may_be_absent_where_every_link_has_a_target() -> None:
    document = without("shared.root")
    document["shared"]["targets"]["file-history"] = "/data/history"

    assert [] == problems(document)


def test_empty_accounts_are_refused() -> None:
    assert "accounts: there is none; write at least one [[accounts]] table" in problems(
        changed("accounts", [])
    )


@pytest.mark.parametrize(
    ("path", "write"),
    [
        ("$HOME/x", "write '~/x'"),
        ("${HOME}", "write '~'"),
        ("$HOME/$NAME", "write out what $NAME is"),
        ("/home/$USER/x", "write out what $USER is"),
        ("${XDG_DATA_HOME}/x", "write out what ${XDG_DATA_HOME} is"),
    ],
)
@pytest.mark.parametrize(
    "place", ["accounts[0].home", "shared.root", "sessions[0].directory", "sessions[0].command[0]"]
)
def test_variable_in_a_path_is_refused_with_the_right_spelling(
    place: str, path: str, write: str
) -> None:
    assert f"{place}: variables are not expanded here: {write}" in problems(changed(place, path))


def test_dollar_sign_that_names_no_variable_is_a_name() -> None:
    assert [] == problems(changed("sessions[0].directory", "/mnt/$RECYCLE.BIN/a$b/$1/$"))


@pytest.mark.parametrize("place", ["sessions[0].pass_environment", "launcher.invariants"])
def test_empty_array_means_none_where_none_is_needed(place: str) -> None:
    assert [] == problems(changed(place, []))


@pytest.mark.parametrize("place", ["shared.links", "sessions[0].command"])
def test_empty_array_is_refused(place: str) -> None:
    assert f"{place}: must not be empty" in problems(changed(place, []))


@pytest.mark.parametrize(
    "place",
    ["shared.root", "accounts[1].home", "sessions[0].directory", "launcher.report"],
)
def test_empty_path_is_refused(place: str) -> None:
    assert f"{place}: must not be empty" in problems(changed(place, ""))


def test_accounts_as_a_table_are_refused_with_the_right_spelling() -> None:
    wrong = text_problems('[shared]\nroot = "/srv"\n[accounts]\nname = "a"\nhome = "/a"\n')

    assert ["accounts: must be an array of tables: write [[accounts]], not [accounts]"] == wrong


def test_every_problem_is_in_the_one_answer() -> None:
    wrong = text_problems("""
        [shared]
        root = 5
        links = ["projects", "projects", "../up"]
        [shared.targets]
        tasks = "/t"
        [[accounts]]
        name = "-a"
        home = "/homes/a"
        [[accounts]]
        name = "b"
        home = "/homes/a/b"
        hone = 1
        [[sessions]]
        name = "s"
        account = "nobody"
        directory = "/src"
        command = []
        [launcher]
        timeout = nan
        backend = "screen"
        report = "/homes/a/report.json"
        [laucher]
        """)

    assert [
        "shared.root",
        "shared.links[1]",
        "shared.links[2]",
        "shared.targets.tasks",
        "accounts[0].name",
        "accounts[1].hone",
        "sessions[0].account",
        "sessions[0].command",
        "launcher.backend",
        "launcher.timeout",
        "laucher",
        "accounts[1].home",
        "launcher.report",
    ] == [problem.split(": ")[0] for problem in wrong]


def accounts(count: int) -> dict[str, Any]:
    entries = [{"name": f"a{index}", "home": f"/homes/{index}"} for index in range(count)]
    return {"shared": {"root": "/srv"}, "accounts": entries, "launcher": {"state": "/state"}}


def calls(action: Callable[[], tuple[Inventory, list[str]]]) -> int:
    """Count the calls, of Python and of C functions, that *action* makes."""
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def test_twice_the_accounts_are_twice_the_work() -> None:
    once = calls(lambda: decode(accounts(500), PATH))
    twice = calls(lambda: decode(accounts(1000), PATH))

    assert once > 500
    assert twice < 2.2 * once


def test_ten_thousand_accounts_are_read() -> None:
    inventory, wrong = decode(accounts(10_000), PATH)

    assert [] == wrong
    assert 10_000 == len(inventory.accounts)


def test_twice_the_links_are_twice_the_comparisons() -> None:
    compared = 0

    class Counted(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    links = [Counted(f"link{index}") for index in range(1000)]
    inventory = decode(changed("shared", {"root": "/srv", "links": links}), PATH)[0]

    assert 1000 == len(inventory.links)
    assert compared < 10 * 1000
