"""``check``: the gate, and its report."""

from __future__ import annotations

from launcher.verbs.call import Call, Verb, json_argument


def run(call: Call) -> int:
    """Run the gate, publish the report, start nothing."""
    from launcher import boot
    from launcher.verbs.verdict import tell

    gate, sessions = boot.check(call.inventory, call.environ, call.interrupts, call.child)
    return tell(call, gate, sessions)


VERB = Verb(json_argument, run, reports=True)
