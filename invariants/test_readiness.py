"""Readiness: account × session, for the accounts that a session may be started under."""

from __future__ import annotations

from invariants.model import Account, Session
from invariants.readiness import judge_readiness
from invariants.sessions import judge_directory
from invariants.vm import Vm


def test_session_can_start_unattended(account: Account, session: Session, vm: Vm) -> None:
    """Claude Code starts there without a question, since at a boot or a switch nobody answers.

    Why: the first start, a directory that is not trusted (default: no, exit) and the mode that
    bypasses permissions (default: no, exit) each stop at a dialog, in each home of its own.
    `settings.json` that is no JSON does so too. A session that would ask before it writes its
    memory, and cannot be given the rules that allow it (`launcher.memory_rules`), is a warning.
    Source: measured with three versions, docs/claude-code.md and tests/claude/test_readiness.py.
    For sessions whose program is `claude`, without `-p`, under each account of their `failover`.
    To do: start Claude Code once by hand with that home, in that directory, and answer. For the
    memory, add the rules that the warning lists to that home's settings.
    """
    if not vm.reachable(account):
        return
    if session.name in vm.judged_directories and judge_directory(session) is not None:
        return  # one cause, one failure: the directory's own check tells
    vm.expose(judge_readiness(account, session, vm.option, vm.clients))
    warned = vm.memory.warning(account, session)
    if warned is not None:
        vm.warn(warned)
