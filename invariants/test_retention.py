"""Retention: how long the shared transcripts live under each home, and in each project."""

from __future__ import annotations

from invariants.model import Account, Session
from invariants.vm import Vm


def test_home_keeps_transcripts(account: Account, vm: Vm) -> None:
    """Every home lets transcripts live as long as the others: the shortest deletes everyone's.

    Why: the sweep goes through the links, and takes the transcripts of all accounts.
    Source: measured with 2.0.76 (`cleanupPeriodDays`, 30 where it is not set; 0 deletes all, and
    newer versions refuse it); upstream reports #74798, #90148. `[shared]` `retention_days` says
    how long it must be at least.
    To do: the same `cleanupPeriodDays` in every home's `settings.json`.
    """
    if vm.reachable(account):
        vm.expose(vm.retention.judge(account))


def test_project_keeps_transcripts(session: Session, vm: Vm) -> None:
    """No session's project shortens that life: its setting rules the transcripts of them all.

    Why: a session in a project whose settings say 7 deletes all that is older, of every project.
    Source: measured with 2.0.76: local settings win over the project's, these over the home's;
    upstream report #90148. For sessions whose program is `claude`.
    To do: raise or remove `cleanupPeriodDays` in the project's `.claude/`.
    """
    vm.expose(vm.retention.judge_project(session))
