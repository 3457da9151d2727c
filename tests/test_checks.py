"""Which checks an inventory calls for, and that pytest collects exactly those."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invariants.checks import (
    FAMILIES,
    KEPT_ON,
    Check,
    cases,
    expected_checks,
    switchable,
)
from invariants.inventory import load
from invariants.model import Account, Demands, Inventory, Link, Session, Settings
from tests.vm import LINKS, Vm

NO_TMUX = {"PATH": ""}
ONE_WRITER = "invariants/test_single_writer.py::test_conversation_has_one_writer"
NO_STRAY = "invariants/test_strays.py::test_no_home_is_left_out"


def inventory(
    accounts: list[str], links: list[str], sessions: list[str], backend: str = "auto"
) -> Inventory:
    return Inventory(
        "/failover.toml",
        tuple(Link(name, f"/srv/{name}") for name in links),
        tuple(Account(name, f"/homes/{name}") for name in accounts),
        tuple(Session(name, accounts[0], "/", ("sleep", "9")) for name in sessions),
        Settings(backend, "/state", "/state/report.json", 30.0, 1.0),
    )


def ids(vm: Inventory, subject: str) -> list[str]:
    return [case.id for case in cases(vm, subject, NO_TMUX)]


def collected(vm: Vm, *arguments: str) -> list[str]:
    """Return the node ids that a hand-run pytest collects."""
    run = vm.pytest("--collect-only", "-q", *arguments)
    assert 0 == run.returncode, run.stdout + run.stderr
    return [line for line in run.stdout.splitlines() if "::" in line]


def ambiguous(vm: Vm) -> Vm:
    """Let two accounts and two links share an id, were it only joined by a hyphen."""
    text = f'[shared]\nroot = "{vm.shared}"\nlinks = ["c", "b-c", "d.e"]\n'
    for name in ("a-b", "a"):
        text += f'[[accounts]]\nname = "{name}"\nhome = "{vm.root}/home-{name}"\n'
    vm.inventory.write_text(text + f'[launcher]\nstate = "{vm.state}"\n')
    return vm


def test_checks_are_named_and_attributed() -> None:
    checks = expected_checks(inventory(["backup"], ["projects"], ["api"]), NO_TMUX)

    def check(module: str, invariant: str, case: str, *names: str | None) -> Check:
        nodeid = f"invariants/{module}.py::test_{invariant}[{case}]"
        return Check(nodeid, invariant, *names)

    wanted = [
        check("test_homes", "home_is_usable", "backup", "backup", None, None),
        check("test_identity", "login_is_its_own", "backup", "backup", None, None),
        *(
            check("test_isolation", "login_is_isolated", f"backup-{name}", "backup", None, None)
            for name in (".credentials.json", ".claude.json")
        ),
        check("test_retention", "home_keeps_transcripts", "backup", "backup", None, None),
        Check(ONE_WRITER, "conversation_has_one_writer", None, None, None),
        Check(NO_STRAY, "no_home_is_left_out", None, None, None),
        check("test_links", "link_is_shared", "backup-projects", "backup", "projects", None),
        check("test_targets", "target_is_usable", "projects", None, "projects", None),
        check("test_sessions", "session_directory_exists", "api", "backup", None, "api"),
        check("test_sessions", "session_command_is_found", "api", "backup", None, "api"),
        check("test_sessions", "session_backend_is_there", "process", None, None, None),
    ]
    assert {entry.nodeid: entry for entry in wanted} == checks


def test_entries_are_every_account_times_every_link() -> None:
    vm = inventory(["a", "b"], ["x", "y", "z"], [])

    assert ["a-x", "a-y", "a-z", "b-x", "b-y", "b-z"] == ids(vm, "entry")


def test_ids_that_would_be_one_get_a_colon_and_the_others_keep_the_hyphen() -> None:
    vm = inventory(["a-b", "a"], ["c", "b-c"], [])

    assert ["a-b:c", "a-b-b-c", "a-c", "a:b-c"] == ids(vm, "entry")


def test_no_sessions_no_session_checks() -> None:
    checks = expected_checks(inventory(["a"], ["x"], []), NO_TMUX)

    assert {check.invariant for check in checks.values()} & {
        "session_directory_exists",
        "session_command_is_found",
        "session_folder_is_writable",
        "session_backend_is_there",
        "session_can_start_unattended",
        "session_is_logged_in",
        "project_keeps_transcripts",
    } == set()


@pytest.mark.parametrize(("backend", "expected"), [("auto", "process"), ("tmux", "tmux")])
def test_one_backend_is_checked_however_many_sessions(backend: str, expected: str) -> None:
    assert [expected] == ids(inventory(["a"], ["x"], ["s", "t"], backend), "backend")


NAMES = st.one_of(st.text("ab-", min_size=1, max_size=5), st.from_regex("[A-Za-z0-9_-]{1,9}"))
LINK_NAMES = st.one_of(NAMES, st.text("ab-.", min_size=1, max_size=5))


def several(
    names: st.SearchStrategy[str], pattern: str, least: int
) -> st.SearchStrategy[list[str]]:
    valid = names.filter(lambda name: re.fullmatch(pattern, name) is not None)
    return st.lists(valid, unique=True, min_size=least, max_size=6)


@pytest.mark.thorough
@settings(database=None, deadline=None)
@given(
    several(NAMES, "[A-Za-z0-9][A-Za-z0-9_-]*", 1),
    several(LINK_NAMES, "[A-Za-z0-9][A-Za-z0-9._-]*", 1),
    several(NAMES, "[A-Za-z0-9][A-Za-z0-9_-]*", 0),
)
def test_every_subject_has_an_id_of_its_own(
    accounts: list[str], links: list[str], sessions: list[str]
) -> None:
    vm = inventory(accounts, links, sessions)

    entries = ids(vm, "entry")
    assert len(accounts) * len(links) == len(set(entries)) == len(entries)
    assert accounts == ids(vm, "account")
    assert links == ids(vm, "link")
    assert sessions == ids(vm, "session")
    expected = len(entries) + 5 * len(accounts) + len(links) + 2 * len(sessions) + bool(sessions)
    expected += 2  # of the machine
    assert expected == len(expected_checks(vm, NO_TMUX))


@pytest.mark.parametrize("backend", ["auto", "process", "tmux"])
@pytest.mark.parametrize("sessions", [(), ("api",), ("api", "web")])
@pytest.mark.sampled(4)
def test_what_pytest_collects_is_what_is_expected(
    vm: Vm, sessions: tuple[str, ...], backend: str
) -> None:
    vm.write({name: ["sleep", "9"] for name in sessions}, backend=backend)
    checks = expected_checks(load(str(vm.inventory)), vm.environ)

    assert sorted(checks) == sorted(collected(vm))
    assert 2 * 5 + 2 * 3 + 3 + 2 + 2 * len(sessions) + bool(sessions) == len(checks)


def test_what_pytest_collects_is_what_is_expected_of_ambiguous_names(vm: Vm) -> None:
    checks = expected_checks(load(str(ambiguous(vm).inventory)), vm.environ)

    assert sorted(checks) == sorted(collected(vm))


def test_what_pytest_collects_is_what_is_expected_of_the_longest_names(
    make_vm: Callable[..., Vm],
) -> None:
    vm = make_vm(accounts=["n" * 200, "0"])
    checks = expected_checks(load(str(vm.inventory)), vm.environ)

    assert sorted(checks) == sorted(collected(vm))


@pytest.mark.parametrize("case", ["a-b:c", "a-b-b-c", "a:b-c", "a-d.e", "a-b-d.e"])
@pytest.mark.sampled(2)
def test_id_can_be_selected(vm: Vm, case: str) -> None:
    nodeid = f"invariants/test_links.py::test_link_is_shared[{case}]"

    assert [nodeid] == collected(ambiguous(vm), "-k", f"[{case}]")


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.sampled(1)
def test_every_invariant_of_a_link_can_be_selected(vm: Vm, link: str) -> None:
    assert {
        f"invariants/test_links.py::test_link_is_shared[primary-{link}]",
        f"invariants/test_links.py::test_link_is_shared[backup-{link}]",
        f"invariants/test_targets.py::test_target_is_usable[{link}]",
    } == set(collected(vm, "-k", link))


def test_families_are_the_invariants_of_the_contract() -> None:
    assert {
        *("entry", "account", "link", "session", "backend"),
        *("own-file", "compared", "start", "login", "claude", "conversation", "machine"),
    } == {family.subject for family in FAMILIES.values()}
    assert ("account", "link") == FAMILIES["link_is_shared"].arguments
    assert ("account",) == FAMILIES["home_is_usable"].arguments


def starts(*, failover: tuple[str, ...] | None = None, words: tuple[str, ...] = ()) -> Inventory:
    """Return an inventory of three accounts with one session of Claude Code."""
    plain = inventory(["a", "b", "c"], ["x"], [])
    session = Session("api", "b", "/", ("/opt/claude", *words), failover=failover)
    return plain._replace(sessions=(session,))


def test_readiness_is_asked_of_every_account_that_a_session_may_run_under() -> None:
    assert ["b-api", "a-api", "c-api"] == ids(starts(), "start")
    assert ["b-api", "c-api"] == ids(starts(failover=("c",)), "start")
    assert ["b-api"] == ids(starts(failover=()), "start")


@pytest.mark.parametrize("word", ["-p", "--print"])
def test_readiness_is_not_asked_of_what_asks_no_question(word: str) -> None:
    assert [] == ids(starts(words=(word, "do it")), "start")
    assert ["api"] == ids(starts(words=(word, "do it")), "claude")
    assert [] == ids(inventory(["a"], ["x"], ["api"]), "claude")


def test_starts_that_would_share_an_id_get_a_colon() -> None:
    plain = inventory(["a-b", "a"], ["x"], [])
    sessions = tuple(Session(name, "a", "/", ("claude",)) for name in ("c", "b-c"))

    found = ids(plain._replace(sessions=sessions), "start")
    assert ["a-c", "a-b:c", "a:b-c", "a-b-b-c"] == found


def test_parity_is_checked_only_where_the_inventory_asks_for_it() -> None:
    plain = inventory(["a", "b"], ["x"], [])

    assert [] == ids(plain, "compared")
    assert ["a", "b"] == ids(plain._replace(demands=Demands(parity=True)), "compared")


@pytest.mark.parametrize("family", switchable())
def test_family_that_is_switched_off_is_not_expected(family: str) -> None:
    plain = starts()._replace(demands=Demands(parity=True))
    less = plain._replace(demands=Demands(off={family: "because"}, parity=True))
    off = {name for name, one in FAMILIES.items() if one.name == family}
    checks, fewer = (expected_checks(one, NO_TMUX) for one in (plain, less))

    assert off
    assert off < {check.invariant for check in checks.values()}
    assert {nodeid: check for nodeid, check in checks.items() if check.invariant not in off} == (
        fewer
    )


def test_families_that_the_failover_stands_on_cannot_be_switched_off() -> None:
    assert {"homes", "links", "targets", "sessions"} == set(KEPT_ON)
    assert {
        *("identity", "isolation", "logins", "parity", "readiness", "retention"),
        *("single-writer", "strays"),
    } == set(switchable())


def test_what_pytest_collects_is_what_is_expected_with_families_on_and_off(vm: Vm) -> None:
    vm.write(
        {"api": ["claude"], "batch": ["claude", "-p"]},
        more='[invariants]\nparity = true\n[invariants.off]\nstrays = "because"',
    )
    checks = expected_checks(load(str(vm.inventory)), vm.environ)

    assert sorted(checks) == sorted(collected(vm))
    assert {"settings_are_equal", "session_can_start_unattended", "project_keeps_transcripts"} < {
        check.invariant for check in checks.values()
    }
