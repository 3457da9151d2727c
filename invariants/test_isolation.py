"""Isolation: the files of a login, account × file."""

from __future__ import annotations

from invariants.model import Account
from invariants.vm import Vm


def test_login_is_isolated(account: Account, name: str, vm: Vm) -> None:
    """Every login's files are one home's alone: shared, one home logs the others out.

    Why: `.credentials.json` is renewed by replacing it, so that a link becomes a file, or a stale
    token logs everyone out; `.claude.json` holds who is logged in and what is trusted.
    Source: upstream reports #56339, #76561; both files are 0600 where Claude Code makes them.
    To do: what the failure's fix says; then log that account in again. None of the two is opened.
    """
    if vm.reachable(account):
        vm.expose(vm.isolation.judge(account, name))
