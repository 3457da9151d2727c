"""Random pairs of trees: nothing is lost, nothing is done twice, and everything can go back."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.adopt import AdoptionRefused
from tests.adopt.world import Contents, World, assert_whole, read
from tests.vm import snapshot

ODD = [b"a", b"b.jsonl", b"c.jsonl", b"two\nlines", b"\xff\xfe", b"x" * 255, b"-", b"B.JSONL"]
LINES = b"1\n2\n3\n4\n"

names = st.sampled_from(ODD)
contents = st.one_of(
    st.integers(0, len(LINES)).map(lambda length: LINES[:length]),
    st.sampled_from([b"", b"x", b"1\n2\nother\n", LINES * 100_000]),
    st.none(),
)
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
Links = list[tuple[int, bytes]]


@st.composite
def trees(draw: st.DrawFn) -> Contents:
    """Return a tree: no path leads through a file."""
    found: dict[bytes, bytes | None] = {}
    for path, content in draw(st.lists(st.tuples(paths, contents), max_size=10)):
        parts = path.split(b"/")
        above = [b"/".join(parts[:length]) for length in range(1, len(parts))]
        if all(found.get(one) is None for one in above) and found.get(path, content) is content:
            found.update(dict.fromkeys(above))
            found.setdefault(path, content)
    return found


some_links = st.lists(st.tuples(st.integers(0, 9), names), max_size=3)
sample = settings(max_examples=10, deadline=None, derandomize=True)
many = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize("elsewhere", [None, "/dev/shm"], ids=["one", "two"])
@given(ours=trees(), theirs=trees(), links=some_links)
@sample
def test_nothing_is_lost(
    elsewhere: str | None, ours: Contents, theirs: Contents, links: Links
) -> None:
    _nothing_is_lost(elsewhere, ours, theirs, links)


@pytest.mark.thorough
@pytest.mark.parametrize("elsewhere", [None, "/dev/shm"], ids=["one", "two"])
@given(ours=trees(), theirs=trees(), links=some_links)
@many
def test_nothing_is_lost_at_length(
    elsewhere: str | None, ours: Contents, theirs: Contents, links: Links
) -> None:
    _nothing_is_lost(elsewhere, ours, theirs, links)


def _nothing_is_lost(elsewhere: str | None, ours: Contents, theirs: Contents, links: Links) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        tempfile.TemporaryDirectory(dir=elsewhere) as other,
    ):
        world = World(Path(place), Path(other) if elsewhere else None).fill(ours, theirs)
        files = [path for path, seen in world.ours.items() if seen.content is not None]
        for number, name in links:
            link = os.path.join(os.fsencode(world.entry), name)
            if files and not os.path.lexists(link):
                file = os.path.join(os.fsencode(world.entry), files[number % len(files)])
                os.link(file, link)
        _live_through(world.remember())


def _live_through(world: World) -> None:
    before = snapshot(world.root)
    try:
        world.adopt()
    except AdoptionRefused:
        assert before == snapshot(world.root)
        world.adopt(keep_both=True)
    world.assert_adopted(linked=False)
    adopted, target = snapshot(world.home), read(world.target)
    assert world.adopt(keep_both=True).shared
    assert adopted == snapshot(world.home)
    world.undo()
    assert_whole(world.ours, read(world.entry))
    assert target == read(world.target)


def test_nest_deeper_than_a_path_can_be(tmp_path: Path) -> None:
    """30 levels of 200 bytes are no path that the kernel takes; 500 of one are many descriptors."""
    deep = b"/".join([b"n" * 200] * 30)
    many = b"/".join([b"d"] * 500)
    world = World(tmp_path).fill(
        {deep + b"/f": b"x", many + b"/g.jsonl": b"1\n2\n"}, {many + b"/g.jsonl": b"1\n"}
    )
    world.adopt()
    world.assert_adopted()
    world.undo()
    assert_whole(world.ours, read(world.entry))
