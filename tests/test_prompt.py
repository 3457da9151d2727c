"""Whether a session that was just started is at its prompt."""

from __future__ import annotations

import pytest

import launcher.prompt
from launcher.interrupts import Interrupts
from launcher.prompt import why_not_ready
from launcher.sessions.survey import Survey
from tests.switching import Switching
from tests.vm import Vm


def asked(api: Switching, conversation: str) -> str | None:
    inventory = api.inventory
    survey = Survey(inventory, api.vm.environ)
    with Interrupts() as interrupts:
        return why_not_ready(survey, inventory.sessions[0], conversation, interrupts)


def test_note_with_the_conversation_is_ready_and_with_another_is_not(vm: Vm) -> None:
    api = Switching(vm)
    api.up()
    assert asked(api, api.conversation) is None
    other = f"it went over to another conversation, {api.conversation}"
    assert other == asked(api, "11111111-2222-3333-4444-555555555555")
    api.down()
    assert "it has ended" == asked(api, "11111111-2222-3333-4444-555555555555")


@pytest.mark.parametrize(
    ("line", "is_ready"),
    [("> ", True), ("❯", True), ("> what was said", True), ("❯ 1. Yes", False), ("❯ No", False)],
)
@pytest.mark.sampled(2)
def test_prompt_on_the_screen_is_ready_and_a_question_is_not(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, line: str, is_ready: bool
) -> None:
    """As Claude Code 2.0 shows them, which notes nothing."""
    monkeypatch.setattr(launcher.prompt, "PATIENCE", 5.0 if is_ready else 0.3)
    api = Switching(vm, "tmux")
    api.write(command=["sh", "-c", f"printf '%s\\n' '{line}'; exec sleep 600"])
    assert 0 == vm.run("up").returncode
    why = asked(api, "11111111-2222-3333-4444-555555555555")
    assert is_ready == (why is None)
    assert is_ready or "it is not at its prompt after 0.3 s; see: tmux" in str(why)
