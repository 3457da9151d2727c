"""VMs that are special by where their files are: path names, mounts, file systems."""

from __future__ import annotations

from pathlib import Path

from tests.healthy.collection import healthy
from tests.healthy.world import UID, World


@healthy
def plain(world: World) -> None:
    """Leave everything as it is: the others are to be compared with it."""


@healthy
def plain_with_tmux(world: World) -> None:
    world.write(backend="tmux")


@healthy
def homes_and_targets_on_another_file_system(world: World) -> None:
    """Stand in for homes on NFS, which not every kernel has: each place is another device."""
    vm = world.vm
    disk = world.base / "disk"
    disk.mkdir()
    places = [vm.shared, *map(vm.home, vm.accounts)]
    lines = [f"mount -t tmpfs -o mode=755 none {disk}"]
    for place in places:
        lines += [f"cp -a {place} {disk}/", f"mount --bind {disk}/{place.name} {place}"]
    world.enter(*lines)


@healthy
def state_on_a_tmpfs(world: World) -> None:
    world.vm.state.mkdir()
    world.enter(f"mount -t tmpfs -o mode=755 none {world.vm.state}")


@healthy
def two_path_names_of_one_home(world: World) -> None:
    """Let the inventory say /other/home-…, and the links the real place of the targets."""
    vm = world.vm
    other = world.base / "other"
    other.symlink_to(vm.root)
    world.write()
    text = vm.inventory.read_text()
    for account in vm.accounts:
        text = text.replace(f'"{vm.home(account)}"', f'"{other / vm.home(account).name}"')
    vm.inventory.write_text(text)


@healthy
def shared_root_over_a_symlinked_parent(world: World) -> None:
    vm = world.vm
    other = world.base / "other"
    other.symlink_to(vm.root)
    world.write()
    text = vm.inventory.read_text()
    vm.inventory.write_text(text.replace(f'"{vm.shared}"', f'"{other / vm.shared.name}"'))


@healthy
def home_of_systemd_homed(world: World) -> None:
    """Mount /home/USER.homedir at /home/USER, as it is while the user is logged in."""
    vm = world.vm
    real = world.base / "USER.homedir"
    real.mkdir(mode=0o700)
    world.enter(
        f"cp -a {vm.root}/. {real}/",
        f"chown -R {UID}:{UID} {real}",
        f"mount --bind -o nosuid,nodev {real} {vm.root}",
        uid=UID,
    )


@healthy
def very_long_path(world: World) -> None:
    deep = world.base.joinpath(*["d" * 100] * 12)
    world.move(deep / "vm")


@healthy
def very_long_path_with_tmux(world: World) -> None:
    very_long_path(world)
    world.write(backend="tmux")


@healthy
def path_in_other_letters(world: World) -> None:
    world.move(world.base / "Пользователь é 日本 — vm")


@healthy
def path_in_other_letters_with_tmux(world: World) -> None:
    path_in_other_letters(world)
    world.write(backend="tmux")


@healthy
def path_with_spaces_and_quotes(world: World) -> None:
    world.move(world.base / 'it\'s a "vm" $HOME')


@healthy
def targets_elsewhere(world: World) -> None:
    vm = world.vm
    elsewhere = world.base / "data"
    elsewhere.mkdir()
    vm.target("projects").rename(elsewhere / "projects")
    for account in vm.accounts:
        vm.entry(account, "projects").unlink()
        vm.entry(account, "projects").symlink_to(elsewhere / "projects")
    text = vm.inventory.read_text()
    line = f'[shared.targets]\nprojects = "{elsewhere / "projects"}"\n'
    vm.inventory.write_text(text.replace("[[accounts]]", f"{line}[[accounts]]", 1))


@healthy
def links_with_a_relative_text(world: World) -> None:
    vm = world.vm
    for account in vm.accounts:
        for link in ("session-env", "file-history", "projects"):
            vm.entry(account, link).unlink()
            vm.entry(account, link).symlink_to(Path("..", "shared", link))


@healthy
def default_home_with_an_older_state_beside_it(world: World) -> None:
    """Have what a Claude Code without `CLAUDE_CONFIG_DIR` left: it may be there."""
    vm = world.vm
    user = world.base / "user"
    user.mkdir()
    vm.home("primary").rename(user / ".claude")
    vm.home("primary").symlink_to(user / ".claude")
    (user / ".claude.json").write_text("{}")
    text = vm.inventory.read_text()
    vm.inventory.write_text(text.replace(f'"{vm.home("primary")}"', f'"{user / ".claude"}"'))


@healthy
def mounts_beside_the_homes(world: World) -> None:
    """Have other file systems there, of which nobody says that they are homes."""
    nas, other = world.vm.root / "nas", world.vm.root / "other"
    for directory in (nas, other):
        directory.mkdir()
    (world.vm.root / "to-the-nas").symlink_to(nas)
    world.enter(f"mount -t tmpfs none {nas}", f"mount -t ramfs none {other}")


@healthy
def target_adopted_long_ago(world: World) -> None:
    """Have a transcript with two names, as an adoption on one file system leaves it."""
    old = world.vm.home("backup") / "projects.adopted-20250101T000000Z" / "-src"
    old.mkdir(parents=True)
    new = world.vm.target("projects") / "-src"
    new.mkdir()
    (old / "a.jsonl").write_text('{"type":"user"}\n')
    (new / "a.jsonl").hardlink_to(old / "a.jsonl")
