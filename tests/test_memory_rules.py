"""The rules for a linked memory: which there are, and which command is given them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from invariants.command_line import named_in, of_a_client, opened_by
from invariants.inventory import Inventory
from invariants.memory_rules import options, options_of, rules, settings
from invariants.schema import decode
from tests import client

ID = "11111111-2222-3333-4444-555555555555"


class Ground:
    """A directory with Claude Code in it, and inventories that stand beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program = client.put(root / "claude", "#!/bin/sh\nexec sleep 600\n")

    def inventory(self, *homes: str, shared: str = "shared", **more: Any) -> Inventory:
        """Return one with a home for each name, and with *more* tables."""
        document = {
            "shared": {"root": str(self.root / shared), **more.pop("shared_keys", {})},
            "accounts": [{"name": f"a{n}", "home": f"/h/{one}"} for n, one in enumerate(homes)],
            **more,
        }
        inventory, wrong = decode(document, str(self.root / "failover.toml"))
        assert [] == wrong
        return inventory

    def session(self, *words: str, launcher: dict[str, Any] | None = None, **keys: Any) -> Any:
        """Return what a session gets whose command is ``claude`` with these words."""
        command = [str(self.program), *words]
        session = {"name": "s", "account": "a1", "directory": "/w", "command": command, **keys}
        inventory = self.inventory("one", "two", sessions=[session], launcher=launcher or {})
        return options_of(inventory, inventory.sessions[0], command[0])


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def rule(directory: str) -> str:
    return f"Edit(/{directory}/*/memory/**)"


def test_there_is_one_for_the_target_and_for_each_home(ground: Ground) -> None:
    wanted = [f"{ground.root}/shared/projects", "/h/one/projects", "/h/two/projects"]

    assert [*map(rule, wanted)] == list(rules(ground.inventory("one", "two")))


def test_target_is_named_as_the_kernel_resolves_it(ground: Ground) -> None:
    (ground.root / "real").mkdir()
    (ground.root / "link").symlink_to("real")
    (first, _) = rules(ground.inventory("one", shared="link"))

    assert rule(f"{ground.root}/real/projects") == first


def test_there_is_none_where_projects_is_not_linked(ground: Ground) -> None:
    assert () == rules(ground.inventory("one", shared_keys={"links": ["file-history"]}))


@pytest.mark.parametrize("name", ["a*", "a?b", "a[1]", "a\\b", "a /b", "a "])
def test_path_that_means_something_else_in_a_rule_gets_none(ground: Ground, name: str) -> None:
    inventory = ground.inventory("one", f"{name}/x", "three")

    assert 3 == len(rules(inventory))
    assert () == rules(ground.inventory("one", shared=f"{name}/x"))


@pytest.mark.parametrize("name", ["a b", "a(1)", "a{b,c}", "#a", "!a", "ä", "a'\"b", "$a&|<>`;"])
def test_other_path_gets_its_own(ground: Ground, name: str) -> None:
    (_, second) = rules(ground.inventory(name))

    assert rule(f"/h/{name}/projects") == second


def test_target_whose_bytes_are_no_text_gets_none(ground: Ground) -> None:
    real = os.fsencode(ground.root) + b"/\xff"
    os.mkdir(real)
    os.symlink(real, ground.root / "link")

    assert () == rules(ground.inventory("one", shared="link"))


def test_account_that_is_asked_for_comes_first_if_there_is_no_room_for_all(ground: Ground) -> None:
    inventory = ground.inventory(*(f"{n}-{'x' * 100}" for n in range(100)))
    found = rules(inventory, "a98", "a99")

    assert [f"Edit(//h/{n}-" for n in (98, 99, 0)] == [one.partition("x")[0] for one in found[1:4]]
    assert 6000 - 200 < len(settings(found)) <= 6000
    assert () == rules(inventory, room=200)


def test_session_of_claude_code_is_given_them_its_own_account_first(ground: Ground) -> None:
    option, text = ground.session("--verbose", "go on")

    assert "--settings" == option
    (target, first, second) = json.loads(text)["permissions"]["allow"]
    assert ("//h/two/" in first, "//h/one/" in second) == (True, True)
    assert f"Edit(/{ground.root}/shared/projects/*/memory/**)" == target


@pytest.mark.parametrize(
    "words",
    [["--settings", "mine.json"], ["--settings=mine.json"], ["-p", "hi", "--settings", "{}"]],
)
def test_command_with_settings_of_its_own_gets_none(ground: Ground, words: list[str]) -> None:
    assert () == ground.session(*words)


def test_command_that_is_run_as_it_is_written_gets_none(ground: Ground) -> None:
    assert () == ground.session(conversation="off")


def test_wrapper_gets_none(ground: Ground) -> None:
    ground.program = ground.root / "bin" / "claude"
    ground.program.parent.mkdir()
    ground.program.write_text('#!/bin/sh\nexec claude --settings mine.json "$@"\n')
    ground.program.chmod(0o700)

    assert () == ground.session()
    assert () == ground.session(conversation=ID)


def test_program_of_another_name_gets_none(ground: Ground) -> None:
    ground.program = ground.program.rename(ground.root / "wrapper")

    assert () == ground.session(conversation=ID)


def test_none_are_given_if_that_is_switched_off(ground: Ground) -> None:
    assert () == ground.session(launcher={"memory_rules": False})


def test_long_command_leaves_room_for_fewer_or_none(ground: Ground) -> None:
    assert 2 == len(ground.session("x" * 5000))
    assert () == ground.session("x" * 5950)


@pytest.mark.parametrize("option", ["--session-id", "--resume"])
def test_readers_of_a_command_line_find_the_same_conversation(ground: Ground, option: str) -> None:
    inventory = ground.inventory("--resume/launcher", "-r/--session-id")
    given = options(inventory, ["claude"], str(ground.program))
    words = [str(ground.program), option, ID, *given, "--verbose"]

    assert 2 == len(given)
    assert ID == named_in(words) == opened_by(words).conversation
    assert words == of_a_client(words)
    assert named_in([words[0], *given, "hello"]) is None
