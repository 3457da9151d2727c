"""The launcher's sessions write their memory unasked, and nothing of the user's is lost by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from launcher.processes import command_line, identify
from tests.claude.cli import CALM, Cli, key_of
from tests.claude.known import Known
from tests.claude.stub import ToolUse
from tests.claude.test_switch import answered, start, switch
from tests.vm import wait_until


@pytest.fixture
def logged_in(claude: Cli) -> Cli:
    """Return the CLI with both accounts logged in, each with settings of its user's."""
    (claude.directory / "seen").mkdir()
    for account in claude.vm.accounts:
        claude.log_in(account)
        path = claude.vm.home(account) / "settings.json"
        path.write_text(json.dumps(of_the_user(claude, account)))
    project = claude.directory / ".claude" / "settings.json"
    project.parent.mkdir()
    project.write_text(json.dumps(of_the_user(claude, "project", line=False)))
    return claude


def of_the_user(claude: Cli, name: str, *, line: bool = True) -> dict[str, Any]:
    """Return settings with a permission, a hook and a status line that say *name*."""
    hook = {"type": "command", "command": touch(claude, "hook", name)}
    shown = {"type": "command", "command": f"echo 'line of {name}'"}
    return {
        "permissions": {"allow": [f"Bash({touch(claude, 'may', name)})"]},
        "hooks": {"UserPromptSubmit": [{"hooks": [hook]}]},
        **({"statusLine": shown} if line else {}),
    }


def touch(claude: Cli, what: str, name: str) -> str:
    """Return the command that leaves a trace."""
    return f"touch {claude.directory}/seen/{what}-{name}"


def traces(claude: Cli) -> set[str]:
    """Return the traces that were left, and forget them."""
    found = list((claude.directory / "seen").iterdir())
    for path in found:
        path.unlink()
    return {path.name for path in found}


def note(claude: Cli, home: str, name: str) -> ToolUse:
    """Return a write to the memory by the path that it has in a home."""
    path = claude.vm.home(home) / "projects" / claude.folder / "memory" / name
    return ToolUse("Write", {"file_path": str(path), "content": f"{name} was here.\n"})


def test_session_remembers_without_a_question_under_both_accounts(logged_in: Cli) -> None:
    claude = logged_in
    memory = claude.vm.target("projects") / claude.folder / "memory"
    claude.keep("remember the heron", allowed=())
    for account, words in (("primary", "begun"), ("backup", "went on"), ("primary", "back again")):
        # After a switch the conversation still names the home in which it began.
        names = {f"{account}-in-{home}.md": home for home in claude.vm.accounts}
        allowed = [touch(claude, "may", name) for name in (account, "project")]
        uses = [ToolUse("Bash", {"command": command}) for command in allowed]
        claude.stub.script(*(note(claude, home, name) for name, home in names.items()), *uses)
        claude.stub.script(words)
        if words == "begun":
            session = start(claude)
        else:
            assert "switched" == switch(claude, account)["outcome"]
        answered(claude, session, f'"{words}"')
        assert key_of(account) == claude.stub.turns[-1].key
        for name in names:
            assert f"{name} was here.\n" == (memory / name).read_text()
            (memory / name).unlink()
        pane = claude.pane()
        pane.wait_for(f"line of {account}")
        wanted = {f"{what}-{name}" for what in ("hook", "may") for name in (account, "project")}
        assert wanted == traces(claude)
    assert [] == claude.vm.report["warnings"]


def test_session_with_settings_of_its_own_gets_none_and_is_warned(
    logged_in: Cli, known: Known
) -> None:
    claude = logged_in
    own = json.dumps(of_the_user(claude, "own"))
    claude.keep("remember the heron", "--settings", own, allowed=())
    start(claude, note(claude, "primary", "heron.md"))
    pane = claude.pane()
    pane.wait_for("Do you want to create heron.md")
    assert {"hook-own", "hook-primary", "hook-project"} == traces(claude)
    process = identify(pane.pid)
    assert process is not None
    words = command_line(process)
    if known["`/proc/PID/cmdline` has the arguments"]:
        assert [own] == [words[n + 1] for n, word in enumerate(words) if word == "--settings"]
    told = {one["account"]: one for one in claude.vm.report["warnings"]}
    assert {"primary", "backup"} == set(told)

    rules = json.loads(f"[{told['primary']['fix'].rpartition('permissions.allow: ')[2]}]")
    settings_of_home = of_the_user(claude, "primary")
    settings_of_home["permissions"]["allow"] += rules
    (claude.vm.home("primary") / "settings.json").write_text(json.dumps(settings_of_home))
    assert 0 == claude.launch("check").returncode
    assert ["backup"] == [one["account"] for one in claude.vm.report["warnings"]]
    assert 0 == claude.launch("down").returncode
    start(claude, note(claude, "primary", "bittern.md"), "noted it")
    written = claude.vm.target("projects") / claude.folder / "memory" / "bittern.md"
    wait_until(written.exists, "it is written without a question", CALM)


def test_command_of_run_remembers_without_a_question(logged_in: Cli) -> None:
    claude = logged_in
    written = claude.vm.target("projects") / claude.folder / "memory" / "heron.md"
    claude.stub.script(note(claude, "primary", "heron.md"), "noted it")
    command = [str(claude.program), "-p", "hello", "--permission-mode", "default"]
    done = claude.launch("run", "backup", "--", *command, cwd=claude.directory)
    assert (0, "noted it\n") == (done.returncode, done.stdout), done.stderr
    assert "heron.md was here.\n" == written.read_text()
    assert {"hook-backup", "hook-project"} == traces(claude)
