"""The longer transcript in the shorter one's place, and what may come between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.adopt import Stopped, replace
from tests.adopt.world import World, assert_whole, read

SHORT = "1\n"


@pytest.fixture(params=["linked", "copied"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world whose one transcript goes on in the home, by a second name or as a copy."""
    if request.param == "copied":

        def refuse(*arguments: object, **named: object) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "link", refuse)
    return World(tmp_path).fill({b"a.jsonl": b"1\n2\n"}, {b"a.jsonl": SHORT.encode()})


def stops(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], bool]
) -> dict[bytes, bytes | None]:
    """Let *act* be what the look at the lease finds, and return what the target holds then."""
    monkeypatch.setattr(replace, name, lambda descriptor: act())
    with pytest.raises(Stopped):
        world.adopt()
    assert_whole(world.ours, read(world.entry))
    return {path: seen.content for path, seen in read(world.target).items()}


def test_shorter_one_that_cannot_be_looked_at_is_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it grew in that moment, by a descriptor that somebody had."""
    with open(world.target / "a.jsonl", "a") as writer:

        def act() -> bool:
            writer.write("not lost\n")
            writer.flush()
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        left = stops(world, monkeypatch, "is_open_elsewhere", act)
    assert {b"a.jsonl": b"1\nnot lost\n"} == left


def test_file_that_takes_the_name_meanwhile_keeps_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by an editor, which writes beside and renames."""

    def act() -> bool:
        (world.root / "new").write_text("somebody's")
        os.rename(world.root / "new", world.target / "a.jsonl")
        return True

    left = stops(world, monkeypatch, "is_open_elsewhere", act)
    assert b"somebody's" == left.pop(b"a.jsonl")
    assert [SHORT.encode()] == list(left.values())


def test_shorter_one_that_cannot_be_unlinked_is_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.unlink

    def unlink(path: bytes, *, dir_fd: int | None = None) -> None:
        if len(SHORT) == os.stat(path, dir_fd=dir_fd).st_size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(Stopped, match="Input/output error"):
        world.adopt()
    assert {b"a.jsonl": SHORT.encode()} == {p: s.content for p, s in read(world.target).items()}


def test_target_that_cannot_swap_says_what_to_do_and_that_helps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(directory: int, one: bytes, other: bytes) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(replace, "exchange", cannot)
    with pytest.raises(Stopped, match="cannot swap two names") as stop:
        world.adopt()
    assert {b"a.jsonl": SHORT.encode()} == {p: s.content for p, s in read(world.target).items()}
    assert 0 == os.system(str(stop.value).rpartition("run it again: ")[2])
    world.adopt()
    assert world.is_shared
    assert "1\n2\n" == (world.target / "a.jsonl").read_text()
    assert SHORT == (world.target / "a.jsonl.shorter").read_text()
