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


OWN = """
import contextlib
import os
import subprocess
from pathlib import Path

import pytest


def needs(path, *, writable=True):
    if not os.path.isdir(path):
        pytest.fail(f"{path} is no directory")
    assert not writable or os.access(path, os.W_OK), f"{path} cannot be written"


def owner(path):
    return Path(path).stat().st_uid


@pytest.fixture(autouse=True)
def ready():
    assert os.sep == "/"
    yield


@pytest.mark.fix("create it")
def test_target_is_there(link):
    needs(link.target)


def test_home_is_ours(account):
    \"\"\"A home belongs to who runs the launcher.\"\"\"
    if account.name == "nobody":
        return
    if owner(account.home) != os.geteuid():
        raise AssertionError(account.home)


def test_shell_works():
    subprocess.run(["sh", "-c", "exit 0"], check=True)
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            assert os.stat("/no/such/file")


def test_directory_of_session(session, account, inventory):
    with pytest.raises(ValueError):
        int(session.name)
    wrong = [one for one in inventory.sessions if one.account != account.name]
    assert not wrong, wrong
"""


@healthy
def own_invariants_in_many_styles(world: World) -> None:
    own = world.vm.root / "invariants.d"
    own.mkdir(mode=0o755)
    (own / "test_many.py").write_text(OWN)
    (own / "test_many.py").chmod(0o644)
    world.write(invariants=[str(own)])
    world.enter(uid=UID)


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


@healthy
def started_by_a_program_that_ignores_its_children(world: World) -> None:
    world.vm.prefix = ["env", "--ignore-signal=CHLD"]


@healthy
def command_that_sets_variables_of_its_own(world: World) -> None:
    world.session = {"work": ["env", "LANG=C.UTF-8", "sleep", "600"]}
    world.write()
