"""What the families of an inventory declare to read, and a digest of what of it counts."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import cast

from invariants.checks import FAMILIES
from invariants.digests import hexdigest
from invariants.documents import Unreadable
from invariants.inputs import Input, Part
from invariants.judges import Judges
from invariants.model import Inventory

Declaration = Callable[[Inventory, Mapping[str, str]], Iterator[Input]]
"""What a family has: from an inventory and the gate's environment to what it reads for them."""


def declaration(invariant: str) -> Declaration:
    """Return what declares the inputs of *invariant*. Raises AttributeError if nothing does."""
    module, _, function = FAMILIES[invariant].reads.partition(":")
    return cast(Declaration, getattr(importlib.import_module(f"invariants.{module}"), function))


def declared(
    inventory: Inventory, environ: Mapping[str, str], only: Collection[str] | None = None
) -> Iterator[tuple[str, Input]]:
    """Yield what the families that *inventory* has switched on read, each with its invariant.

    *only* names the invariants that are asked for; None stands for all. Some inputs depend on
    what is on the disk, so that this may hang where a mount does.
    """
    for invariant, family in FAMILIES.items():
        if family.name not in inventory.demands.off and (only is None or invariant in only):
            for one in declaration(invariant)(inventory, environ):
                yield invariant, one


def key(invariant: str, part: Part) -> str:
    """Return the name of a part that no other part of any family has."""
    return f"{invariant} {part.name}"


def invariant_of(name: str) -> str:
    """Return the invariant whose part has the key *name*."""
    return name.partition(" ")[0]


def counted(
    inventory: Inventory,
    environ: Mapping[str, str],
    judges: Judges,
    only: Collection[str] | None = None,
) -> dict[str, str]:
    """Return by its key a digest of each part, as *judges* have it; *only* names some keys.

    Two digests are equal if the parts are. A part that could not be read is left out, unless that
    is what its invariant says of it.
    """
    found: dict[str, str] = {}
    asked = None if only is None else {invariant_of(name) for name in only}
    for invariant, one in declared(inventory, environ, asked):
        if one.part is None:
            continue
        name = key(invariant, one.part)
        if name in found or (only is not None and name not in only):
            continue
        try:
            found[name] = _digest(one.part.value(judges))
        except Unreadable as error:
            found[name] = _digest(("unreadable", str(error)))
        except OSError:
            continue
    return found


def _digest(value: object) -> str:
    text = repr(_ordered(value)).encode("utf-8", "surrogatepass")
    return hexdigest(text)


def _ordered(value: object) -> object:
    """Return *value* in an order that is the same in every process."""
    if isinstance(value, Mapping):
        return sorted((repr(name), _ordered(one)) for name, one in value.items())
    if isinstance(value, set | frozenset):
        return sorted(repr(_ordered(one)) for one in value)
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    return value
