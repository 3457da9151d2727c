"""``init`` in a shell whose ``CLAUDE_CONFIG_DIR`` names a home that it would not look for."""

from __future__ import annotations

import json

import pytest

from tests.vm import Vm

PUBLIC = "anthropics/claude-code#67853, #1455"


@pytest.mark.parametrize("place", [".config/claude", "elsewhere/of mine"])
def test_home_that_the_shell_names_is_proposed(vm: Vm, place: str) -> None:
    home = vm.user_home / place
    (home / "projects").mkdir(parents=True, mode=0o700)
    (home / ".claude.json").write_text('{"hasCompletedOnboarding": true}')
    environ = {"CLAUDE_CONFIG_DIR": str(home)}
    done = vm.run("init", "--dry-run", "--json", environ=environ, inventory=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert [str(home)] == [account["home"] for account in json.loads(done.stdout)["accounts"]]


def test_home_of_another_shell_is_not(vm: Vm) -> None:
    (vm.user_home / "elsewhere" / "projects").mkdir(parents=True)
    done = vm.run("init", "--dry-run", "--json", inventory=False)
    assert 78 == done.returncode
    assert "CLAUDE_CONFIG_DIR" in done.stderr
