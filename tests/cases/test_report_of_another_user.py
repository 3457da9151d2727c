"""Another user writes where the report, the history or the state is: none of it counts."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.vm import said
from tests.vm import Vm

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another")
OTHER, GROUP = 54322, 54323
MODES = pytest.mark.parametrize("mode", [0o1777, 0o777, 0o2775], ids=["sticky", "open", "group"])
NAGIOS = ("status", "--format", "nagios")


def public(vm: Vm, mode: int) -> Path:
    """Have the report in a directory that others can write; return its path."""
    place = vm.root / "public"
    place.mkdir()
    os.chown(place, 0, GROUP)
    place.chmod(mode)
    vm.write(report=str(place / "report.json"))
    return place / "report.json"


def first_line(vm: Vm, *verb: str) -> tuple[int, str]:
    """Return a verb's exit code and the first line that it printed."""
    done = vm.run(*verb)
    return done.returncode, said(done)[0].partition(" |")[0]


def unreadable(report: Path, why: str) -> tuple[int, str]:
    return 3, f"CLAUDE_FAILOVER UNKNOWN - the report cannot be read: {report}: {why}"


@MODES
def test_report_in_a_directory_of_everyones_counts(vm: Vm, mode: int) -> None:
    public(vm, mode)
    assert 0 == vm.run("check").returncode
    assert (0, "CLAUDE_FAILOVER OK - all 21 invariants hold") == first_line(vm, *NAGIOS)
    status = vm.run("status")
    assert 0 == status.returncode, said(status)


@MODES
@pytest.mark.thorough
def test_green_that_another_user_wrote_is_unknown_until_the_next_gate(vm: Vm, mode: int) -> None:
    report = public(vm, mode)
    vm.run("check")
    vm.diverge()
    os.chown(report, OTHER, GROUP)
    fix = f"uid {OTHER}, who could write anything there (fix: mv {report} {report}.aside)"
    assert unreadable(report, f"it belongs to {fix}") == first_line(vm, *NAGIOS)
    assert 1 == vm.run("check").returncode
    assert 0 == report.stat().st_uid
    assert 2 == vm.run(*NAGIOS).returncode


def test_green_that_another_user_could_have_changed_is_unknown(vm: Vm) -> None:
    vm.run("check")
    report = vm.report_path
    report.chmod(0o666)
    why = f"it can be written by everyone (fix: chmod go-w {report})"
    assert unreadable(report, why) == first_line(vm, *NAGIOS)


@pytest.mark.sampled(1)
@MODES
def test_old_green_of_the_users_own_that_was_put_back_is_unknown(vm: Vm, mode: int) -> None:
    """Who can write the directory cannot write as the user, but can move the user's files."""
    report = public(vm, mode)
    vm.run("check")
    report.rename(report.with_name("old"))
    vm.diverge()
    assert 1 == vm.run("check").returncode
    report.with_name("old").rename(report)
    why = "it is older than the last verdict, which was red: it was put back"
    assert (3, f"CLAUDE_FAILOVER UNKNOWN - {why}") == first_line(vm, *NAGIOS)
    status = vm.run("status", "--json")
    assert (1, True) == (status.returncode, why in status.stdout)


def test_symlink_of_another_user_is_not_followed_to_an_old_green(vm: Vm) -> None:
    report = public(vm, 0o1777)
    vm.run("check")
    green = vm.root / "green.json"
    shutil.move(report, green)
    report.symlink_to(green)
    assert (0, "CLAUDE_FAILOVER OK - all 21 invariants hold") == first_line(vm, *NAGIOS)
    os.lchown(report, OTHER, GROUP)
    vm.diverge()
    other = unreadable(report, "it is a symlink of another user's")
    assert other == first_line(vm, *NAGIOS)
    check = vm.run("check")
    published = f"the report cannot be published: {report}: it is a symlink of another user's"
    assert (70, f"  {published}") == (check.returncode, said(check)[-1])
    assert other == first_line(vm, *NAGIOS)


def test_history_that_another_user_wrote_is_neither_shown_nor_continued(vm: Vm) -> None:
    vm.run("check")
    history = vm.state / "history.json"
    os.chown(history, OTHER, GROUP)
    why = f"it belongs to uid {OTHER}, who could write anything there"
    refused = f"the history cannot be read: {history}: {why} (fix: mv {history} {history}.aside)"
    assert (70, f"launcher: {refused}") == first_line(vm, "history")
    vm.diverge()
    check = vm.run("check")
    assert (1, f"launcher: a new history was begun: {refused}\n") == (
        check.returncode,
        check.stderr,
    )
    assert 2 == len(said(vm.run("history"))), "the other user's line is in it"


VERBS = (
    ("check",),
    ("up",),
    ("down",),
    ("ensure",),
    ("ensure", "--dry-run"),
    ("adopt", "backup", "projects"),
    ("switch", "work", "backup"),
    ("run", "primary", "--", "true"),
    ("status",),
    ("status", "--format", "tap"),
    ("history",),
    ("watch",),
)


@pytest.mark.thorough
def test_every_verb_refuses_a_state_directory_that_others_can_write(vm: Vm) -> None:
    vm.write({"work": ["sleep", "600"]})
    vm.run("check")
    os.chown(vm.state, 0, GROUP)
    vm.state.chmod(0o2775)
    problem = f"{vm.inventory}: launcher.state: {vm.state} can be written by group {GROUP}"
    for verb in VERBS:
        done = vm.run(*verb)
        assert 78 == done.returncode, (verb, said(done))
        assert f"launcher: {problem} (fix: chmod go-w {vm.state})\n" == done.stderr
        assert [] == vm.processes()
    vm.state.chmod(0o755)
    assert 0 == vm.run("check").returncode


