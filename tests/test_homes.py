"""``Homes`` and ``Targets``: each fault named, with a fix, and each judged once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.homes import Homes
from invariants.model import Account, Link
from invariants.targets import Targets
from tests.places import NEEDS_ROOT
from tests.vm import UNPRIVILEGED, Vm


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory of the user's own, to be spoiled."""
    directory = tmp_path / "place"
    directory.mkdir(mode=0o700)
    return directory


def replaced_by_a_file(place: Path) -> None:
    place.rmdir()
    place.write_text("x")


def below_a_file(place: Path) -> None:
    place.rmdir()
    place.symlink_to("/etc/passwd/below")


def a_loop(place: Path) -> None:
    place.rmdir()
    place.symlink_to(place)


Spoil = Callable[[Path], object]

HOME_FAULTS: list[tuple[str, Spoil, str, str, bool]] = [
    ("gone", Path.rmdir, "missing", "nothing", True),
    ("dangling", below_a_file, "missing", "a symlink to /etc/passwd/below, which does not", True),
    ("a file", replaced_by_a_file, "not-a-directory", "not a directory", True),
    ("a loop", a_loop, "unreadable", "unreadable: Too many levels of symbolic links", True),
    ("mode 702", lambda place: place.chmod(0o702), "writable-by-others", "everyone can wr", False),
]


@pytest.mark.parametrize(
    ("spoil", "state", "found", "hides"),
    [row[1:] for row in HOME_FAULTS],
    ids=[row[0] for row in HOME_FAULTS],
)
def test_fault_of_a_home_is_named(
    place: Path, spoil: Spoil, state: str, found: str, hides: bool
) -> None:
    spoil(place)
    fault = Homes().fault(Account("backup", str(place)))
    assert fault is not None
    assert (state, hides) == (fault.finding.state, fault.hides_entries)
    assert fault.finding.found.startswith(found)
    assert ("home_is_usable", "backup") == (fault.finding.invariant, fault.finding.account)
    assert fault.finding.fix


def test_home_that_is_right_has_no_fault(place: Path) -> None:
    assert Homes().fault(Account("backup", str(place))) is None


def test_home_is_judged_once_so_that_all_its_checks_agree(place: Path) -> None:
    homes, account = Homes(), Account("backup", str(place))
    assert homes.fault(account) is None
    place.rmdir()
    assert homes.fault(account) is None


