"""What each version of Claude Code does: the one table that the tests and the documents read.

Data only. `tests/claude/known.py` reads it for the tests, which measure the same with the real
client; `make claude-docs` writes the tables of docs/claude-code.md and docs/broken-links.md from
it, and `make test` fails if a document says something else.

To take a new version: `make claude-next` shows what differs, VERSIONS and the columns here get it,
and `make claude-docs` brings the documents along.
"""

from __future__ import annotations

from collections.abc import Mapping

VERSIONS = ("2.1.332", "2.1.197", "2.1.150", "2.0.76")
"""What CI runs, newest first: the newest when this was measured, what npm takes by itself on node
20, an earlier 2.1, and the last 2.0. Each row below has one value for each, in this order."""

LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "2.1.150": {
        "test_broken_links": "27 slow cells, measured once: those of 2.1.197",
    },
}
"""Files of tests that a version does not run, and why."""

Value = bool | int | str

SELDOM = "gone, seldom kept"
"""Of a half of an answer: what was seen once, with one version, and every time but that."""

PROCESS: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "notes itself in `sessions/PID.json`": (True, True, True, False),
    "the note of `-p` has a `status`": (True, False, False, False),
    "`/proc/PID/cmdline` has the arguments": (True, True, True, False),
    "without a terminal, and without `-p`": ("ends", "ends", "ends", "ends"),
    "sign of the prompt": ("❯", "❯", "❯", ">"),
    "exit code at SIGHUP, with `-p`": (129, 129, 129, -1),
    "prompt of an answer that a signal cut is kept": (True, True, True, False),
    "half of an answer, at SIGINT": (*("kept, marked", SELDOM, SELDOM, "gone"),),
    "half of an answer, at SIGTERM": ("gone", "gone", "gone", "gone"),
    "half of an answer, at SIGHUP": ("gone", "gone", "gone", "gone"),
    "half of an answer, at SIGKILL": ("gone", "gone", "gone", "gone"),
}
"""How a running client can be seen, and how it ends. -1 is death by the signal."""

COMMANDS: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "SIGTERM, command in the foreground": ("ends", "survives", "survives", "survives"),
    "SIGTERM, command in the background": ("ends", "ends", "survives", "survives"),
    "SIGKILL, command in the foreground": ("survives", "survives", "survives", "survives"),
    "SIGKILL, command in the background": ("survives", "survives", "survives", "survives"),
}
"""What becomes of a command of the Bash tool when its client ends."""

CONVERSATION: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "a session without a prompt leaves an empty transcript": (False, False, False, True),
    "`--resume` finds an id from another directory": (True, False, False, False),
    "`/rewind` after `--resume` offers the code": (True, True, True, False),
    "`-p` deletes transcripts older than 30 days": (True, True, True, True),
    "`purge --all` takes a home's links, and leaves the transcripts": (
        *(True, True, True, "no such command"),
    ),
    "`purge DIRECTORY` deletes for all accounts": (True, True, True, "no such command"),
    "without a login `-p` says": (
        "Not logged in",
        "Not logged in",
        "Not logged in",
        "Invalid API key",
    ),
}
"""What becomes of a conversation: its id, its edits, its transcript, a prompt without a login."""

TRUST: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "the directory itself": ("counts", "counts", "counts", "counts"),
    "a parent of it, outside a git repository": ("counts", "counts", "counts", "counts"),
    "the root of its repository": ("counts", "counts", "counts", "counts"),
    "a parent of that root": ("asks", "counts", "counts", "counts"),
    "the repository of a worktree (if it knows the worktree)": (
        "counts",
        "counts",
        "counts",
        "asks",
    ),
    "a repository, for its submodule": ("asks", "counts", "counts", "counts"),
}
"""Whether a record of trust for a path lets a session start in a directory."""

HOME: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "entries of a session outside the three links": ("none", "tasks", "tasks", "debug, todos"),
    "tool for a list of things to do, with `-p`": ("none", "TaskCreate", "TaskCreate", "TodoWrite"),
    "has a memory, in `projects/…/memory`": (True, True, True, False),
}
"""What a home keeps of a session beside what the links share."""

MANAGED: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "the mode that bypasses permissions, in `managed-settings.json`": (
        *("asks", "asks", "asks", "asks"),
    ),
    "the same in `managed-settings.d/NAME.json`": ("asks", "asks", "asks", "not read"),
    "beside it, `skipDangerousModePermissionPrompt`": ("counts", "counts", "counts", "not read"),
}
"""What the machine's managed settings, in ``/etc/claude-code``, do to a start."""

