"""Changes of the program's text in a copy of it, for tests of what must not go unnoticed."""

from __future__ import annotations

from pathlib import Path


def patch(file: Path, old: str, new: str) -> None:
    """Put *new* in the place of *old* in the text of *file*, wherever that is.

    Fails if it is nowhere: a patch that no longer takes would let the test pass for nothing.
    """
    source = file.read_text()
    assert old in source, f"{file} no longer has {old!r}: the patch must be made anew"
    file.write_text(source.replace(old, new))
