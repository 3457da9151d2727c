"""Debian trees: made once, kept between runs, and each scenario on a copy that costs nothing.

A tree is a stack of directories that overlayfs lays over each other: the bare Debian, what the
installation added to it, and what one scenario writes. Layers are kept outside the repository, each
under the hash of its recipe, so that another recipe never meets a layer of an older one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.processes import Process
from tests.groups import groups, remove

SUITE = "bookworm"
_VM = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "adduser",
    "procps",
)
_TOOLS = ("bindfs", "faketime")  # what scenarios break the machine with
_LATER = ("python3-venv", "tmux")  # the page's apt-get finds them without a network
LEADER = "leader"
"""The file beside a mounted tree that names the PID 1 of the machine that runs on it."""

_VERSION = "2"
_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Tree:
    """A stack of layers, the topmost first."""

    layers: tuple[Path, ...]

    def over(self, layer: Path) -> Tree:
        """Return this tree with *layer* on top."""
        return Tree((layer, *self.layers))


def cache() -> Path:
    """Return where layers are kept: ``$XDG_CACHE_HOME``, or the machine's own cache."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path("/var/cache")
    directory = base / "claude-failover-tests"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def digest(*parts: str | bytes) -> str:
    """Return a short hash of *parts*, for a layer's name."""
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


def bare() -> Tree:
    """Return a Debian as a new VM has it, with what the page installs ready to be unpacked."""
    name = f"bare-{digest(_VERSION, SUITE, *_VM, *_TOOLS, *_LATER)}"
    return Tree((_layer(name, _debootstrap),))


def installed(below: Tree, name: str, make: Callable[[Tree, Path], None]) -> Tree:
    """Return *below* with a kept layer on top, filled by ``make(below, directory)`` if need be."""
    return below.over(_layer(name, lambda directory: make(below, directory)))


@contextmanager
def locked(directory: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock on *directory*: tests that run side by side share the cache."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def mounted(tree: Tree, upper: Path | None = None) -> Iterator[Path]:
    """Mount a writable copy of *tree* and yield its root; nothing is left of it afterwards.

    What is written goes to *upper*, where one is given, and else nowhere that stays.
    """
    with ExitStack() as stack:
        for layer in tree.layers:
            stack.enter_context(locked(layer, fcntl.LOCK_SH))
        scratch = stack.enter_context(_scratch())
        work, root = Path(scratch) / "work", Path(scratch) / "root"
        changes = upper or Path(scratch) / "changes"
        for directory in (work, root, changes):
            directory.mkdir(exist_ok=True)
        changes.chmod(0o755)
        lower = ":".join(map(str, tree.layers))
        if upper is not None:  # work and upper have to be on one file system, as the cache is
            _run(["chown", "--reference", str(tree.layers[0]), str(upper)])
        options = f"lowerdir={lower},upperdir={changes},workdir={work}"
        _run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)])
        try:
            yield root
        finally:
            _run(["umount", str(root)])


@contextmanager
def _scratch() -> Iterator[str]:
    """Yield a directory of this run's own; what runs that were killed left of theirs goes first."""
    runs = cache() / "runs"
    runs.mkdir(exist_ok=True)
    with ExitStack() as stack:
        with locked(runs):
            for other in runs.iterdir():
                with suppress(BlockingIOError), locked(other, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    _clear(other)
            scratch = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="vm-", dir=runs, ignore_cleanup_errors=True)
            )
            stack.enter_context(locked(Path(scratch), fcntl.LOCK_SH))
        yield scratch


def _clear(run: Path) -> None:
    """End the machine of a run that was killed, and remove what it left."""
    with suppress(FileNotFoundError, ValueError):
        pid, start = map(int, (run / LEADER).read_text().split())
        if Process(pid, start).is_alive():
            os.kill(pid, signal.SIGKILL)
    remove(groups(run.name))
    subprocess.run(["umount", str(run / "root")], check=False, capture_output=True)
    shutil.rmtree(run, ignore_errors=True)


def _layer(name: str, make: Callable[[Path], None]) -> Path:
    """Return the kept layer *name*; one that was not finished never gets the name."""
    layer = cache() / name
    with locked(cache()):
        if not layer.is_dir():
            _forget_others(name)
            unfinished = Path(tempfile.mkdtemp(prefix=f"new-{name}.", dir=cache()))
            try:
                unfinished.chmod(0o755)
                make(unfinished)
                unfinished.rename(layer)
            except BaseException:
                shutil.rmtree(unfinished)
                raise
    return layer


def _forget_others(name: str) -> None:
    """Remove layers of the same kind that nobody uses: their recipe is not the one in use."""
    for other in cache().glob(f"{name.rpartition('-')[0]}-*"):
        with suppress(BlockingIOError), locked(other, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(other)


def _debootstrap(root: Path) -> None:
    """Bootstrap Debian into *root*, and fetch what the page's apt-get will ask for."""
    wanted = ",".join((*_VM, *_TOOLS))
    _run(["debootstrap", "--variant=minbase", f"--include={wanted}", SUITE, str(root)])
    resolver = Path("/etc/resolv.conf").read_bytes()
    kept = root / "etc/resolv.conf"
    kept.write_bytes(resolver)
    download = ["apt-get", "install", "-qq", "-y", "--download-only"]
    _run(["chroot", str(root), *download, *_LATER])
    kept.unlink()
    # The tree is thrown away, not kept: there is nothing to flush to the disk for.
    (root / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
    (root / "etc/hostname").write_text("vm\n")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command, timeout=_SECONDS, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{said}")
