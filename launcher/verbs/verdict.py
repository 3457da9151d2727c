"""How a gate's verdict is told by the verbs that run one, and the exit code it means.

They import it before they run it, and so all that it needs is loaded while the child works.
"""

from __future__ import annotations

from collections.abc import Sequence

from launcher.errors import ExitCode
from launcher.render import Painter, verdict_entries, verdict_text
from launcher.report import failover_key
from launcher.sessions import SessionStatus
from launcher.verbs.call import Call
from launcher.verdict import Gate

CODES = {"green": ExitCode.OK, "red": ExitCode.RED, "unknown": ExitCode.UNKNOWN}
"""The exit code of each verdict."""


def tell(call: Call, gate: Gate, sessions: Sequence[SessionStatus]) -> int:
    """Print a gate and what became of the sessions; return the exit code."""

    def text(paint: Painter) -> str:
        return verdict_text(gate, sessions, call.inventory, paint)

    if call.output.is_journal and not call.arguments.json:
        call.output.entries(verdict_entries(gate, sessions))
    else:
        call.print(failover_key(call.inventory, gate, sessions), text)
    call.interrupts.check()
    return CODES[gate.verdict.colour]
