"""Whether anything was said in a conversation of which nothing is on disk.

A session that got no prompt leaves no transcript; so does one that does not keep it. The home's
``history.jsonl`` has each prompt typed in a terminal with its conversation's id. A variable that
switches transcripts off is in the process's environment, or in ``env`` of settings
(docs/claude-code.md).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from invariants.documents import Unreadable, read_object
from invariants.opening import open_at_once
from launcher.processes import Process

SWITCH_OFF = ("CLAUDE_CODE_CHILD_SESSION", "CLAUDE_CODE_SKIP_PROMPT_HISTORY")
"""With one of these Claude Code may keep no transcript, depending on its version."""

_OF_PROJECT = ("settings.json", "settings.local.json")
_TAIL = 4 * 1024 * 1024


def why_unkept(
    home: str, directory: str, processes: Iterable[Process], conversation: str
) -> str | None:
    """Return why turns of *conversation* may be missing, though it has no transcript; or None.

    *home* and *directory* are those of the session's *processes*. Raises OSError if the history
    cannot be read.
    """
    if _was_asked(home, conversation):
        return f"a prompt was typed in it ({home}/history.jsonl), and there is no transcript of it"
    for process in processes:
        for name in SWITCH_OFF:
            if name in _variables(process):
                return f"pid {process.pid} has {name} in its environment: it may keep no transcript"
    for path in (f"{home}/settings.json", *(f"{directory}/.claude/{name}" for name in _OF_PROJECT)):
        for name in SWITCH_OFF:
            if name in _settings_variables(path):
                return f"{path} sets {name}: it may keep no transcript"
    return None


def _settings_variables(path: str) -> Mapping[str, Any]:
    try:
        variables = (read_object(path, blank=True) or {}).get("env")
    except Unreadable:  # the client could not read it either
        return {}
    return variables if isinstance(variables, dict) else {}


def _was_asked(home: str, conversation: str) -> bool:
    """Tell whether the home's history has a prompt of *conversation*; a slash command is none."""
    try:
        with open_at_once(os.path.join(home, "history.jsonl")) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read(_TAIL).splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return False
    wanted = conversation.encode()
    for line in lines:
        if wanted not in line:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # torn, or cut at the front
        if isinstance(entry, dict) and entry.get("sessionId") == conversation:
            words = entry.get("display")
            if isinstance(words, str) and words.strip() and not words.startswith("/"):
                return True
    return False


def _variables(process: Process) -> set[str]:
    try:
        with open(f"/proc/{process.pid}/environ", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return set()
    return {os.fsdecode(word.partition(b"=")[0]) for word in words} if process.is_alive() else set()
