"""What else a conversation leaves in a home, beside what the three links share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from tests.claude.cli import Cli
from tests.claude.known import Known
from tests.claude.stub import ToolUse
from tests.vm import LINKS

TODO = {"content": "feed the heron", "status": "pending", "activeForm": "feeding"}
TASK = {"subject": "feed the heron", "description": "now", "activeForm": "feeding"}
LISTS: Mapping[str, Mapping[str, Any]] = {"TaskCreate": TASK, "TodoWrite": {"todos": [TODO]}}
"""Tools that keep a list, with something for it."""


def test_task_list_and_debug_log_stay_with_the_account(claude: Cli, known: Known) -> None:
    session = str(uuid4())
    claude.run("primary", "hello")
    tools = {tool["name"] for tool in claude.stub.turns[-1].body["tools"]}
    tool = next((name for name in LISTS if name in tools), "none")
    known.hold("tool for a list of things to do, with `-p`", tool)
    claude.stub.script(ToolUse(tool, LISTS.get(tool, {})), "done")
    claude.run("primary", "note it", "--session-id", session)
    home = claude.vm.home("primary")
    own = {path.relative_to(home).parts[0] for path in home.rglob(f"*{session}*")} - set(LINKS)
    found = ", ".join(sorted(own)) or "none"
    known.hold("entries of a session outside the three links", found)


def test_instructions_of_the_user_are_the_accounts_and_memory_is_shared(
    claude: Cli, known: Known
) -> None:
    (claude.vm.home("primary") / "CLAUDE.md").write_text("Mind the heron.\n")
    memory = claude.vm.target("projects") / claude.folder / "memory"
    memory.mkdir(parents=True)
    (memory / "MEMORY.md").write_text("The pond is deep.\n")
    for account in ("primary", "backup"):
        claude.run(account, "hello")
        asked = json.dumps(claude.stub.turns[-1].body)
        assert (account == "primary") == ("Mind the heron." in asked)
        known.hold("has a memory, in `projects/…/memory`", "The pond is deep." in asked)
