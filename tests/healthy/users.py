"""VMs that are special by their users, groups, modes and access lists."""

from __future__ import annotations

from tests.healthy.collection import healthy
from tests.healthy.world import UID, World, acl

USER_OBJ, GROUP_OBJ, GROUP, MASK, OTHER = 1, 4, 8, 16, 32
ADM, NOBODY = 4, 2**32 - 1


@healthy
def umask_002_with_a_private_group(world: World) -> None:
    for path in (world.vm.root, *world.vm.root.iterdir()):
        path.chmod(path.stat().st_mode & 0o777 | (path.stat().st_mode & 0o700) >> 3)
    world.enter(uid=UID, umask="002")


@healthy
def umask_077(world: World) -> None:
    world.enter(uid=UID, umask="077")


@healthy
def access_lists_that_a_distribution_sets(world: World) -> None:
    """Set a default list that lets a group read, as systemd has it for logs, and one of no use."""
    read = [
        (USER_OBJ, 7, NOBODY),
        (GROUP_OBJ, 5, NOBODY),
        (GROUP, 5, ADM),
        (MASK, 5, NOBODY),
        (OTHER, 0, NOBODY),
    ]
    minimal = [(USER_OBJ, 7, NOBODY), (GROUP_OBJ, 5, NOBODY), (OTHER, 5, NOBODY)]
    acl(world.vm.shared, *read, default=True)
    acl(world.vm.shared, *read)
    acl(world.vm.target("projects"), *read, default=True)
    for account in world.vm.accounts:
        acl(world.vm.home(account), *minimal, default=True)
    world.enter(uid=UID)


@healthy
def report_directory_of_root_and_a_group(world: World) -> None:
    place = world.base / "reports"
    place.mkdir()
    world.write(report=str(place / "report.json"))
    world.enter(f"chown 0:{UID} {place}", f"chmod 2775 {place}", uid=UID)


@healthy
def metrics_in_a_directory_of_root(world: World) -> None:
    place = world.base / "textfile"
    place.mkdir()
    world.write(prometheus=str(place / "claude.prom"))
    world.enter(f"chown 0:{UID} {place}", f"chmod 775 {place}", uid=UID)


@healthy
def metrics_of_root_itself(world: World) -> None:
    place = world.base / "textfile"
    place.mkdir(mode=0o755)
    world.write(prometheus=str(place / "claude.prom"))
    world.enter()


@healthy
def login_shell_that_is_none(world: World) -> None:
    world.enter(uid=UID, shell="/usr/sbin/nologin")


@healthy
def user_that_nobody_knows(world: World) -> None:
    """Be what OpenShift makes of a user: a uid of the cluster's, group 0, no entry in passwd(5)."""
    world.enter(uid=1_000_650_000, gid=0, name=None)


@healthy
def inventory_of_root(world: World) -> None:
    inventory = world.vm.inventory
    world.enter(f"chown 0:0 {inventory}", f"chmod 644 {inventory}", uid=UID)
