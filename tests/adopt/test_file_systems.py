"""File systems that lack something: real ones where this machine lets us mount them."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from launcher.adopt import AdoptionRefused, Stopped, replace, swap, system, target
from launcher.adopt.system import keeps_case, mounts
from tests.adopt.world import World, assert_whole, read, write

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Return a function that mounts something; a machine that does not let us is skipped."""
    with ExitStack() as stack:

        def mounted(name: str, *arguments: str) -> Path:
            place = tmp_path / name
            place.mkdir()
            command = ["mount", *arguments, str(place)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"this machine does not let us mount that: {done.stderr.strip()}")
            stack.callback(subprocess.run, ["umount", str(place)], check=True)
            return place

        yield mounted


OURS = {b"d/a.jsonl": b"1\n2\n", b"d/new": b"n", b"d/e": None, b"same": b"s"}
THEIRS = {b"d/a.jsonl": b"1\n", b"same": b"s"}


@pytest.mark.parametrize("across", [False, True], ids=["home and target", "target alone"])
def test_tmpfs(tmp_path: Path, mount: Mount, across: bool) -> None:
    place = mount("tmpfs", "-t", "tmpfs", "tmpfs")
    world = World(tmp_path / "w" if across else place / "w", place / "shared")
    world.fill(OURS, THEIRS)
    assert across is world.adopt().copied
    world.assert_adopted()
    world.undo()
    assert_whole(world.ours, read(world.entry))


def overlay(tmp_path: Path, mount: Mount, prepare: Callable[[Path], object]) -> Path:
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    prepare(tmp_path / "lower")
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    return mount("overlay", "-t", "overlay", "overlay", "-o", options)


def test_overlay_that_the_home_was_created_in(tmp_path: Path, mount: Mount) -> None:
    place = overlay(tmp_path, mount, lambda lower: None)
    world = World(place / "w").fill(OURS, THEIRS)
    world.adopt()
    world.assert_adopted()


def test_overlay_whose_lower_layer_has_the_directory_ends_safe(
    tmp_path: Path, mount: Mount
) -> None:
    """The exchange is not to be had there; the target has everything, and by hand it goes on."""
    place = overlay(
        tmp_path, mount, lambda lower: World(lower / "w", lower / "shared").fill(OURS, THEIRS)
    )
    world = World(place / "w", place / "shared").remember()
    with pytest.raises(Stopped, match="by hand: mv -nT"):
        world.adopt()
    assert not world.entry.is_symlink()
    assert {path: seen.content for path, seen in world.ours.items()} == {
        path: seen.content for path, seen in read(world.entry).items()
    }
    assert b"1\n2\n" == (world.target / "d" / "a.jsonl").read_bytes()
    assert b"n" == (world.target / "d" / "new").read_bytes()
    assert [] == world.dated("adopted")


if "\tvfat\n" in Path("/proc/filesystems").read_text():  # else the next test is all there is

    def test_vfat_over_a_loop_device(tmp_path: Path, mount: Mount) -> None:
        """Neither hard links nor modes nor attributes nor case: what it holds is what counts."""
        image = tmp_path / "image"
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        try:
            subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("there is no mkfs.vfat")
        place = mount("vfat", "-o", "loop", "-t", "vfat", str(image))
        world = World(tmp_path / "w", place).fill({b"d/a.jsonl": b"1\n2\n", b"d/e": None}, {})
        assert world.adopt().copied
        assert world.is_shared
        world.assert_nothing_lost()
        assert b"1\n2\n" == (world.target / "d" / "a.jsonl").read_bytes()


def test_target_without_links_modes_and_attributes_gets_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As vfat, on any machine: the calls are refused as it refuses them."""

    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def unsupported(*arguments: object, **named: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    world = World(tmp_path).fill(OURS, THEIRS)
    os.setxattr(world.entry / "d" / "new", "user.note", b"x")
    world.remember()
    for name, call in (("link", refuse), ("fchmod", refuse), ("setxattr", unsupported)):
        monkeypatch.setattr(os, name, call)
    adopted = world.adopt()
    assert adopted.copied
    assert [
        "some extended attributes could not be kept (Operation not supported)",
        "some modes could not be kept (Operation not permitted)",
    ] == list(adopted.notes)
    assert world.is_shared
    world.assert_nothing_lost()
    assert b"n" == (world.target / "d" / "new").read_bytes()


def test_mount_point_below_the_entry_is_refused(tmp_path: Path, mount: Mount) -> None:
    world = World(tmp_path / "w").fill(OURS, THEIRS)
    place = mount("w/home/projects/in side", "-t", "tmpfs", "tmpfs")
    write(place, {b"f": b"x"})
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert {"mount-point"} == {one.state for one in refusal.value.findings}


def test_file_system_without_the_exchange_ends_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(directory: int, one: bytes, other: bytes) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    world = World(tmp_path).fill(OURS, {})
    monkeypatch.setattr(swap, "exchange", refuse)
    with pytest.raises(Stopped) as stop:
        world.adopt()
    world.assert_nothing_lost()
    assert not world.entry.is_symlink()
    assert b"n" == (world.target / "d" / "new").read_bytes()
    by_hand = str(stop.value).partition("by hand: ")[2].partition(". The")[0]
    subprocess.run(["sh", "-c", by_hand], check=True)
    world.assert_adopted()
    with pytest.raises(Stopped, match="by hand: unlink"):
        world.undo()


def test_target_without_the_exchange_keeps_its_shorter_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(directory: int, one: bytes, other: bytes) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    world = World(tmp_path).fill(OURS, THEIRS)
    monkeypatch.setattr(replace, "exchange", refuse)
    with pytest.raises(Stopped):
        world.adopt()
    world.assert_nothing_lost()
    assert b"1\n" == (world.target / "d" / "a.jsonl").read_bytes()
    assert set(os.listdir(world.target / "d")) <= {"a.jsonl", "new", "e"}


def test_names_that_differ_by_case_are_refused_where_case_is_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "keeps_case", lambda path, mounted: False)
    ours = {b"d/A": b"x", b"d/a": b"y", b"new/B": b"x", b"new/b": b"y", b"E": b"x", b"f": b"x"}
    world = World(tmp_path).fill(ours, {b"e": b"x", b"d": None, b"f": b"x"})
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert {"case"} == {one.state for one in refusal.value.findings}
    assert 3 == len(refusal.value.findings)


def test_name_too_long_and_space_too_small_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path).fill({b"n" * 200: b"x"}, {})
    real = target.Target.__init__

    def small(self: target.Target, *arguments: object) -> None:
        real(self, *arguments)  # type: ignore[arg-type]  # passed through
        self.longest_name, self.free_bytes, self.device = 143, 0, -1

    monkeypatch.setattr(target.Target, "__init__", small)
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    assert {"name-too-long", "no-space"} == {one.state for one in refusal.value.findings}


def test_type_of_the_nearest_mount_tells_about_case() -> None:
    mounted = {"/": "ext4", "/media": "vfat"}
    assert keeps_case("/home/x", mounted)
    assert not keeps_case("/media/stick/x", mounted)
    assert not keeps_case("/home", {})
    assert "/" in mounts()


def test_library_without_renameat2_is_an_old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_library", lambda: object())
    with pytest.raises(OSError, match="not implemented") as error:
        system.exchange(0, b"a", b"b")
    assert errno.ENOSYS == error.value.errno
