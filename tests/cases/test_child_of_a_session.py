"""``up`` is called inside a Claude Code session: the session that it starts is none of that one's.

A client that inherits ``CLAUDE_CODE_CHILD_SESSION`` keeps no transcript, and so no turn.
"""

from __future__ import annotations

import pytest

from tests.cases.vm import Work, said
from tests.sessions.keeper import environment_of
from tests.vm import Vm

PUBLIC = "anthropics/claude-code#73848, #80654, #72347; manaflow-ai/cmux#7700"
STARTED = "  work  primary  started"

INSIDE = {
    "CLAUDECODE": "1",
    "CLAUDE_CODE_CHILD_SESSION": "1",
    "CLAUDE_CODE_SESSION_ID": "22222222-2222-4222-8222-222222222222",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "CLAUDE_CODE_MESSAGING_TOKEN": "of-the-session-outside",
    "CLAUDE_PID": "4711",
}
OWN = {"CLAUDE_CODE_USE_BEDROCK": "0", "LANG": "C.UTF-8"}


@pytest.mark.parametrize("backend", ["process", "tmux"])
@pytest.mark.parametrize("around", [{}, INSIDE], ids=["from a shell", "inside a session"])
@pytest.mark.thorough
def test_session_has_nothing_of_the_session_in_which_up_was_called(
    vm: Vm, backend: str, around: dict[str, str]
) -> None:
    work = Work(vm, backend)
    done = vm.run("up", environ={**around, **OWN})
    assert 0 == done.returncode, said(done)
    assert 1 == sum(line.startswith(STARTED) for line in said(done)), said(done)
    (pid,) = work.pids
    seen = environment_of(pid)
    assert set() == set(INSIDE) & set(seen)
    assert {**OWN, "CLAUDE_CONFIG_DIR": str(vm.home("primary"))}.items() <= seen.items()


def test_command_of_run_has_nothing_of_it_either(vm: Vm) -> None:
    Work(vm)
    done = vm.run("run", "backup", "--", "env", environ={**INSIDE, **OWN})
    assert 0 == done.returncode, said(done)
    names = {line.partition("=")[0] for line in said(done)}
    assert set() == set(INSIDE) & names
    assert {*OWN, "CLAUDE_CONFIG_DIR"} <= names
