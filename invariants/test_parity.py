"""Parity: what a session may do, and what happens to it, under each account."""

from __future__ import annotations

from invariants.model import Account
from invariants.vm import Vm


def test_settings_are_equal(account: Account, vm: Vm) -> None:
    """Hooks and permissions are those of the first account, or a moved session acts otherwise.

    Why: a session that is moved would ask where it did not, or run without the hook that guards it.
    Source: `settings.json` is the home's own (docs/claude-code.md). Only where the inventory asks
    for it: `[invariants]` `parity = true`. Which keys differ is told, not what stands there.
    To do: make the two files agree.
    """
    if vm.reachable(account):
        vm.expose(vm.parity.judge(account))
