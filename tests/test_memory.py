"""When a session is warned that it would ask before it writes its memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from invariants.client import Clients
from invariants.inventory import load
from invariants.memory import Memory
from invariants.memory_rules import rules
from invariants.warning import Warned
from tests import client
from tests.shell_lines import is_a_line_for_a_shell
from tests.vm import Vm

OWN = ["--settings", "mine.json"]


class World:
    """A VM with one session, and what is written into settings there."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.program = client.install(vm)
        self.managed = vm.root / "managed"
        self.managed.mkdir()
        self.write(*OWN)

    def write(self, *words: str, session_keys: str = "", **launcher: Any) -> None:
        """Write the inventory, with this command."""
        command = [str(self.program), *words]
        self.vm.write({"api": command}, session_keys=session_keys, **launcher)

    def settings(self, path: Path, **settings: Any) -> None:
        """Write a file of settings."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(settings))

    @property
    def home(self) -> Path:
        """The settings of the account that is asked about."""
        return self.vm.home("backup") / "settings.json"

    @property
    def rules(self) -> list[str]:
        """What the session would need there."""
        return list(rules(load(str(self.vm.inventory)), "backup", "primary"))

    def warned(self, account: str = "backup") -> Warned | None:
        """Return what the session is warned of under *account*."""
        inventory = load(str(self.vm.inventory))
        memory = Memory(inventory, Clients(str(self.managed)), self.vm.environ)
        warned = memory.warning(inventory.account(account), inventory.sessions[0])
        assert warned is None or is_a_line_for_a_shell(warned.fix), warned
        return warned


@pytest.fixture
def world(vm: Vm) -> World:
    return World(vm)


def test_session_that_the_launcher_can_help_is_not_warned(world: World) -> None:
    world.write("--verbose")

    assert world.warned() is None


def test_settings_of_its_own_are_told_with_the_rules_to_paste(world: World) -> None:
    warned = world.warned()

    assert warned is not None
    assert ("backup", "api", None) == (warned.account, warned.session, warned.link)
    assert "its command has --settings itself, and of two only one counts" in warned.found
    listed = ", ".join(f'"{one}"' for one in world.rules)
    assert f"cat {world.home}  # look: add to its permissions.allow: {listed}" == warned.fix
    assert 3 == len(world.rules)


@pytest.mark.parametrize("place", ["home", "project", "local", "managed", "drop-in"])
def test_rules_that_count_for_it_end_the_warning(world: World, place: str) -> None:
    project = world.vm.root / ".claude"
    path = {
        "home": world.home,
        "project": project / "settings.json",
        "local": project / "settings.local.json",
        "managed": world.managed / "managed-settings.json",
        "drop-in": world.managed / "managed-settings.d" / "ours.json",
    }[place]
    world.settings(path, permissions={"allow": ["Bash", *world.rules]})

    assert world.warned() is None


def test_only_what_is_missing_is_told(world: World) -> None:
    *some, last = world.rules
    world.settings(world.home, permissions={"allow": some})
    warned = world.warned()

    assert warned is not None
    assert f'cat {world.home}  # look: add to its permissions.allow: "{last}"' == warned.fix


@pytest.mark.parametrize(
    ("allow", "enough"),
    [
        (["Edit(//**)"], True),
        (["Edit(/ROOT/**)"], True),
        (["Edit(/ROOT/shared/**)"], False),
        (["Edit(/ROOT/shared/**)", "Edit(/ROOT/home-primary/**)"], False),
        (
            [f"Edit(/ROOT/{one}/**)" for one in ("shared", "home-primary", "home-backup/projects")],
            True,
        ),
        (["Edit(/ROOT/*/**)"], False),
        (["Edit(/ROO/**)"], False),
        (["Edit"], False),
        (["Edit(**)"], False),
        (["Read(//**)"], False),
        ([7, None], False),
        ("Edit(//**)", False),
    ],
)
def test_rule_around_them_is_enough(world: World, allow: object, enough: bool) -> None:
    text = json.dumps({"permissions": {"allow": allow}})
    world.home.write_text(text.replace("ROOT", str(world.vm.root)))

    assert enough == (world.warned() is None)


@pytest.mark.parametrize(
    "words",
    [
        ["--dangerously-skip-permissions"],
        ["--permission-mode", "bypassPermissions"],
        ["--permission-mode=bypassPermissions"],
        ["-p"],
    ],
)
def test_session_that_asks_nothing_is_not_warned(world: World, words: list[str]) -> None:
    world.write(*OWN, *words)

    assert world.warned() is None


@pytest.mark.parametrize(
    ("words", "local", "asks"),
    [
        ([], None, False),
        (["--permission-mode", "default"], None, True),
        (["--permission-mode=default"], None, True),
        ([], "default", True),
        (["--setting-sources", "user"], "default", False),
        (["--setting-sources=project,local"], None, True),
        (["--settings", '{"permissions": {"defaultMode": "default"}}'], None, True),
        (["--settings", "own.json"], None, True),
        (["--settings", "{"], None, False),
        (["--settings", "{}", "--settings", "{}"], None, False),
    ],
)
def test_mode_that_counts_first_decides(
    world: World, words: list[str], local: str | None, asks: bool
) -> None:
    world.write(*words, session_keys='conversation = "off"')
    mode = {"defaultMode": "bypassPermissions"}
    world.settings(world.home, permissions=mode)
    world.settings(world.vm.root / "own.json", permissions={"defaultMode": "plan"})
    if local is not None:
        path = world.vm.root / ".claude" / "settings.local.json"
        world.settings(path, permissions={"defaultMode": local})

    assert asks == (world.warned() is not None)
    assert world.warned("primary") is not None


@pytest.mark.parametrize("as_file", [True, False], ids=["file", "text"])
def test_rules_in_settings_of_its_own_end_the_warning(world: World, as_file: bool) -> None:
    rules = {"permissions": {"allow": world.rules}}
    world.settings(world.vm.root / "mine.json", **rules)
    own = ["--settings", "mine.json" if as_file else json.dumps(rules)]
    world.write(*own)
    assert world.warned() is None
    world.write(*own, *own)  # which of two counts is the version's choice
    assert world.warned() is not None


def test_home_that_is_not_read_is_no_place_for_the_rules(world: World) -> None:
    world.settings(world.home, permissions={"allow": world.rules})
    world.write(*OWN, "--setting-sources", "project")
    warned = world.warned()

    assert warned is not None
    assert warned.fix.startswith(
        "# add to permissions.allow in settings that its --setting-sources"
    )


def test_managed_settings_that_let_no_other_rules_count(world: World) -> None:
    world.write()
    world.settings(world.home, permissions={"allow": world.rules})
    path = world.managed / "managed-settings.json"
    world.settings(path, allowManagedPermissionRulesOnly=True)
    warned = world.warned()

    assert warned is not None
    assert f"{path} lets no other rules count" in warned.found
    assert f"cat {path}  # look: add to its permissions.allow: " in warned.fix
    allow = {"allow": world.rules}
    world.settings(path, allowManagedPermissionRulesOnly=True, permissions=allow)
    assert world.warned() is None


def test_wrapper_is_told(world: World) -> None:
    world.program.unlink()
    world.program.write_text('#!/bin/sh\nexec claude --settings mine.json "$@"\n')
    world.program.chmod(0o700)
    world.write()
    warned = world.warned()

    assert warned is not None
    assert f"{world.program} is not Claude Code itself" in warned.found


def test_command_that_is_run_as_it_is_written_is_told(world: World) -> None:
    world.write(session_keys='conversation = "off"')
    warned = world.warned()

    assert warned is not None
    assert 'conversation = "off" leaves its command as it is written' in warned.found


def test_command_that_leaves_no_room_is_told(world: World) -> None:
    world.write("x" * 5950)
    warned = world.warned()

    assert warned is not None
    assert "its command is too long for them" in warned.found


@pytest.mark.parametrize("what", ["home", "target"])
def test_path_that_no_rule_can_spell_is_told(world: World, what: str) -> None:
    world.write()
    text = world.vm.inventory.read_text()
    old = world.vm.home("backup") if what == "home" else world.vm.shared
    world.vm.inventory.write_text(text.replace(str(old), f"{old}[1]"))
    warned = world.warned()

    assert warned is not None
    assert f"no rule can spell {old}[1]/projects" in warned.found
    assert f"# use a path without * ? [ ] \\ and without a space at the end: {old}[1]/projects" == (
        warned.fix
    )
    assert (what == "home") == (world.warned("primary") is None)


def test_nothing_is_told_if_that_is_switched_off(world: World) -> None:
    world.write(*OWN, memory_rules=False)

    assert world.warned() is None


def test_nothing_is_told_if_projects_is_not_linked(world: World) -> None:
    text = world.vm.inventory.read_text()
    links = '[shared]\nlinks = ["file-history"]'
    world.vm.inventory.write_text(text.replace("[shared]", links))

    assert world.warned() is None


def test_settings_that_cannot_be_read_are_no_matter_of_it(world: World) -> None:
    project = world.vm.root / ".claude" / "settings.json"
    project.parent.mkdir()
    project.write_text("{")
    assert world.warned() is not None
    world.home.write_text("{")
    assert world.warned() is None


def test_gate_stays_green_and_warns(world: World) -> None:
    done = world.vm.run("check")

    assert 0 == done.returncode, done.stdout
    assert {("session_can_start_unattended", "api")} == {
        (one["invariant"], one["session"]) for one in world.vm.report["warnings"]
    }
    assert ["backup", "primary"] == [one["account"] for one in world.vm.report["warnings"]]
