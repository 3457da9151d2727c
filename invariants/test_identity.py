"""Identity: whose login each home has."""

from __future__ import annotations

from invariants.model import Account
from invariants.vm import Vm


def test_login_is_its_own(account: Account, vm: Vm) -> None:
    """No two homes are logged in as the same account, or a failover meets the same limit again.

    Why: a limit belongs to a login, in one organization. A home without a login is right here.
    Source: `oauthAccount` in the home's `.claude.json`; clausona's report #16. The file is read
    once, and of the login only ids are compared: neither name nor address is in a report.
    To do: log out in one of the two and in as somebody else.
    """
    if vm.reachable(account):
        vm.expose(vm.identity.judge(account))
