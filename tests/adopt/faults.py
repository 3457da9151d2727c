"""A fault at every call that writes: the kill, and each error that a file system can answer.

And one at every call that opens, looks or reads: so rarely does one of these fail that nothing
else would show what comes of it. A C library between Python and the kernel (``faults.c``,
preloaded) counts the calls while an adoption runs, and lets the Nth of them not happen: the process
is killed there, or the call fails. For every N and every fault: nothing may be lost, the home must
hold the old directory or the right link, and a plain second run must finish.

    python -m tests.adopt.faults            # all of them: make faults
    python -m tests.adopt.faults --every 9  # a sample
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from launcher.adopt import busy
from launcher.errors import LauncherError, Refused
from tests.adopt.world import World

HERE = Path(__file__).resolve().parent
KILL = -1
FAULTS = {
    "KILL": KILL,
    **{
        name: getattr(errno, name)
        for name in ("ENOSPC", "EIO", "EACCES", "EXDEV", "EMLINK", "EROFS")
    },
}
READING_FAULTS = {name: getattr(errno, name) for name in ("EIO", "EACCES", "EMFILE")}
_ADOPTED, _REFUSED, _UNKNOWN, _FAULT = 0, 1, 70, 99


class Scene(NamedTuple):
    """A situation: which calls the file system lacks, where the target is, what is done.

    ``reads``: the faults come at the calls that read, not at those that write.
    """

    name: str
    across: bool = False
    lacks: tuple[str, int] | None = None
    undoes: bool = False
    reads: bool = False

    @property
    def faults(self) -> dict[str, int]:
        """The faults that are tried at each of its points, by name."""
        return READING_FAULTS if self.reads else FAULTS

    @property
    def links(self) -> bool:
        """Whether names of one inode can stay that."""
        return self.lacks is None or self.lacks[0] != "linkat"


SCENES = (
    Scene("one file system"),
    Scene("two file systems", across=True),
    Scene("no hard links", lacks=("linkat", errno.EPERM)),
    Scene("no renames to free names", across=True, lacks=("noreplace", errno.EINVAL)),
    Scene("undo", undoes=True),
    Scene("one file system, reading", reads=True),
    Scene("two file systems, reading", across=True, reads=True),
    Scene("undo, reading", undoes=True, reads=True),
)

OURS = {
    b"-home-x/new.jsonl": b"1\n2\n",
    b"-home-x/longer.jsonl": b"1\n2\n3\n",
    b"-home-x/shorter.jsonl": b"1\n",
    b"-home-x/same.jsonl": b"same\n",
    b"-home-x/memory/MEMORY.md": b"ours\n",
    b"-home-y/new.jsonl": b"y\n" * 9999,
    b"-home-y/empty": None,
    b"odd\n\xff\xfe": b"odd",
    b"apart/file": b"in a directory that is a file there",
}
THEIRS = {
    b"-home-x/longer.jsonl": b"1\n2\n",
    b"-home-x/shorter.jsonl": b"1\n2\n3\n",
    b"-home-x/same.jsonl": b"same\n",
    b"-home-x/memory/MEMORY.md": b"theirs\n",
    b"other.jsonl": b"theirs alone\n",
    b"apart": b"a file",
}


def build(scene: Scene, root: Path, elsewhere: Path) -> World:
    """Make the world of a scene."""
    world = World(root, elsewhere if scene.across else None)
    world.fill(OURS, THEIRS)
    os.link(world.entry / "-home-y/new.jsonl", world.entry / "hard.jsonl")
    os.chmod(world.entry / "-home-y", 0o750)
    for path in ("-home-y/empty", "-home-y/new.jsonl", "-home-y"):
        os.utime(world.entry / path, ns=(10**18 + 1, 10**18 + 123_456_789))
        os.setxattr(world.entry / path, "user.test", path.encode())
    world.remember()
    if scene.undoes:
        world.adopt(keep_both=True)
    return world


def library() -> ctypes.CDLL:
    """Return the preloaded library."""
    found = ctypes.CDLL(None)
    found.fault_seen.restype = ctypes.c_long
    found.fault_hit.restype = ctypes.c_char_p
    found.fault_arm.argtypes = [ctypes.c_long, ctypes.c_int]
    return found


def attempt(world: World, scene: Scene, point: int, fault: int) -> tuple[int, int]:
    """Run it once in a child, with a fault at the call *point* (from 0), -1 for none.

    Return its exit code, negative for a signal, and how many calls it made.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os._exit(_in_child(world, scene, point, fault, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        count = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(count or b"-1")


def _in_child(world: World, scene: Scene, point: int, fault: int, writer: int) -> int:
    wrapped = library()
    if scene.lacks is not None:
        name, number = scene.lacks
        wrapped.fault_always(name.encode(), number)
    if scene.reads:
        wrapped.fault_reading()
        busy._processes = lambda interrupts: iter(())  # thousands of calls about other things
    code = _ADOPTED
    wrapped.fault_arm(point, fault)
    try:
        _act(world, scene)()
    except Refused:
        code = _REFUSED
    except LauncherError:
        code = _UNKNOWN
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = _FAULT
    count = wrapped.fault_seen()
    wrapped.fault_arm(-2, 0)
    os.write(writer, str(count).encode())
    return code


def _act(world: World, scene: Scene) -> Callable[[], object]:
    return world.undo if scene.undoes else lambda: world.adopt(keep_both=True)


def try_point(scene: Scene, point: int, fault: int, place: Path, elsewhere: Path) -> int:
    """Let one call fail and assert all that must hold. Return how many calls there were."""
    root, other = place / "world", elsewhere / "shared"
    world = build(scene, root, other)
    code, count = attempt(world, scene, point, fault)
    assert code in (_ADOPTED, _REFUSED, _UNKNOWN, -signal.SIGKILL), code
    world.assert_nothing_lost()
    if code in (_ADOPTED, _REFUSED):  # each says so, and each must be so
        assert world.is_shared is ((code == _ADOPTED) is not scene.undoes)
    again, _ = attempt(world, scene, -1, 0)
    world.assert_nothing_lost()
    if scene.undoes:
        assert not world.entry.is_symlink()
        assert not world.dated("adopted")
    else:
        assert again == _ADOPTED, "a second run did not finish"
        world.assert_adopted(linked=scene.links and fault not in (errno.EXDEV, errno.EMLINK))
    shutil.rmtree(root)
    shutil.rmtree(other, ignore_errors=True)
    return count


def sweep(every: int, place: Path, elsewhere: Path) -> Iterator[tuple[str, str, int]]:
    """Try every *every*th of all points; yield each that was tried."""
    number = 0
    for scene in SCENES:
        calls = try_point(scene, -1, 0, place, elsewhere)
        for name, fault in scene.faults.items():
            for point in range(calls):
                number += 1
                if number % every == 0:
                    try:
                        try_point(scene, point, fault, place, elsewhere)
                    except BaseException as error:
                        error.add_note(f"{scene.name}: {name} at call {point} of {calls}")
                        raise
                    yield scene.name, name, point


def preloaded(directory: Path) -> dict[str, str]:
    """Compile the library; return the environment that preloads it."""
    built = directory / "faults.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(built)]
    subprocess.run([*command, str(HERE / "faults.c"), "-ldl"], check=True)
    return {**os.environ, "LD_PRELOAD": str(built), "PYTHONDONTWRITEBYTECODE": "1"}


def main() -> int:
    """Sweep, and print how many points were tried."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="only every Nth point")
    parser.add_argument("--elsewhere", default="/dev/shm", help="another file system")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="adopt-faults-") as place,
        tempfile.TemporaryDirectory(prefix="adopt-faults-", dir=arguments.elsewhere) as elsewhere,
    ):
        if "faults.so" not in os.environ.get("LD_PRELOAD", ""):
            command = [sys.executable, "-m", "tests.adopt.faults", *sys.argv[1:]]
            return subprocess.run(command, env=preloaded(Path(place)), check=False).returncode
        tried: dict[tuple[str, str], int] = {}
        for scene, fault, _ in sweep(arguments.every, Path(place), Path(elsewhere)):
            tried[scene, fault] = tried.get((scene, fault), 0) + 1
    for (scene, fault), count in tried.items():
        print(f"{scene:<38} {fault:<7} {count:>4} points")
    print(f"{sum(tried.values())} points tried, nothing lost, each finished by a second run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
