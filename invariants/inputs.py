"""What an invariant reads, as its family declares it beside its judge.

The watch looks at these paths and at no others. A path that a family reads and does not declare
would be seen only when the watch's interval is over, so a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from invariants.judges import Judges

PROCESSES = "/proc"
"""The input that stands for the processes of the machine, of which no path tells."""


class Part(NamedTuple):
    """What counts of one or more inputs; a change that leaves it as it was changes no verdict.

    ``name`` is unique in its invariant. ``value`` returns what counts, as strings, numbers, None
    and collections of these. It asks the judges that it is given and reads nothing past them: the
    judges of a gate then say what this gate has judged. It may raise Unreadable or an OSError.
    ``words`` name the part in the documentation.
    """

    name: str
    value: Callable[[Judges], object]
    words: str


class Input(NamedTuple):
    """A path that an invariant reads, from the root on, with every symlink on the way.

    What it is, where it leads, its owner and its mode always belong to it. With ``content`` what a
    file holds does too, or the files directly in a directory; with ``names`` which names a
    directory has. Of these only ``part`` counts; without one every change does.
    """

    path: str
    part: Part | None = None
    content: bool = False
    names: bool = False
