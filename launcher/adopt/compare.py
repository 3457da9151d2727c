"""Whether two files hold the same bytes, or one begins with all of the other."""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import NamedTuple

from launcher.adopt.tree import Changed, Node, Tree
from launcher.interrupts import Interrupts

_CHUNK = 1 << 19


class Relation(Enum):
    """How one file's bytes stand to another's."""

    SAME = auto()
    LONGER = auto()
    SHORTER = auto()
    DIFFERENT = auto()


class Place(NamedTuple):
    """A name in a tree, and what was seen there."""

    tree: Tree
    path: bytes
    node: Node


class Comparison:
    """Compares files, and remembers: what was read once is not read again while it is the same.

    A version (inode, size, times of data and of the inode) is what "the same" rests on. Sizes
    are compared first, so files of different length are read only where one may begin with the
    other.
    """

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], Relation] = {}

    def relation(self, one: Place, other: Place, *, appended: bool) -> Relation:
        """Say how *one* stands to *other*; LONGER and SHORTER only where *appended*.

        LONGER means that *one* begins with all of *other* and goes on. Raises OSError where one
        cannot be read, Changed where one is not what was seen, Interrupted.
        """
        if one.node.inode == other.node.inode:
            return Relation.SAME
        if one.node.size != other.node.size and not appended:
            return Relation.DIFFERENT
        key = one.node.version, other.node.version
        if key not in self._known:
            self._known[key] = self._read(one, other)
        return self._known[key]

    def remember_same(self, one: Node, other: Node) -> None:
        """Note that two files were just seen to hold the same bytes."""
        self._known[one.version, other.version] = Relation.SAME

    def _read(self, one: Place, other: Place) -> Relation:
        size = min(one.node.size, other.node.size)
        first = one.tree.open(one.path, one.node)
        try:
            second = other.tree.open(other.path, other.node)
            try:
                equal = begin_alike(first, second, size, self._interrupts)
                _unchanged(first, one)
                _unchanged(second, other)
            finally:
                os.close(second)
        finally:
            os.close(first)
        if not equal:
            return Relation.DIFFERENT
        if one.node.size == other.node.size:
            return Relation.SAME
        return Relation.LONGER if one.node.size > other.node.size else Relation.SHORTER


def _unchanged(descriptor: int, place: Place) -> None:
    if Node.of(os.fstat(descriptor)).print != place.node.print:
        raise Changed(place.tree.shown(place.path))


def begin_alike(one: int, other: int, size: int, interrupts: Interrupts) -> bool:
    """Tell whether the first *size* bytes behind two descriptors are there and the same."""
    offset = 0
    while offset < size:
        interrupts.check()
        wanted = min(_CHUNK, size - offset)
        first, second = os.pread(one, wanted, offset), os.pread(other, wanted, offset)
        length = min(len(first), len(second))
        if length == 0 or first[:length] != second[:length]:
            return False
        offset += length
    return True
