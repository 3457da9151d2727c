"""The environment of a session: what it has of the launcher's, and what is kept back.

A launcher may be called from anywhere: a login shell, a unit, a command or a hook of a Claude Code
session. What Claude Code tells the processes that it starts is about that one session. A client
that inherits it takes itself for a part of that session; with ``CLAUDE_CODE_CHILD_SESSION`` it
keeps no transcript, so that nothing could be resumed.
"""

from __future__ import annotations

from collections.abc import Mapping

from invariants.model import Account, Session
from invariants.programs import has_conversation
from launcher.sessions.groups import VARIABLE
from launcher.spawner import VARIABLE as SPAWNER

SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
"""What would make a session work for another login than its account's."""

OURS = frozenset(
    {"TMUX", "TMUX_PANE", "TMUX_TMPDIR", "NOTIFY_SOCKET", "JOURNAL_STREAM", "INVOCATION_ID"}
    | {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID", "MAINPID"}
    | {VARIABLE, SPAWNER}
)
"""What systemd, tmux, or the session that it runs in told the launcher about itself."""

OF_A_CLIENT = (
    # Seen in the Bash tool, hooks, the status line and MCP servers, with -p and in a terminal.
    *("AI_AGENT", "CLAUDECODE", "CLAUDE_EFFORT", "CLAUDE_PID", "CLAUDE_PROJECT_DIR"),
    *("CLAUDE_CODE_CHILD_NOTES_DIR", "CLAUDE_CODE_CHILD_SESSION", "CLAUDE_CODE_ENTRYPOINT"),
    *("CLAUDE_CODE_EXECPATH", "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS"),
    *("CLAUDE_CODE_MESSAGING_SOCKET", "CLAUDE_CODE_MESSAGING_TOKEN"),
    *("CLAUDE_CODE_SESSION_ATTENDED", "CLAUDE_CODE_SESSION_ID"),
    *("CLAUDE_PLUGIN_DATA", "CLAUDE_PLUGIN_ROOT"),  # hooks of plugins
    # Seen in background sessions (claude --bg) and in their Bash tool.
    *("CLAUDE_BG_BACKEND", "CLAUDE_BG_RENDEZVOUS_SOCK", "CLAUDE_BG_SOCKET_TOKENS_PATH"),
    *("CLAUDE_BG_SOURCE", "CLAUDE_CODE_HOST_SHORT_TEMP_DIRS", "CLAUDE_CODE_SESSION_KIND"),
    *("CLAUDE_CODE_SESSION_NAME", "CLAUDE_JOB_DIR"),
    # Read in the program of 2.1.332, not seen.
    *("CLAUDE_CODE_BRIDGE_SESSION_ID", "CLAUDE_CODE_INVOKED_SKILLS"),
    "CLAUDE_CODE_STARTER_MAY_HOLD_CONNECTOR_FILE",
)
"""What Claude Code sets for the processes that it starts, and nobody else has a reason to set.

Measured with 2.1.332, 2.1.197 and 2.0.76 (docs/claude-code.md, "What its children inherit");
tests/claude/test_environment.py compares the list with what these versions set.
"""

BESIDE = {
    "BROWSER": "true",
    "BUN_ENABLE_CRASH_REPORTING": "0",
    "COREPACK_ENABLE_AUTO_PIN": "0",
    "GIT_EDITOR": "true",
    "NoDefaultCurrentDirectoryInExePath": "1",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
}
"""What it sets beside them to this value. A user may set them too: only in a client's child is the
value the client's."""

_ENV_FILE = "CLAUDE_ENV_FILE"  # a user's own script, or a SessionStart hook's file of one session
_OF_ONE_SESSION = "/session-env/"

WITHOUT_TRANSCRIPT = "CLAUDE_CODE_SKIP_PROMPT_HISTORY"
"""Makes Claude Code keep no transcript: a session could not be resumed after its end."""

NO_AGENT_VIEW = "CLAUDE_CODE_DISABLE_AGENT_VIEW"
"""Switches Claude Code's background sessions off, and the ``←`` that begins one.

A conversation that is handed over to one is written by a process that no launcher started and that
comes back after a kill; a session that runs unattended does without (docs/claude-code.md).
"""

KEPT_BACK = (*SECRETS, *OF_A_CLIENT, *BESIDE, _ENV_FILE, WITHOUT_TRANSCRIPT)
"""Every name that a session's own environment decides on, whatever a tmux server has."""


def outside(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* as it would be if no Claude Code had started the process that has it.

    >>> outside({"CLAUDECODE": "1", "GIT_EDITOR": "true", "CLAUDE_CODE_USE_BEDROCK": "1"})
    {'CLAUDE_CODE_USE_BEDROCK': '1'}
    >>> outside({"GIT_EDITOR": "true"})
    {'GIT_EDITOR': 'true'}
    """
    left_out = {name for name in OF_A_CLIENT if name in environ}
    if left_out:
        left_out |= {name for name, value in BESIDE.items() if environ.get(name) == value}
    if _OF_ONE_SESSION in environ.get(_ENV_FILE, ""):
        left_out.add(_ENV_FILE)
    return {name: value for name, value in environ.items() if name not in left_out}


def session_environment(
    session: Session, account: Account, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of *session*: the launcher's, with the account's home.

    Left out are the credentials of ``SECRETS``, ``OURS``, what :func:`outside` leaves out, and
    ``WITHOUT_TRANSCRIPT``, unless the session's ``pass_environment`` names them. A session with a
    conversation gets ``NO_AGENT_VIEW``, unless it has ``agent_view`` or the variable is set.

    >>> from invariants.model import Account, Session
    >>> session, home = Session("api", "a", "/src", ("claude",)), Account("a", "/home/a")
    >>> session_environment(session, home, {"ANTHROPIC_API_KEY": "sk-…", "LANG": "C"})
    {'CLAUDE_CODE_DISABLE_AGENT_VIEW': '1', 'LANG': 'C', 'CLAUDE_CONFIG_DIR': '/home/a'}
    """
    held = {*SECRETS, *OURS, WITHOUT_TRANSCRIPT}
    kept = {name: value for name, value in outside(environ).items() if name not in held}
    named = {name: environ[name] for name in session.pass_environment if name in environ}
    own = {NO_AGENT_VIEW: "1"} if has_conversation(session) and not session.agent_view else {}
    return {**own, **kept, **named, "CLAUDE_CONFIG_DIR": account.home}
