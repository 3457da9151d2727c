"""How the one report is told to programs and tickets: one format a file, all behind one call.

A format is a module with ``show(reading)``, from a :class:`~launcher.reading.Reading` to a
:class:`Shown`; two have ``show_fleet(fleet)`` beside it, for the reports of many VMs. It touches no
home, target or session: a monitor may ask every few seconds.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from launcher.fleet import Fleet
    from launcher.reading import Reading

FORMATS = ("nagios", "prometheus", "junit", "tap", "markdown")
FLEET_FORMATS = ("nagios", "prometheus")


class Shown(NamedTuple):
    """What a format makes of a reading: the text, and the exit code that goes with it."""

    text: str
    code: int


def shower(name: str) -> "Callable[[Reading], Shown]":
    """Return what shows a reading in the format *name*; only now its library is imported."""
    module = import_module(f"launcher.formats.{name}")
    return cast("Callable[[Reading], Shown]", module.show)


def fleet_shower(name: str) -> "Callable[[Fleet], Shown]":
    """Return what shows a fleet in the format *name*, one of ``FLEET_FORMATS``."""
    module = import_module(f"launcher.formats.{name}")
    return cast("Callable[[Fleet], Shown]", module.show_fleet)
