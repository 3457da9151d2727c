"""The ten states × three links × two accounts, from the tree to report, terminal and by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.links import LinkState
from tests.adopt.world import unseen
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
    S.DIVERGENT: lambda vm, entry: entry.symlink_to("nonexistent"),
    S.CHAINED: chained,
    S.LOOP: lambda vm, entry: entry.symlink_to(entry.name),
    S.UNREADABLE: lambda vm, entry: entry.mkdir(mode=0),
}


ENTRIES = [(account, link) for account in ("primary", "backup") for link in LINKS]
ONE_OF_EACH = [(state, *ENTRIES[number % len(ENTRIES)]) for number, state in enumerate(LinkState)]
"""Every state once, and every entry at least once."""


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("state", "account", "link"),
    [
        pytest.param(
            *(state, account, link),
            marks=[] if (state, account, link) in ONE_OF_EACH else pytest.mark.thorough,
        )
        for state in LinkState
        for account, link in ENTRIES
    ],
)
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
        assert failures[0]["expected"] == str(vm.target(link))
        assert f"    expected  symlink to {vm.target(link)}\n" in check.stdout
        assert failures[0]["fix"]
    if state is not S.UNREADABLE:
        assert before == snapshot(*watched)
    else:
        assert 0o40000 == entry.stat().st_mode
        entry.chmod(0o700)


@pytest.mark.parametrize("state", [state for state in LinkState if state is not S.UNREADABLE])
@pytest.mark.thorough
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
        message += f"  expected  symlink to {failure['expected']}\n"
        message += f"  found     {failure['found']}\n"
        message += f"  fix       {failure['fix']}\n"
        assert message in by_hand.stdout


FIXED_BY_PASTING = [S.MISSING, S.EMPTY_DIRECTORY, S.REAL_DIRECTORY, S.FILE, S.SPECIAL]
FIXED_BY_PASTING += [S.DIVERGENT, S.CHAINED, S.LOOP]


@pytest.mark.parametrize("state", FIXED_BY_PASTING)
@pytest.mark.sampled(3)
def test_fix_can_be_pasted_and_loses_nothing(vm: Vm, state: LinkState) -> None:
    entry = vm.entry("backup", "projects")
    entry.unlink()
    MAKE[state](vm, entry)
    kept = {content for *_, content in snapshot(vm.root).values() if content is not None}
    vm.run("check")
    (failure,) = vm.report["failures"]
    adopts = failure["fix"].startswith("launcher adopt")
    pasted = vm.shell(" ".join([failure["fix"], *(unseen() if adopts else ())]))
    assert (0, "") == (pasted.returncode, pasted.stderr)
    assert 0 == vm.run("check").returncode
    now = {content for *_, content in snapshot(vm.root).values()}
    vm.report_path.unlink()
    lost = {content for content in kept - now if content != str(vm.target("projects"))}
    assert set() == lost


def fix_of(vm: Vm, **options: list[str]) -> str:
    """Return the fix of the one failure."""
    vm.run("check", **options)  # type: ignore[arg-type]  # passed through
    (failure,) = vm.report["failures"]
    fix: str = failure["fix"]
    return fix


@pytest.mark.parametrize("state", [S.FILE, S.SPECIAL, S.DIVERGENT])
@pytest.mark.sampled(1)
def test_fix_mends_though_earlier_fixes_left_their_names(vm: Vm, state: LinkState) -> None:
    entry = vm.entry("backup", "projects")
    entry.unlink()
    MAKE[state](vm, entry)
    entry.with_name("projects.aside").symlink_to("nonexistent")
    entry.with_name("projects.aside-2").mkdir()
    pasted = vm.shell(fix_of(vm))
    assert (0, "") == (pasted.returncode, pasted.stderr)
    assert 0 == vm.run("check").returncode
    assert "nonexistent" == os.readlink(entry.with_name("projects.aside"))
    assert os.path.lexists(entry.with_name("projects.aside-3"))


@pytest.mark.parametrize("state", [S.FILE, S.SPECIAL, S.DIVERGENT])
@pytest.mark.sampled(1)
def test_fix_that_is_pasted_too_late_fails_aloud(vm: Vm, state: LinkState) -> None:
    entry = vm.entry("backup", "projects")
    entry.unlink()
    MAKE[state](vm, entry)
    fix = fix_of(vm)
    entry.with_name("projects.aside").symlink_to("nonexistent")
    vm.report_path.unlink()
    before = snapshot(vm.root)
    pasted = vm.shell(fix)
    assert 1 == pasted.returncode
    assert f"{entry}.aside" in pasted.stderr
    assert "File exists" in pasted.stderr
    assert before == snapshot(vm.root)


STOP = "  # first end every Claude Code process of backup"
NOTES = {
    **dict.fromkeys(FIXED_BY_PASTING, ""),
    S.FILE: STOP,
    S.UNREADABLE: "  # look: what on the way cannot be read",
}


@pytest.mark.parametrize("state", NOTES)
@pytest.mark.sampled(3)
def test_fix_says_what_must_come_first_and_whether_it_only_looks(vm: Vm, state: LinkState) -> None:
    entry = vm.entry("backup", "projects")
    entry.unlink()
    MAKE[state](vm, entry)
    fix = fix_of(vm, prefix=UNPRIVILEGED)
    if state is S.UNREADABLE:
        entry.chmod(0o700)
    command, mark, note = fix.partition("  # ")
    assert NOTES[state] == mark + note
    assert command.endswith(str(entry) if state is S.UNREADABLE else str(vm.inventory))


def a_file(path: Path) -> None:
    path.rmdir()
    path.write_text("precious")


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.sampled(1)
def test_fix_of_a_home_that_is_a_file_can_be_pasted(vm: Vm, again: bool) -> None:
    home = vm.home("backup")
    for link in LINKS:
        vm.entry("backup", link).unlink()
    a_file(home)
    aside = home.with_name(f"{home.name}.before-home")
    if again:
        aside.symlink_to("nonexistent")
        aside = home.with_name(f"{home.name}.before-home-2")
    pasted = vm.shell(fix_of(vm))
    assert (0, "") == (pasted.returncode, pasted.stderr)
    assert 0 == vm.run("check").returncode
    assert "precious" == (aside / home.name).read_text()


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.sampled(1)
def test_fix_of_a_target_that_is_a_file_can_be_pasted(vm: Vm, again: bool) -> None:
    target = vm.target("projects")
    a_file(target)
    aside = target.with_name("projects.before-target")
    if again:
        aside.mkdir()
        aside = target.with_name("projects.before-target-2")
    pasted = vm.shell(fix_of(vm))
    assert (0, "") == (pasted.returncode, pasted.stderr)
    assert 0 == vm.run("check").returncode
    assert "precious" == (aside / "projects").read_text()


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
        assert [(link, "vanished") for link in links] == self.told(vm)

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

    def test_home_inside_another_over_a_symlink(self, vm: Vm) -> None:
        vm.home("backup").rename(vm.home("primary") / "inner")
        (vm.root / "alias").symlink_to(vm.home("primary"))
        vm.home("backup").symlink_to(vm.root / "alias" / "inner")
        assert [("test_home_is_usable[backup]", "inside-home")] == self.told(vm)

    def test_home_around_another(self, vm: Vm) -> None:
        vm.home("primary").rename(vm.home("backup") / "inner")
        vm.home("primary").symlink_to(vm.home("backup") / "inner")
        assert [("test_home_is_usable[backup]", "around-home")] == self.told(vm)

    def test_targets_inside_a_home_over_a_symlink(self, vm: Vm) -> None:
        vm.shared.rename(vm.home("backup") / "shared")
        vm.shared.symlink_to(vm.home("backup") / "shared")
        targets = [(f"test_target_is_usable[{link}]", "inside-home") for link in LINKS]
        assert targets == self.told(vm)

    def test_home_that_is_a_target(self, vm: Vm) -> None:
        vm.home("backup").rename(vm.root / "gone")
        vm.home("backup").symlink_to(vm.target("projects"))
        vm.target("projects").chmod(0o700)
        for link in LINKS:
            vm.entry("backup", link).symlink_to(vm.target(link))
        assert [("test_target_is_usable[projects]", "same-home")] == self.told(vm)

    def test_home_inside_a_target(self, vm: Vm) -> None:
        vm.home("backup").rename(vm.target("projects") / "inner")
        vm.home("backup").symlink_to(vm.target("projects") / "inner")
        assert [("test_target_is_usable[projects]", "around-home")] == self.told(vm)

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
        looks = "  # look: what must be mounted writable"
        assert all(one["fix"].endswith(looks) for one in vm.report["failures"])
