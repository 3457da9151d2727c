"""``launcher install`` with a stand-in for systemctl. ``tests/boot`` has the real one."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from invariants.inventory import load
from launcher.errors import WrongUsage
from launcher.install import install, owner_of
from launcher.units import UNITS, Owner
from tests.vm import Vm, snapshot

AT_ONCE = "claude-failover-spawn.socket claude-failover-died.path claude-failover-check.timer"
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >> "$0.calls"
mkdir -p "$0.enabled"
for name; do
    case "$name" in claude-failover*) ;; *) continue ;; esac
    case "$*" in
        *is-enabled*|*is-active*) [ ! -e "$0.enabled/$name" ] || exit 0 ;;
        *disable*) rm -f "$0.enabled/$name" ;;
        *enable*) touch "$0.enabled/$name" ;;
    esac
done
case "$*" in *is-enabled*|*is-active*) exit 1 ;; esac
case "$*" in
    *show-environment) echo LANG=C; echo 'NOTE=$'"'a b'"; cat "$0.path" 2>/dev/null ;;
    *show*Environment*) echo 'A=1 "B=x y"' "$(cat "$0.drop-in" 2>/dev/null)" ;;
esac
[ ! -e "$0.broken" ] || { echo "Failed to connect to bus" >&2; exit 1; }
"""
"""As systemctl(1): of several units, one that is enabled or active is enough for its yes."""


