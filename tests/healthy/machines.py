"""VMs that are special as machines: containers, /proc, /etc, what is not installed."""

from __future__ import annotations

import os
from pathlib import Path

from tests.healthy.collection import healthy
from tests.healthy.world import UID, World

_ETC = (
    "mount -t tmpfs none {0}",
    "mkdir {0}/upper {0}/work",
    "mount -t overlay -o lowerdir=/etc,upperdir={0}/upper,workdir={0}/work none /etc",
)


@healthy
def rootless_container_with_everything_inside(world: World) -> None:
    tmux = world.scratch()  # of the container's root, whose directory would be that of the host's
    world.enter(
        "mkdir -p -m 700 /tmp/tmux-0",
        f"chown {UID}:{UID} {tmux}",
        f"mount --bind {tmux} /tmp/tmux-0",
        uid=UID,
        unshare="--user --map-root-user --mount --pid --fork --kill-child --mount-proc",
    )


@healthy
def container_of_root_with_everything_inside(world: World) -> None:
    world.enter(unshare="--mount --pid --fork --kill-child --mount-proc")


@healthy
def processes_of_others_out_of_sight(world: World) -> None:
    world.enter("mount -t proc -o hidepid=2 none /proc", uid=UID)


@healthy
def no_machine_id(world: World) -> None:
    scratch = world.scratch()
    world.enter(*(line.format(scratch) for line in _ETC), "rm -f /etc/machine-id", uid=UID)


@healthy
def etc_that_is_read_only(world: World) -> None:
    world.enter("mount --bind /etc /etc", "mount -o remount,bind,ro /etc", uid=UID)


@healthy
def windows_subsystem_for_linux(world: World) -> None:
    """Be without systemd: no /run/systemd, no machine-id, tmux's directory on a tmpfs."""
    world.write(backend="tmux")
    scratch = world.scratch()
    # A uid of its own: who removes a directory ends what is mounted on it in other namespaces.
    uid = 1_000_000 + os.getpid()
    tmux = Path(f"/tmp/tmux-{uid}")
    tmux.mkdir(mode=0o700)
    world.beside.append(tmux)
    world.enter(
        *(line.format(scratch) for line in _ETC),
        "rm -f /etc/machine-id",
        "mount -t tmpfs -o mode=755 none /run",
        f"mount -t tmpfs -o mode=700,uid={uid},gid={uid} none {tmux}",
        uid=uid,
    )
