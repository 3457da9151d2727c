"""What the real CLI gives the processes that it starts, and that none of it reaches a session."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from launcher.sessions.environment import BESIDE, OF_A_CLIENT, outside
from tests.claude.cli import Cli, turns_of
from tests.claude.stub import ToolUse
from tests.claude.test_switch import answered
from tests.sessions.keeper import environment_of

HOOKS = ("SessionStart", "UserPromptSubmit", "PreToolUse", "Stop")
OF_A_SHELL = {"PWD", "OLDPWD", "SHLVL", "_", "SHELL", "LOGNAME"}


def show(path: Path) -> str:
    """Return the shell's line that writes its environment to *path*, whole or not at all."""
    words = shlex.quote(str(path))
    return f"env -0 > {words}.new && mv {words}.new {words}"


def shown(path: Path) -> dict[str, str]:
    """Return what a line of :func:`show` has written, without what any shell sets."""
    pairs = (entry.partition("=") for entry in path.read_text().split("\0") if entry)
    return {name: value for name, _, value in pairs if name not in OF_A_SHELL}


def set_hook(claude: Cli, account: str, *lines: tuple[str, str]) -> None:
    """Give an account a hook for each of *lines*, an event and the line that it runs."""
    hooks = {event: [{"hooks": [{"type": "command", "command": line}]}] for event, line in lines}
    (claude.vm.home(account) / "settings.json").write_text(json.dumps({"hooks": hooks}))


def test_list_has_all_that_a_client_sets_for_its_children(claude: Cli) -> None:
    places = {name: claude.vm.root / f"{name}.environ" for name in (*HOOKS, "Bash")}
    set_hook(claude, "primary", *((event, show(places[event])) for event in HOOKS))
    claude.stub.script(ToolUse("Bash", {"command": show(places["Bash"]), "description": "look"}))
    done = claude.run("primary", "look", "--permission-mode", "default")
    assert 0 == done.returncode, done.stdout + done.stderr
    own = {k: v for k, v in claude.environ("primary").items() if k not in OF_A_SHELL}
    for place, path in places.items():
        seen = shown(path)
        added = seen.keys() - own.keys()
        assert set(OF_A_CLIENT) & added, place
        assert added <= {*OF_A_CLIENT, *BESIDE, "CLAUDE_ENV_FILE"}, place
        assert own == outside(seen), place


@pytest.mark.parametrize("place", ["Bash", "Stop"])
def test_session_that_is_started_inside_a_session_keeps_its_transcript(
    claude: Cli, place: str
) -> None:
    for account in claude.vm.accounts:
        claude.log_in(account)
    claude.keep("hello from within")
    claude.stub.default = "kept of what is started within"
    inventory = str(claude.vm.inventory)
    up = [sys.executable, "-m", "launcher", "--inventory", inventory, "up", "--json"]
    told = claude.vm.root / "told"
    line = f"{shlex.join(up)} > {shlex.quote(str(told))} 2>&1"
    if place == "Bash":
        claude.stub.script(ToolUse("Bash", {"command": line, "description": "start it"}))
    else:
        set_hook(claude, "backup", (place, line))
    done = claude.run("backup", "start it", "--permission-mode", "default")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "green" == json.loads(told.read_text())["verdict"]
    (session,) = claude.vm.report["sessions"]
    assert "started" == session["state"], session
    (record,) = (claude.vm.state / "conversations").glob("*.json")
    conversation = json.loads(record.read_text())["conversation"]
    answered(claude, conversation, "hello from within")
    transcript = answered(claude, conversation, '"text":"kept of what is started within"')
    assert {"user", "assistant"} == {turn["type"] for turn in turns_of(transcript)}
    assert set() == set(OF_A_CLIENT) & set(environment_of(claude.pane().pid))
