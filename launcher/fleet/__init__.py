"""Many VMs, as their reports tell them: read here, one after another; nothing is connected to.

``sources`` finds what was fetched, ``told`` makes a :class:`Vm` of each, and a ``Gathering`` puts
them together: what is told twice, and what is expected and not told at all.
"""

from __future__ import annotations

from launcher.fleet.gathering import Gathering
from launcher.fleet.model import Fleet, Shared, Standing, Vm
from launcher.fleet.source import Source
from launcher.fleet.sources import sources
from launcher.fleet.telling import told

__all__ = ["Fleet", "Gathering", "Shared", "Source", "Standing", "Vm", "sources", "told"]
