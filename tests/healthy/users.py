"""VMs that are special by their users, groups, modes and access lists."""

from __future__ import annotations

from invariants.folders import folder_of
from tests import client
from tests.healthy.collection import healthy
from tests.healthy.world import UID, World, acl

USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
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
def access_lists_that_name_nobody_else(world: World) -> None:
    """Let the lists and their masks grant writing, but to root and to the user alone."""
    alone = [
        (USER_OBJ, 7, NOBODY),
        (USER, 7, 0),
        (USER, 7, UID),
        (GROUP_OBJ, 7, NOBODY),
        (GROUP, 5, ADM),
        (GROUP, 7, UID),
        (MASK, 7, NOBODY),
        (OTHER, 5, NOBODY),
    ]
    for path in (world.vm.root, *map(world.vm.home, world.vm.accounts)):
        acl(path, *alone)
    world.enter(uid=UID)


@healthy
def names_that_systemd_has_too(world: World) -> None:
    """Name the sources as Arch Linux does, and let homes be open to the private group."""
    nsswitch = world.base / "nsswitch.conf"
    nsswitch.write_text("passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\n")
    nsswitch.chmod(0o644)
    for account in world.vm.accounts:
        world.vm.home(account).chmod(0o770)
    world.enter(f"mount --bind {nsswitch} /etc/nsswitch.conf", uid=UID)


@healthy
def report_directory_of_root_and_a_group(world: World) -> None:
    place = world.base / "reports"
    place.mkdir()
    world.write(report=str(place / "report.json"))
    world.enter(f"chown 0:{UID} {place}", f"chmod 2775 {place}", uid=UID)


@healthy
def report_directory_of_a_group_with_others(world: World) -> None:
    """Let a group of others have the report's directory, and a list let the user write there."""
    place = world.base / "reports"
    place.mkdir()
    acl(
        place,
        (USER_OBJ, 7, NOBODY),
        (USER, 7, UID),
        (GROUP_OBJ, 7, NOBODY),
        (MASK, 7, NOBODY),
        (OTHER, 5, NOBODY),
    )
    world.write(report=str(place / "report.json"))
    world.enter(f"chown 0:{ADM} {place}", f"chmod 2775 {place}", uid=UID)


@healthy
def report_in_a_directory_of_everyones(world: World) -> None:
    place = world.base / "reports"
    place.mkdir()
    world.write(report=str(place / "report.json"))
    world.enter(f"chmod 1777 {place}", uid=UID)


@healthy
def state_on_a_tmpfs_as_containers_make_it(world: World) -> None:
    world.vm.state.mkdir()
    world.enter(f"mount -t tmpfs none {world.vm.state}", uid=UID)


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


@healthy
def own_invariants_of_root(world: World) -> None:
    """Let the user only read what is judged, and what a report is compared with."""
    own = world.base / "own"
    own.mkdir()
    own.chmod(0o755)
    file = own / "test_mine.py"
    file.write_text('def test_mine(account):\n    """Mine."""\n    assert account.name != ""\n')
    file.chmod(0o644)
    world.write(invariants=[str(own)])
    world.enter(uid=UID)


@healthy
def project_folder_of_a_shared_group(world: World) -> None:
    """Let the session's folder be root's, and be written by the user's group."""
    folder = _of_claude(world)
    world.enter(f"mkdir {folder}", f"chown 0:{UID} {folder}", f"chmod 2770 {folder}", uid=UID)


@healthy
def project_folder_that_only_the_user_can_enter(world: World) -> None:
    folder = _of_claude(world)
    world.enter(f"mkdir {folder}", f"chown {UID}:0 {folder}", f"chmod 700 {folder}", uid=UID)


@healthy
def folders_of_other_users_projects(world: World) -> None:
    """Let root have worked with the same targets: its folders are closed to the user."""
    _of_claude(world)
    vm = world.vm
    folders = (vm.target("projects") / "-root", vm.target("file-history") / "an-id-of-root-s")
    world.enter(*(f"mkdir -m 700 {folder}" for folder in folders), uid=UID)


def _of_claude(world: World) -> str:
    """Let the session be a Claude Code; return the path of its folder, which is not there."""
    world.session = {"work": [str(client.install(world.vm))]}
    world.write()
    return f"{world.vm.target('projects')}/{folder_of(str(world.vm.root))}"