_OF_TWO = ("the last", "the last", "the first", "the first")
SETTINGS: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "two `--settings`: whose `permissions` count": _OF_TWO,
    "two `--settings`: whose `hooks` run": _OF_TWO,
    "two `--settings`: whose `statusLine` is shown": _OF_TWO,
    "one beside home, project, local, managed: whose `permissions.allow` count": (
        *("all", "all", "all", "all"),
    ),
    "the same: whose `hooks` run": ("all", "all", "all", "all"),
    "the same: whose `statusLine` is shown": ("managed", "managed", "managed", "managed"),
    "the same without managed: whose `statusLine` is shown": (
        *("the option", "the option", "the option", "the option"),
    ),
    "one without a `statusLine`: whose is shown": ("local", "local", "local", "local"),
    "files that JSON as its value leaves in the temporary directory": (
        *("none", "none", "one", "one for each start"),
    ),
}
"""What one or two ``--settings`` do to the settings of home, project and machine."""

MEMORY: Mapping[str, tuple[Value, Value, Value, Value]] = {
    "`projects` is a real directory": (False, False, False, True),
    "`projects` is a symlink": (True, True, True, True),
    "the same, reading": (True, True, True, False),
    "a rule for the target": (True, True, True, True),
    "a rule for the home": (True, True, True, False),
    "both": (False, False, False, False),
    "both, reading": (False, False, False, False),
    "both, a directory above the target is a symlink, and the rule has its text": (
        *(True, True, True, False),
    ),
    "both, the same, and the rule has the real path": (False, False, False, False),
    "both, and the path is in the other home": (True, True, True, True),
    "the same with rules for every home": (False, False, False, False),
    "both, and `permissions.ask` in the home has one of them": (True, True, True, True),
    "both, and `allowManagedPermissionRulesOnly` in the managed settings": (
        *(True, True, True, False),
    ),
    "`Edit(//DIRECTORY/**)` for a directory around each of the two, in the home": (
        *(False, False, False, False),
    ),
    "no rule, `--permission-mode bypassPermissions`": (False, False, False, False),
}
"""Whether it asks before a file in ``projects/FOLDER/memory`` is written. 2.0.76 has no memory."""

TABLES = {
    "process": PROCESS,
    "commands": COMMANDS,
    "conversation": CONVERSATION,
    "trust": TRUST,
    "managed": MANAGED,
    "home": HOME,
    "settings": SETTINGS,
    "memory": MEMORY,
}
"""The tables of docs/claude-code.md, by the name in their marks."""

COST: Mapping[str, tuple[str, str, str]] = {
    "is missing": ("in that home only", "lost", "missing"),
    "is an empty directory": ("in that home only", "lost", "empty-directory"),
    "is a real directory": ("in that home only", "lost", "real-directory"),
    "is a file": ("nowhere", "lost", "file"),
    "dangles": ("nowhere", "lost", "divergent"),
    "leads elsewhere": ("elsewhere", "lost", "divergent"),
    "leads over a second link": ("shared", "kept", "chained"),
    "is a loop": ("nowhere", "lost", "loop"),
    "has a read-only target": ("nowhere", "lost", "no-access"),
}
"""What a broken entry costs, with every version and behind every link: where the state is then,
whether the next account has it, and what the gate calls it."""

SILENT = "rc 0, silent"
_FAILS = f"{SILENT}, tools fail"
ENDINGS: Mapping[tuple[str, str], tuple[str, str, str, str]] = {
    ("session-env", "is a file"): (SILENT, _FAILS, _FAILS, _FAILS),
    ("session-env", "dangles"): (SILENT, _FAILS, _FAILS, _FAILS),
    ("session-env", "is a loop"): (SILENT, _FAILS, _FAILS, "rc 1, `ELOOP`"),
    ("session-env", "has a read-only target"): (SILENT, _FAILS, _FAILS, _FAILS),
    ("file-history", "is a loop"): (SILENT, SILENT, SILENT, "rc 1, `ELOOP`"),
    ("projects", "is a file"): (SILENT, SILENT, SILENT, "rc 1, `ENOTDIR`"),
    ("projects", "dangles"): (SILENT, SILENT, SILENT, "rc 1, `ENOENT`"),
    ("projects", "is a loop"): (SILENT, SILENT, SILENT, "rc 1, `ELOOP`"),
    ("projects", "has a read-only target"): (SILENT, SILENT, SILENT, "rc 1, `EACCES`"),
}
"""How a session ends behind a link (exit code, standard error), if not always `SILENT`."""
