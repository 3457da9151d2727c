"""Homes: where each account's links stand."""

from __future__ import annotations

from invariants.model import Account
from invariants.vm import Broken, Vm


def test_home_is_usable(account: Account, vm: Vm) -> None:
    """Every home is a directory of the user's alone: whoever can write it can turn its links.

    Why: what stands in a home decides where Claude Code writes and what it runs.
    Source: docs/broken-links.md; for homes that are one or lie in one another, what `ensure` and
    `adopt` would do to one through the other.
    To do: what the failure's fix says; `launcher ensure --create-homes` makes a missing one.
    """
    fault = vm.homes.fault(account)
    if fault is not None:
        raise Broken(fault.finding)
