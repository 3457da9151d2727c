"""Targets: the one directory behind each link."""

from __future__ import annotations

from invariants.model import Link
from invariants.vm import Broken, Vm


def test_target_is_usable(link: Link, vm: Vm) -> None:
    """Every target is a directory that sessions can write, or state is dropped in silence.

    Why: a full path that leads to nothing costs the transcript, and Claude Code goes on.
    Source: measured, docs/broken-links.md.
    A target that was there before is not made anew: links that lead to it, records of
    conversations and `/etc/fstab` tell. One that lies where the launcher is installed goes with
    the next installation.
    To do: `launcher ensure` makes a missing one; mount what is read-only or vanished, give access
    where it lacks.
    """
    fault = vm.targets.fault(link)
    if fault is not None:
        raise Broken(fault)
    vm.targets.warn_of_mount(link, vm.warn)