class Installation:
    """A user's units, and what systemctl was called with."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.folder = vm.user_home / ".config" / "systemd" / "user"
        self.program = vm.root / "bin" / "systemctl"
        self.program.parent.mkdir()
        self.program.write_text(SYSTEMCTL)
        self.program.chmod(0o755)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.program.parent}:{self.vm.environ['PATH']}"
        return self.vm.run("install", "--user", *options, environ={"PATH": path})

    def calls(self) -> list[str]:
        """Return what systemctl was asked to change, since the last look."""
        calls = Path(f"{self.program}.calls")
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [line for line in lines if " is-" not in line and " show" not in line]

    def units(self) -> set[str]:
        return {path.name for path in self.folder.glob("*")}

    def mark(self, what: str) -> None:
        Path(f"{self.program}.{what}").touch()

    def say(self, what: str, text: str) -> None:
        """Let systemctl tell a PATH: that of the manager, ``path``, or of a unit, ``drop-in``."""
        Path(f"{self.program}.{what}").write_text(f"PATH={text}\n")


@pytest.fixture
def installation(vm: Vm) -> Installation:
    return Installation(vm)


def test_units_are_written_and_enabled_once(installation: Installation) -> None:
    first = installation.run()
    assert (0, "") == (first.returncode, first.stderr)
    assert set(UNITS) == installation.units()
    assert [
        "--user daemon-reload",
        "--user enable claude-failover.service",
        f"--user enable --now {AT_ONCE}",
    ] == installation.calls()
    again = installation.run()
    assert (0, "nothing to do\n", []) == (again.returncode, again.stdout, installation.calls())


def test_changed_inventory_changes_the_units(installation: Installation) -> None:
    installation.run()
    installation.vm.write(timeout=200)
    changed = installation.run("--json")
    document = json.loads(changed.stdout)
    assert {"write", "run"} == {change["do"] for change in document["changes"]}
    assert ["--user daemon-reload"] == installation.calls()[3:]
    installation.vm.state = installation.vm.root / "moved"
    installation.vm.write()
    installation.run()
    watched = "--user try-restart claude-failover-died.path"
    assert ["--user daemon-reload", watched] == installation.calls()


def test_plan_writes_nothing(installation: Installation) -> None:
    plan = installation.run("--dry-run")
    assert 0 == plan.returncode
    assert f"would write {installation.folder}/claude-failover.service" in plan.stdout
    assert not installation.folder.exists()
    assert [] == installation.calls()


def test_removal_takes_what_was_written_and_nothing_else(installation: Installation) -> None:
    installation.run()
    other = installation.folder / "other.service"
    other.write_text("[Unit]\n")
    installation.calls()
    assert 0 == installation.run("--remove").returncode
    assert {"other.service"} == installation.units()
    assert [
        "--user disable claude-failover.service",
        f"--user disable --now {AT_ONCE} claude-failover-watch.service",
        "--user daemon-reload",
    ] == installation.calls()
    assert "nothing to do\n" == installation.run("--remove").stdout


def test_removal_that_was_cut_short_is_carried_on(installation: Installation) -> None:
    installation.run()
    (installation.folder / "claude-failover.service").unlink()
    (installation.folder / "claude-failover-check.timer").unlink()
    installation.calls()
    assert 0 == installation.run("--remove").returncode
    assert set() == installation.units()
    left = "claude-failover-spawn.socket claude-failover-died.path claude-failover-watch.service"
    assert [f"--user disable --now {left}", "--user daemon-reload"] == installation.calls()


def test_watch_takes_the_place_of_the_check_timer_and_back(installation: Installation) -> None:
    installation.run()
    installation.calls()
    assert 0 == installation.run("--watch").returncode
    boot = "claude-failover.service"
    at_once = "claude-failover-spawn.socket claude-failover-died.path"
    assert [
        "--user disable --now claude-failover-check.timer",
        f"--user enable {boot}",
        f"--user enable --now {at_once} claude-failover-watch.service",
    ] == installation.calls()
    assert "nothing to do\n" == installation.run("--watch").stdout
    assert 0 == installation.run().returncode
    assert "--user disable --now claude-failover-watch.service" == installation.calls()[0]


def test_program_that_the_unit_will_not_find_is_told(installation: Installation) -> None:
    """A unit has another PATH than a login shell, and at a boot nobody is there to see it."""
    (installation.vm.root / "own").mkdir()
    program = installation.vm.root / "own" / "mine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    installation.vm.write({"api": ["mine"], "docs": [str(program)]})
    told = installation.run("--dry-run")  # nothing tells of a PATH: nothing is said
    assert "red at the next boot" not in told.stdout

    installation.say("path", "/usr/bin:/bin")
    first = installation.run()
    assert 0 == first.returncode
    assert "red at the next boot: 1 by the PATH of the units" in first.stdout
    assert "no such executable in PATH (/usr/bin:/bin)" in first.stdout
    document = json.loads(installation.run("--json").stdout)
    assert ["api"] == [finding["session"] for finding in document["red_at_boot"]]

    installation.say("drop-in", f"{program.parent}:/bin")
    assert "nothing to do\n" == installation.run().stdout


@pytest.mark.parametrize("kind", ["edited", "foreign", "link", "dangling", "directory"])
@pytest.mark.parametrize("option", ["--json", "--remove"])
@pytest.mark.sampled(4)
def test_file_that_is_not_ours_is_refused(
    installation: Installation, kind: str, option: str
) -> None:
    installation.run()
    unit = installation.folder / "claude-failover.service"
    text = unit.read_text()
    unit.unlink()
    if kind == "edited":
        unit.write_text(f"{text}# mine\n")
    elif kind == "foreign":
        unit.write_text("[Service]\nExecStart=/bin/true\n")
    elif kind == "directory":
        unit.mkdir()
    else:
        target = installation.vm.root / "elsewhere.service"
        if kind == "link":
            target.write_text(text)
        unit.symlink_to(target)
    before = snapshot(installation.vm.root)
    refused = installation.run(option)
    assert 1 == refused.returncode
    assert f"mkdir {unit}.aside && mv -n {unit} {unit}.aside/" in refused.stdout
    after = snapshot(installation.vm.root)
    for path in (str(installation.program) + ".calls", str(installation.program.parent)):
        before.pop(path, None)
        after.pop(path, None)
    assert before == after


def test_units_of_another_user_are_refused(installation: Installation) -> None:
    installation.run()
    for path in installation.folder.iterdir():
        path.unlink()
    other = installation.folder / "claude-failover.service"
    other.write_text(unit_of("somebody"))
    refused = installation.run()
    assert 1 == refused.returncode
    assert "launcher install --remove --for somebody" in refused.stdout


def unit_of(owner: str) -> str:
    from launcher import units

    return units._marked("[Unit]\n", owner)


def test_manager_that_cannot_be_reached_is_told(installation: Installation) -> None:
    installation.mark("broken")
    failed = installation.run()
    assert 69 == failed.returncode
    assert "systemctl --user daemon-reload: Failed to connect to bus" in failed.stderr


def test_machine_without_systemctl_is_told(vm: Vm) -> None:
    failed = vm.run("install", "--user", environ={"PATH": str(vm.root / "nowhere")})
    assert 69 == failed.returncode
    assert "could not run systemctl --user daemon-reload: No such file" in failed.stderr


def test_folder_that_cannot_be_written_is_told(installation: Installation) -> None:
    (installation.vm.user_home / ".config").write_text("")
    failed = installation.run()
    assert 69 == failed.returncode
    assert "could not write " in failed.stderr


def test_wrong_inventory_is_told(installation: Installation) -> None:
    installation.vm.inventory.write_text("")
    assert 78 == installation.run().returncode


def test_owner_is_the_caller_or_named_by_root(monkeypatch: pytest.MonkeyPatch) -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    assert owner_of(None, True, {"HOME": "/h"}).home == "/h"
    assert owner_of(own, True, {}).manager == ["--user"]
    with pytest.raises(WrongUsage, match="run it as nobody"):
        owner_of("nobody", True, {})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    root = owner_of("root", False, {})
    assert (pwd.getpwnam("root").pw_dir, []) == (root.home, root.manager)
    with pytest.raises(WrongUsage, match="--for USER"):
        owner_of(None, False, {})
    with pytest.raises(WrongUsage, match="there is no user no-such-user"):
        owner_of("no-such-user", False, {})
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    with pytest.raises(WrongUsage, match="install --user"):
        owner_of("nobody", False, {})


@pytest.mark.parametrize(
    ("owner", "backend", "lingers"),
    [
        (Owner("nobody", "", by_user=False), "systemd", True),
        (Owner("nobody", "", by_user=False), "tmux", False),
        (Owner("nobody", "", by_user=True), "systemd", False),
        (Owner("root", "", by_user=False), "systemd", False),
    ],
)
def test_manager_that_keeps_sessions_is_to_outlive_the_last_login(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, owner: Owner, backend: str, lingers: bool
) -> None:
    owner = replace(owner, home=str(vm.user_home))
    vm.write(backend=backend)
    monkeypatch.setattr("launcher.install._LINGER", str(vm.root / "linger"))
    wanted = ("loginctl", "enable-linger", owner.name)
    inventory = load(str(vm.inventory))

    def plan() -> list[tuple[str, ...]]:
        changes = install(inventory, owner, vm.environ, dry_run=True)
        return [change.command for change in changes]

    assert lingers == (wanted in plan())
    (vm.root / "linger").mkdir()
    (vm.root / "linger" / owner.name).touch()
    assert wanted not in plan()
