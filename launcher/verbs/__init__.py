"""What each verb takes and does, one a file. A verb imports what it needs when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from launcher.verbs.call import Call, Verb

__all__ = ["VERBS", "Call", "Verb", "verb"]

VERBS: Mapping[str, str] = {
    "check": "run the gate and publish the report",
    "up": "run the gate; on green, start what does not run",
    "run": "run the gate; on green, become a command",
    "down": "stop sessions",
    "switch": "move a session and its conversation to another account",
    "status": "show accounts × links, sessions, and the last report",
    "history": "show what changed, and when",
    "fleet": "show many VMs by their reports, the worst first",
    "ensure": "create missing targets and links; refuse the rest",
    "adopt": "merge a real directory into the target, and link it",
    "watch": "keep the report true while the VM runs",
    "install": "put systemd's units in place for this inventory",
    "init": "propose an inventory from the homes that are found",
    "explain": "say what a state or an invariant means, and what to do",
    "completion": "print a shell's completion script",
    "man": "print the manual page",
}
"""Every verb, and what it does. It stands in the module of its name, which only a call imports."""


def verb(name: str) -> Verb:
    """Return the verb called *name*, one of ``VERBS``."""
    found: Verb = import_module(f"launcher.verbs.{name}").VERB
    return found