def test_report_beside_a_state_that_others_can_write_is_green_no_longer(vm: Vm) -> None:
    vm.run("check")
    vm.state.chmod(0o777)
    assert 3 == vm.run(*NAGIOS).returncode
    assert 78 == vm.run("check").returncode
    assert "unknown" == vm.report["verdict"]


@pytest.mark.parametrize("name", ["placements", "conversations", "sessions", "watches", "left"])
@pytest.mark.thorough
def test_directory_of_another_users_in_the_state_is_refused(vm: Vm, name: str) -> None:
    vm.run("check")
    place = vm.state / name
    place.mkdir(exist_ok=True)
    assert 0 == vm.run("check").returncode
    os.chown(place, OTHER, GROUP)
    belongs = f"{place} belongs to uid {OTHER}, who could write anything there"
    problem = f"launcher.state: {belongs} (fix: mv {place} {place}.aside)"
    assert (78, f"launcher: {vm.inventory}: {problem}") == first_line(vm, "check")


def test_sticky_state_directory_is_taken_as_long_as_nobody_else_is_in_it(vm: Vm) -> None:
    """A container's tmpfs is made like that by default, and nobody else is there."""
    vm.state.mkdir()
    vm.state.chmod(0o1777)
    assert 0 == vm.run("check").returncode
    placed = vm.state / "placements.of.another"
    placed.touch()
    assert 0 == vm.run("check").returncode
    os.chown(placed, OTHER, GROUP)
    problem = f"launcher.state: {placed} belongs to uid {OTHER} (fix: mv {placed} {placed}.aside)"
    assert (78, f"launcher: {vm.inventory}: {problem}") == first_line(vm, "check")


def test_state_directory_that_another_user_can_replace_is_refused(vm: Vm) -> None:
    vm.state = vm.root / "of" / "all" / "state"
    vm.state.mkdir(parents=True)
    vm.write()
    assert 0 == vm.run("check").returncode
    above = vm.state.parent
    above.chmod(0o777)
    why = f"can be replaced by everyone, who can write {above} (fix: chmod go-w {above})"
    problem = f"launcher: {vm.inventory}: launcher.state: {vm.state} {why}"
    assert (78, problem) == first_line(vm, "check")
    above.chmod(0o1777)
    assert 0 == vm.run("check").returncode


def test_fleet_reads_what_it_is_given(vm: Vm) -> None:
    """Its reports were brought by whoever fetches them."""
    vm.run("check")
    reports = vm.root / "reports"
    reports.mkdir()
    shutil.copy(vm.report_path, reports / "vm-1.json")
    os.chown(reports / "vm-1.json", OTHER, GROUP)
    reports.chmod(0o777)
    assert 0 == vm.run("fleet", str(reports), inventory=False).returncode


def given_to(vm: Vm, uid: int) -> None:
    """Let all that a launcher of *uid* would have written be that user's."""
    for path in (vm.inventory, vm.state, *vm.state.iterdir()):
        os.chown(path, uid, uid)


def test_root_may_ask_about_the_inventory_of_a_user_and_believes_that_user(vm: Vm) -> None:
    vm.run("check")
    given_to(vm, OTHER)
    assert (0, "CLAUDE_FAILOVER OK - all 21 invariants hold") == first_line(vm, *NAGIOS)
    assert 0 == vm.run("status").returncode
    assert 0 == vm.run("history").returncode
    os.chown(vm.report_path, OTHER + 1, GROUP)
    assert 3 == vm.run(*NAGIOS).returncode


def test_root_writes_nothing_for_the_inventory_of_a_user(vm: Vm) -> None:
    vm.run("check")
    given_to(vm, OTHER)
    for verb in (("check",), ("watch",), ("ensure", "--dry-run")):
        code, line = first_line(vm, *verb)
        assert 78 == code
        problem = f"belongs to uid {OTHER}, who could change what is run as you"
        assert f"launcher: {vm.inventory}: {problem}" == line


def test_root_asks_with_the_users_home_for_the_tilde(vm: Vm) -> None:
    daemon = pwd.getpwnam("daemon")
    vm.write(report="~/report.json")
    os.chown(vm.inventory, daemon.pw_uid, daemon.pw_gid)
    missing = f"no report yet at {daemon.pw_dir}/report.json: launcher check writes one"
    assert (3, f"CLAUDE_FAILOVER UNKNOWN - {missing}") == first_line(vm, *NAGIOS)


@pytest.fixture
def guarded() -> Iterator[Path]:
    """Return a new directory with nothing but root's above it."""
    place = Path(tempfile.mkdtemp(prefix="claude-failover-test-", dir="/var/lib"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_root_believes_the_owner_of_a_state_that_nobody_else_could_have_made(
    vm: Vm, guarded: Path
) -> None:
    """The inventory is root's; what the launcher of a user wrote is that user's."""
    for state in (guarded / "state", vm.root / "state"):
        vm.state = state
        vm.write()
        vm.run("check")
        for path in (vm.state, *vm.state.iterdir()):
            os.chown(path, OTHER, GROUP)
        is_guarded = vm.state.parent == guarded
        assert (0 if is_guarded else 3) == vm.run(*NAGIOS).returncode
        assert 78 == vm.run("check").returncode
    guarded.chmod(0o1777)
    vm.state = guarded / "state"
    vm.write()
    assert 3 == vm.run(*NAGIOS).returncode
