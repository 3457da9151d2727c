"""Strays: homes of Claude Code that the inventory does not name."""

from __future__ import annotations

from invariants.strays import warn_of_silence
from invariants.vm import Vm


def test_no_home_is_left_out(vm: Vm) -> None:
    """No other home of the user keeps conversations of its own, which no account would find.

    Why: what was begun there cannot be resumed under any account, and nothing says so.
    Source: upstream report #27978 (`CLAUDE_CONFIG_DIR` ignored in places, so that `~/.claude` is
    used). Looked at are directories beside the homes, and `~/.claude…`. A mount there that does not
    answer is passed over, with a warning.
    To do: name it as an account and adopt its `projects`; or switch this off with the reason.
    """
    if vm.strays.silent:
        warn_of_silence(vm.strays.silent, vm.warn)
    vm.expose(vm.strays.finding)