def test_second_of_two_homes_that_are_one_is_told_alone(place: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(place)
    homes = Homes()
    assert homes.fault(Account("primary", str(place))) is None
    fault = homes.fault(Account("backup", str(tmp_path / "alias")))
    assert fault is not None
    assert "the same directory as the home of primary" == fault.finding.found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_home_of_another_user_is_told(place: Path) -> None:
    os.chown(place, 12345, 12345)
    fault = Homes().fault(Account("backup", str(place)))
    assert fault is not None
    assert ("not-yours", "it belongs to uid 12345") == (fault.finding.state, fault.finding.found)


def test_missing_home_is_mended_by_a_command_for_the_same_inventory(place: Path) -> None:
    place.rmdir()
    fault = Homes(" --inventory /x.toml").fault(Account("backup", str(place)))
    assert fault is not None
    assert "launcher ensure --create-homes backup --inventory /x.toml" == fault.finding.fix


TARGET_FAULTS: list[tuple[str, Spoil, str, str]] = [
    ("gone", Path.rmdir, "missing", "nothing"),
    ("a file", replaced_by_a_file, "not-a-directory", "not a directory"),
    ("a symlink", below_a_file, "symlink", "a symlink to /etc/passwd/below"),
]


@pytest.mark.parametrize(
    ("spoil", "state", "found"),
    [row[1:] for row in TARGET_FAULTS],
    ids=[row[0] for row in TARGET_FAULTS],
)
def test_fault_of_a_target_is_named(place: Path, spoil: Spoil, state: str, found: str) -> None:
    spoil(place)
    finding = Targets().fault(Link("projects", str(place)))
    assert finding is not None
    assert (state, found) == (finding.state, finding.found)
    assert ("target_is_usable", "projects", None) == (
        finding.invariant,
        finding.link,
        finding.account,
    )


def test_target_that_is_right_has_no_fault(place: Path) -> None:
    assert Targets().fault(Link("projects", str(place))) is None


def test_second_of_two_targets_that_are_one_is_told_alone(place: Path, tmp_path: Path) -> None:
    (tmp_path / "above").symlink_to(tmp_path)
    targets = Targets()
    assert targets.fault(Link("projects", str(place))) is None
    finding = targets.fault(Link("tasks", str(tmp_path / "above" / "place")))
    assert finding is not None
    assert "the same directory as the target of projects" == finding.found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_target_of_another_user_is_not_mended_by_its_mode(place: Path) -> None:
    """chmod(1) is for the owner, whatever the mode."""
    script = (
        "from invariants.model import Link\nfrom invariants.targets import Targets\n"
        f"print(Targets().fault(Link('l', {str(place)!r})).fix)"
    )
    place.chmod(0o755)
    os.chown(place, 12345, 12345)
    command = [*UNPRIVILEGED, sys.executable, "-c", script]
    fix = f"chown {os.geteuid()} {place}\n"
    assert fix == subprocess.check_output(command, text=True)


def test_line_that_only_looks_says_so(place: Path) -> None:
    a_loop(place)
    fault = Homes().fault(Account("backup", str(place)))
    finding = Targets().fault(Link("projects", f"{place}/x"))
    assert fault is not None
    assert finding is not None
    look = "  # look: what on the way cannot be read"
    assert f"namei -l {place}{look}" == fault.finding.fix
    assert f"namei -l {place}/x{look}" == finding.fix
    place.unlink()
    place.symlink_to("nonexistent")
    fault = Homes().fault(Account("backup", str(place)))
    assert fault is not None
    assert fault.finding.fix.startswith(f"ls -ld {place}  # look: ")


@pytest.mark.parametrize(
    ("judge", "mode", "state"),
    [
        ("Homes().fault(Account('a', {place!r})).finding", 0o500, "no-access"),
        ("Homes().fault(Account('a', {place!r})).finding", 0o600, "no-access"),
        ("Homes().fault(Account('a', {place!r} + '/x')).finding", 0o600, "unreadable"),
        ("Targets().fault(Link('l', {place!r}))", 0o500, "no-access"),
        ("Targets().fault(Link('l', {place!r}))", 0o300, "no-access"),
        ("Targets().fault(Link('l', {place!r} + '/x'))", 0o600, "unreadable"),
    ],
)
def test_what_the_user_may_not_do_is_told(place: Path, judge: str, mode: int, state: str) -> None:
    script = (
        "from invariants.homes import Homes\nfrom invariants.model import Account, Link\n"
        f"from invariants.targets import Targets\nprint({judge.format(place=str(place))}.state)"
    )
    place.chmod(mode)
    try:
        command = [*UNPRIVILEGED, sys.executable, "-c", script]
        assert f"{state}\n" == subprocess.check_output(command, text=True)
    finally:
        place.chmod(0o700)


@NEEDS_ROOT
def test_home_whose_links_the_kernel_does_not_follow_is_one_failure(vm: Vm) -> None:
    home = vm.home("backup")
    script = f'mount --bind {home} {home} && mount -o remount,bind,nosymfollow {home} && exec "$@"'
    done = vm.run("check", "--json", prefix=["unshare", "--mount", "sh", "-c", script, "sh"])
    (failure,) = json.loads(done.stdout)["failures"]
    assert ("home_is_usable", "backup", "nosymfollow") == (
        failure["invariant"],
        failure["account"],
        failure["state"],
    )
    assert failure["fix"].startswith(f"findmnt -T {home}  # look: ")
