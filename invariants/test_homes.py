"""Homes: where each account's links stand."""

from __future__ import annotations

from invariants.homes import Homes
from invariants.model import Account
from invariants.plugin import Broken


def test_home_is_usable(account: Account, homes: Homes) -> None:
    """Every home is a directory of the user's alone: whoever can write it can turn its links."""
    fault = homes.fault(account)
    if fault is not None:
        raise Broken(fault.finding)
