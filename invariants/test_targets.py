"""Targets: the one directory behind each link."""

from __future__ import annotations

from invariants.model import Link
from invariants.plugin import Broken
from invariants.targets import Targets


def test_target_is_usable(link: Link, targets: Targets) -> None:
    """Every target is a directory that sessions can write, or state is dropped in silence."""
    fault = targets.fault(link)
    if fault is not None:
        raise Broken(fault)
