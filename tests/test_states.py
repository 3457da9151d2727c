"""The ten states × three links × two accounts, from the tree to report, terminal and by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.links import LinkState
from tests.vm import LINKS, UNPRIVILEGED, Vm, snapshot

S = LinkState


def real_directory(vm: Vm, entry: Path) -> None:
    entry.mkdir()
    for number in range(4):
        (entry / f"{number}.jsonl").write_text(f"{number}")


def chained(vm: Vm, entry: Path) -> None:
    hop = vm.root / f"hop-{entry.name}"
    if not hop.is_symlink():
        hop.symlink_to(vm.target(entry.name))
    entry.symlink_to(hop)


MAKE: dict[LinkState, Callable[[Vm, Path], object]] = {
    S.SHARED: lambda vm, entry: entry.symlink_to(vm.target(entry.name)),
    S.MISSING: lambda vm, entry: None,
    S.EMPTY_DIRECTORY: lambda vm, entry: entry.mkdir(),
    S.REAL_DIRECTORY: real_directory,
    S.FILE: lambda vm, entry: entry.write_text("x"),
    S.SPECIAL: lambda vm, entry: os.mkfifo(entry),
    S.DIVERGENT: lambda vm, entry: entry.symlink_to("/nonexistent"),
    S.CHAINED: chained,
    S.LOOP: lambda vm, entry: entry.symlink_to(entry.name),
    S.UNREADABLE: lambda vm, entry: entry.mkdir(mode=0),
}


@pytest.mark.parametrize("account", ["primary", "backup"])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("state", LinkState)
def test_state_is_named_and_the_tree_left_as_it_was(
    vm: Vm, state: LinkState, link: str, account: str
) -> None:
    entry = vm.entry(account, link)
    entry.unlink()
    MAKE[state](vm, entry)
    watched = [vm.home("primary"), vm.home("backup"), vm.shared]
    before = snapshot(*watched) if state is not S.UNREADABLE else {}

    check = vm.run("check", prefix=UNPRIVILEGED)
    status = vm.run("status", "--json", prefix=UNPRIVILEGED)

    failures = vm.report["failures"]
    right = state is S.SHARED
    assert (0 if right else 1) == check.returncode == status.returncode
    assert ("green" if right else "red") == vm.report["verdict"]
    wanted = [] if right else [(account, link, str(state), "link_is_shared", None)]
    fields = ("account", "link", "state", "invariant", "session")
    assert wanted == [tuple(failure[field] for field in fields) for failure in failures]
    assert f'"{link}": "{state}"' in status.stdout
    if not right:
        assert f"{account} {link}: {state}\n" in check.stdout
        assert failures[0]["expected"] == f"symlink to {vm.target(link)}"
        assert failures[0]["fix"]
    if state is not S.UNREADABLE:
        assert before == snapshot(*watched)
    else:
        assert 0o40000 == entry.stat().st_mode
        entry.chmod(0o700)


@pytest.mark.parametrize("state", [state for state in LinkState if state is not S.UNREADABLE])
def test_pytest_by_hand_says_the_same_and_writes_nothing(vm: Vm, state: LinkState) -> None:
    for account in vm.accounts:
        for link in LINKS:
            vm.entry(account, link).unlink()
            MAKE[state](vm, vm.entry(account, link))
    watched = [vm.home("primary"), vm.home("backup"), vm.shared]
    before = snapshot(*watched)
    by_hand = vm.pytest("-q")
    assert before == snapshot(*watched)
    gate = vm.run("check")
    assert (0 if state is S.SHARED else 1) == by_hand.returncode == gate.returncode
    for failure in vm.report["failures"]:
        message = f"{failure['account']} {failure['link']}: {state}\n"
        message += f"  expected  {failure['expected']}\n  found     {failure['found']}\n"
        message += f"  fix       {failure['fix']}\n"
        assert message in by_hand.stdout


FIXED_BY_PASTING = [S.MISSING, S.EMPTY_DIRECTORY, S.REAL_DIRECTORY, S.FILE, S.SPECIAL]
FIXED_BY_PASTING += [S.DIVERGENT, S.CHAINED, S.LOOP]


@pytest.mark.parametrize("state", FIXED_BY_PASTING)
def test_fix_can_be_pasted_and_loses_nothing(vm: Vm, state: LinkState) -> None:
    entry = vm.entry("backup", "projects")
    entry.unlink()
    MAKE[state](vm, entry)
    kept = {content for *_, content in snapshot(vm.root).values() if content is not None}
    vm.run("check")
    (failure,) = vm.report["failures"]
    pasted = vm.shell(failure["fix"])
    assert (0, "") == (pasted.returncode, pasted.stderr)
    assert 0 == vm.run("check").returncode
    now = {content for *_, content in snapshot(vm.root).values()}
    vm.report_path.unlink()
    lost = {content for content in kept - now if content != str(vm.target("projects"))}
    assert set() == lost


class TestOneCauseOneFailure:
    """What breaks many things is told once, where it is mended."""

    @staticmethod
    def told(vm: Vm, **options: list[str]) -> list[tuple[str, str]]:
        vm.run("check", **options)  # type: ignore[arg-type]  # passed through
        return [
            (failure["nodeid"].rpartition("::")[2], failure["state"])
            for failure in vm.report["failures"]
        ]

    def test_missing_home(self, vm: Vm) -> None:
        vm.home("backup").rename(vm.root / "gone")
        assert [("test_home_is_usable[backup]", "missing")] == self.told(vm)

    def test_home_that_is_a_file(self, vm: Vm) -> None:
        vm.home("backup").rename(vm.root / "gone")
        vm.home("backup").write_text("x")
        assert [("test_home_is_usable[backup]", "not-a-directory")] == self.told(vm)

    def test_home_that_may_not_be_entered(self, vm: Vm) -> None:
        vm.home("backup").chmod(0o600)
        told = self.told(vm, prefix=UNPRIVILEGED)
        vm.home("backup").chmod(0o700)
        assert [("test_home_is_usable[backup]", "no-access")] == told

    def test_home_that_cannot_be_looked_at(self, vm: Vm) -> None:
        vm.home("backup").rename(vm.root / "gone")
        vm.home("backup").symlink_to(vm.home("backup"))
        assert [("test_home_is_usable[backup]", "unreadable")] == self.told(vm)

    def test_home_that_others_can_write(self, vm: Vm) -> None:
        vm.home("backup").chmod(0o703)
        assert [("test_home_is_usable[backup]", "writable-by-others")] == self.told(vm)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home away")
    def test_home_of_another_user(self, vm: Vm) -> None:
        os.chown(vm.home("backup"), 12345, 12345)
        assert [("test_home_is_usable[backup]", "not-yours")] == self.told(vm)

    def test_two_homes_that_are_one(self, vm: Vm) -> None:
        vm.home("backup").rename(vm.root / "gone")
        vm.home("backup").symlink_to(vm.home("primary"))
        assert [("test_home_is_usable[backup]", "same-home")] == self.told(vm)

    def test_missing_target(self, vm: Vm) -> None:
        vm.target("projects").rmdir()
        assert [("test_target_is_usable[projects]", "missing")] == self.told(vm)

    def test_missing_root_of_all_targets(self, vm: Vm) -> None:
        vm.shared.rename(vm.root / "gone")
        links = [f"test_target_is_usable[{link}]" for link in LINKS]
        assert [(link, "missing") for link in links] == self.told(vm)

    def test_target_that_is_a_file(self, vm: Vm) -> None:
        vm.target("projects").rmdir()
        vm.target("projects").write_text("x")
        assert [("test_target_is_usable[projects]", "not-a-directory")] == self.told(vm)

    def test_target_that_is_a_symlink(self, vm: Vm) -> None:
        vm.target("projects").rename(vm.root / "real")
        vm.target("projects").symlink_to(vm.root / "real")
        assert [("test_target_is_usable[projects]", "symlink")] == self.told(vm)

    def test_target_without_permissions(self, vm: Vm) -> None:
        vm.target("projects").chmod(0o500)
        told = self.told(vm, prefix=UNPRIVILEGED)
        assert [("test_target_is_usable[projects]", "no-access")] == told

    def test_two_targets_that_are_one(self, vm: Vm) -> None:
        (vm.root / "alias").symlink_to(vm.shared)
        vm.write(more=f'[shared.targets]\nprojects = "{vm.root}/alias/session-env"\n')
        for account in vm.accounts:
            vm.entry(account, "projects").unlink()
            vm.entry(account, "projects").symlink_to(vm.target("session-env"))
        assert [("test_target_is_usable[projects]", "same-target")] == self.told(vm)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
    def test_read_only_file_systems(self, vm: Vm) -> None:
        script = (
            f"mount --bind {vm.shared} {vm.shared} && mount -o remount,ro,bind {vm.shared} && "
            f"mount --bind {vm.home('backup')} {vm.home('backup')} && "
            f'mount -o remount,ro,bind {vm.home("backup")} && "$@"'
        )
        told = self.told(vm, prefix=["unshare", "--mount", "sh", "-c", script, "sh"])
        targets = [(f"test_target_is_usable[{link}]", "read-only") for link in LINKS]
        assert [("test_home_is_usable[backup]", "read-only"), *targets] == told
