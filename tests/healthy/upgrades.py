"""VMs whose session an earlier build has started, and which have been upgraded under it."""

from __future__ import annotations

import sys

from tests.earlier import unpacked
from tests.healthy.collection import healthy
from tests.healthy.world import World


def _started_before(world: World, backend: str) -> None:
    world.write(backend=backend)
    code = unpacked(world.base / "earlier")
    for verb in ("check", "up"):
        done = world.vm.run(verb, cwd=code, python=[sys.executable])
        assert 0 == done.returncode, done.stdout + done.stderr
    assert str(code) == str(world.vm.root_of_report)


@healthy
def session_of_an_earlier_build(world: World) -> None:
    _started_before(world, "process")


@healthy
def session_of_an_earlier_build_with_tmux(world: World) -> None:
    _started_before(world, "tmux")
