"""Single writer: what is live on the machine at this moment."""

from __future__ import annotations

from invariants.vm import Vm


def test_conversation_has_one_writer(vm: Vm) -> None:
    """No conversation is live in two processes: both would write on, and one side be lost.

    Why: Claude Code does not exclude a second process; the turns of one side drop out of context.
    Source: measured (field notes: "no mutual exclusion"); upstream reports #39151, #69364. Seen
    are `sessions/PID.json` of the homes, held against /proc, and command lines with `--resume` or
    `--session-id`. 2.0.76 shows neither.
    To do: end all of them but one.
    """
    vm.expose(vm.writers)
