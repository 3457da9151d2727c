"""Logins: session × account, for the accounts that a session may be started under."""

from __future__ import annotations

import os

from invariants.logins import judge_session_login
from invariants.model import Account, Session
from invariants.vm import Vm


def test_session_is_logged_in(account: Account, session: Session, vm: Vm) -> None:
    """Every session's account is logged in, or it waits at a login that nobody answers.

    Why: Claude Code starts without a login, and says so on its screen alone. An account that the
    session's `failover` names and that is logged out is a warning: no session can move there.
    Another one may be logged out.
    Source: measured with three versions, docs/claude-code.md; clausona's report #95. For sessions
    whose program is `claude`. A key, a helper or a provider counts as a login, in the settings or
    in `pass_environment`; that a token has expired does not count: Claude Code renews it.
    To do: log in there with `/login`; or switch this off with the reason.
    """
    if not vm.reachable(account):
        return
    finding = judge_session_login(account, session, vm.option, vm.clients, os.environ)
    if finding is None or account.name == session.account:
        vm.expose(finding)
        return
    if account.name not in (session.failover or ()):
        return
    from invariants.warning import Warned  # where all is right no check needs it

    vm.warn(
        Warned(
            invariant=finding.invariant,
            found=f"no failover there: {finding.found}",
            fix=finding.fix,
            account=account.name,
            session=session.name,
        )
    )
