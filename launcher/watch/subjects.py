"""What the watch looks at: what the invariants declare to read, the inventory and the report."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from invariants.declared import declared, invariant_of, key
from invariants.inventory import Inventory


class Concern(StrEnum):
    """What a change of a path means for the watch, if it does not concern a part of an input."""

    VM = "vm"
    INVENTORY = "inventory"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Subject:
    """A path: what it leads to, its place and its attributes.

    With ``content`` what it holds belongs to it too, or what the files directly in it hold; with
    ``names`` which names a directory has. ``about`` is what a change means: a :class:`Concern`, or
    the key of a part (:func:`invariants.declared.key`), which says whether the change counts.
    """

    path: str
    about: str = Concern.VM
    content: bool = False
    names: bool = False


def subjects(
    inventory: Inventory, environ: Mapping[str, str], only: Collection[str] | None = None
) -> Iterator[Subject]:
    """Yield all that the verdict on *inventory* depends on, the file and its report included.

    *only* names the parts that are asked for. Some subjects depend on what is on the disk, so
    that this may hang where a mount does.
    """
    invariants = None if only is None else {invariant_of(name) for name in only}
    for invariant, one in declared(inventory, environ, invariants):
        about = Concern.VM if one.part is None else key(invariant, one.part)
        if only is None or about in only:
            yield Subject(one.path, about, one.content, one.names)
    if only is None:
        for directory in inventory.settings.invariants:
            yield Subject(directory, content=True, names=True)
        yield Subject(inventory.path, Concern.INVENTORY, content=True)
        yield Subject(inventory.settings.report, Concern.REPORT, content=True)
