"""The collection: every builder of a healthy VM, by the name of what makes it special.

A builder is given a :class:`tests.healthy.world.World`, all right already, and changes it. To add
one, write it into the file it belongs to, under ``@healthy``.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.healthy.world import World

Builder = Callable[[World], None]
HEALTHY: dict[str, Builder] = {}


def healthy(builder: Builder) -> Builder:
    """Add *builder* to the collection, under its own name."""
    HEALTHY[builder.__name__] = builder
    return builder
