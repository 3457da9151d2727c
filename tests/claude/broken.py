"""The ways in which a link can be wrong, made on a VM whose links are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.vm import Vm


def _missing(vm: Vm, entry: Path) -> None:
    entry.unlink()


def _empty_directory(vm: Vm, entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


def _real_directory(vm: Vm, entry: Path) -> None:
    _empty_directory(vm, entry)
    (entry / "earlier").write_text("what the home held before it was linked")


def _file(vm: Vm, entry: Path) -> None:
    entry.unlink()
    entry.write_text("")


def _dangling(vm: Vm, entry: Path) -> None:
    entry.unlink()
    entry.symlink_to(vm.root / "nothing")


def _divergent(vm: Vm, entry: Path) -> None:
    vm.diverge(entry.parent.name.removeprefix("home-"), entry.name)


def _chained(vm: Vm, entry: Path) -> None:
    entry.unlink()
    hop = vm.root / "hop"
    hop.symlink_to(vm.target(entry.name))
    entry.symlink_to(hop)


def _loop(vm: Vm, entry: Path) -> None:
    entry.unlink()
    entry.symlink_to(entry.name)


def _read_only_target(vm: Vm, entry: Path) -> None:
    vm.target(entry.name).chmod(0o500)


BREAK: Mapping[str, Callable[[Vm, Path], None]] = {
    "is missing": _missing,
    "is an empty directory": _empty_directory,
    "is a real directory": _real_directory,
    "is a file": _file,
    "dangles": _dangling,
    "leads elsewhere": _divergent,
    "leads over a second link": _chained,
    "is a loop": _loop,
    "has a read-only target": _read_only_target,
}
