"""A proposed inventory as a TOML file, with the comments that whoever edits it needs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from invariants.links import REQUIRED_SHARED
from launcher.proposal import Proposal, ProposedAccount, ProposedSession

_HEAD = """\
# The inventory of claude-failover: what `launcher init` found, for you to correct.
# What must hold then: `launcher check`. To make missing links: `launcher ensure --dry-run`.
"""

_TAIL = """\
[launcher]
# backend = "auto"                  # tmux where it is installed, else detached processes
# timeout = 30                      # seconds for the whole gate
"""


def toml(proposal: Proposal) -> str:
    """Return the text of the inventory that *proposal* describes."""
    blocks = [_HEAD, _shared(proposal)]
    blocks += [_account(account) for account in proposal.accounts]
    if len(proposal.accounts) == 1:
        blocks.append(
            "# A failover needs a second account: log in with CLAUDE_CONFIG_DIR=DIRECTORY claude,\n"
            "# then name its home here.\n"
        )
    if proposal.left_out:
        lines = [f"#   {_short(path)}: {why}" for path, why in proposal.left_out.items()]
        blocks.append("\n".join(["# Left out:", *lines, ""]))
    blocks.append(_sessions(proposal.sessions, proposal.accounts[0].name))
    return "\n".join([*blocks, _TAIL])


def _shared(proposal: Proposal) -> str:
    lines = ["[shared]", f"root = {_text(proposal.root)}    # a link's target is root/<link>"]
    if proposal.links != REQUIRED_SHARED:
        lines.append(f"links = [{', '.join(map(_quoted, proposal.links))}]")
    if proposal.targets:
        lines += ["", "[shared.targets]"]
        lines += [f"{_quoted(link)} = {_text(path)}" for link, path in proposal.targets.items()]
    return "\n".join([*lines, ""])


def _account(account: ProposedAccount) -> str:
    lines = ["[[accounts]]", f"name = {_quoted(account.name)}", f"home = {_text(account.home)}"]
    lines += [f"# now: {link} is {state}" for link, state in account.entries.items()]
    return "\n".join([*lines, ""])


def _sessions(sessions: Iterable[ProposedSession], account: str) -> str:
    """Return the sessions as comments: one that runs would be started a second time."""
    lines = []
    for session in sessions:
        lines += [f"# It runs in {_short(session.directory)} now: end it before `launcher up`."]
        lines += _session(session.name, session.account, session.directory)
    if not lines:
        lines = ["# What `launcher up` starts and keeps:"]
        lines += _session("api", account, os.path.expanduser("~/src/api"))
    return "\n".join([*lines, ""])


def _session(name: str, account: str, directory: str) -> list[str]:
    return [
        "# [[sessions]]",
        f"# name = {_quoted(name)}",
        f"# account = {_quoted(account)}",
        f"# directory = {_text(directory)}",
        '# command = ["claude"]',
    ]


def _short(path: str) -> str:
    """Return *path* as its user writes it, with ``~``; on one line, whatever it holds."""
    user = os.path.expanduser("~").rstrip("/")
    inside = user and path.startswith(f"{user}/") and path[len(user) + 1 :]
    short = f"~/{inside}" if inside else path
    return short if short.isprintable() else ascii(short)


def _text(path: str) -> str:
    return _quoted(_short(path))


def _quoted(text: str) -> str:
    """Return a TOML string: what can be printed is spelled as in JSON."""
    return json.dumps(text, ensure_ascii=False)
