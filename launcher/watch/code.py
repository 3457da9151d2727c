"""Whether the code that this process runs is still the one on the disk."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

_Stamp = tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class Code:
    """The files that modules were imported from, as they were then."""

    stamps: dict[str, _Stamp]

    @classmethod
    def loaded(cls) -> Code:
        """Return the code of this process: each module's file, and the interpreter's.

        A file that changed between its import and this call is not noticed: see :meth:`below`.
        """
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        files |= {sys.executable, os.path.realpath(sys.executable)}
        return cls({file: _stamp(file) for file in files if file})

    @classmethod
    def below(cls, *directories: str) -> Code:
        """Return the Python files that stand in *directories* and below."""
        return cls(
            {
                os.path.join(above, name): _stamp(os.path.join(above, name))
                for directory in directories
                for above, _, names in os.walk(directory)
                for name in names
                if name.endswith(".py")
            }
        )

    def and_also(self, other: Code) -> Code:
        """Return both; a file that is in both is as this one has it."""
        return Code({**other.stamps, **self.stamps})

    def changed(self) -> str | None:
        """Return the path of a file that is not as it was, or None."""
        for file, before in self.stamps.items():
            if _stamp(file) != before:
                return file
        return None


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return None
    # The time of the last change of the inode cannot be set, as that of the content can.
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
