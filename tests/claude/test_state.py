"""What else a conversation leaves in a home, beside what the three links share."""

from __future__ import annotations

import json
from uuid import uuid4

from tests.claude.cli import Cli
from tests.claude.stub import ToolUse
from tests.vm import LINKS

TODO = {"content": "feed the heron", "status": "pending", "activeForm": "feeding"}
TASK = {"subject": "feed the heron", "description": "now", "activeForm": "feeding"}
OF_A_SESSION = {"2.0.76": {"debug", "todos"}, "2.1.197": {"tasks"}}
"""Entries with something of the session's; the newest has none."""


def test_task_list_and_debug_log_stay_with_the_account(claude: Cli) -> None:
    session = str(uuid4())
    old = claude.version == "2.0.76"
    claude.stub.script(
        ToolUse("TodoWrite", {"todos": [TODO]}) if old else ToolUse("TaskCreate", TASK), "done"
    )
    claude.run("primary", "note it", "--session-id", session)
    home = claude.vm.home("primary")
    own = {path.relative_to(home).parts[0] for path in home.rglob(f"*{session}*")} - set(LINKS)
    assert OF_A_SESSION.get(claude.version, set()) == own


def test_instructions_of_the_user_are_the_accounts_and_memory_is_shared(claude: Cli) -> None:
    (claude.vm.home("primary") / "CLAUDE.md").write_text("Mind the heron.\n")
    memory = claude.vm.target("projects") / claude.folder / "memory"
    memory.mkdir(parents=True)
    (memory / "MEMORY.md").write_text("The pond is deep.\n")
    for account in ("primary", "backup"):
        claude.run(account, "hello")
        asked = json.dumps(claude.stub.turns[-1].body)
        assert (account == "primary") == ("Mind the heron." in asked)
        has_memory = claude.version != "2.0.76"
        assert has_memory == ("The pond is deep." in asked)
