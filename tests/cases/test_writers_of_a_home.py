"""A home is its user's alone by what the kernel enforces: access lists, directory services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cases.vm import said
from tests.healthy.world import UID, World, acl

USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 1, 2, 4, 16, 32
GAMES, NOBODY = 5, 2**32 - 1


@pytest.fixture
def world() -> Iterator[World]:
    """Return a VM that is all right, and whose homes its user's private group can write."""
    made = World()
    for account in made.vm.accounts:
        made.vm.home(account).chmod(0o770)
    yield made
    made.close()


def found(world: World) -> tuple[int, list[str]]:
    """Return the exit code of ``check``, and each line that says what it found."""
    done = world.vm.run("check")
    return done.returncode, [line.strip() for line in said(done) if "found" in line]


@pytest.mark.parametrize(
    ("permissions", "code", "lines"),
    [
        (7, 1, ["found     user games (access list) can write it (mode 0770)"]),
        (5, 0, []),
    ],
    ids=["writes", "reads"],
)
def test_user_whom_an_access_list_names_is_another_writer(
    world: World, permissions: int, code: int, lines: list[str]
) -> None:
    """The group bits, which hold the list's mask, look like the private group's."""
    entries = [(USER_OBJ, 7, NOBODY), (USER, permissions, GAMES), (GROUP_OBJ, 7, NOBODY)]
    acl(world.vm.home("backup"), *entries, (MASK, 7, NOBODY), (OTHER, 0, NOBODY))
    world.enter(uid=UID)
    assert (code, lines) == found(world)


@pytest.mark.parametrize(
    ("sources", "code", "source"),
    [("files systemd", 0, None), ("files sss", 1, "sss"), ("ldap files", 1, "ldap")],
    ids=["all listed", "sss", "ldap"],
)
def test_group_of_a_directory_service_is_nobodys_own(
    world: World, sources: str, code: int, source: str | None
) -> None:
    nsswitch = world.base / "nsswitch.conf"
    nsswitch.write_text(f"passwd: {sources}\ngroup: {sources}\n")
    nsswitch.chmod(0o644)
    world.enter(f"mount --bind {nsswitch} /etc/nsswitch.conf", uid=UID)
    group = f"group healthy (whose members in {source} cannot be listed)"
    line = f"found     {group} can write it (mode 0770)"
    assert (code, [line, line] if source else []) == found(world)
