"""How a VM gets into each state that a finding can have: real files, links, mounts, processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from invariants.conversations import running
from invariants.documents import MAX_BYTES
from invariants.folders import folder_of
from invariants.programs import socket_directory
from tests.pasted.machine import Machine
from tests.vm import LINKS, wait_until

CONVERSATION = str(uuid4())


class Way(NamedTuple):
    """A way into a *state* that *module* gives, and whether the fix mends it or only looks."""

    module: str
    state: str
    what: str
    mends: bool
    make: Callable[[Machine], object]
    needs_root: bool = False


WAYS: list[Way] = []


def way(
    module: str, state: str, *, mends: bool = False, root: bool = False
) -> Callable[[Callable[[Machine], object]], Callable[[Machine], object]]:
    """Take a function for a way into a state."""

    def taken(make: Callable[[Machine], object]) -> Callable[[Machine], object]:
        WAYS.append(Way(module, state, make.__name__, mends, make, root))
        return make

    return taken


def home(on: Machine, account: str = "backup") -> Path:
    return on.vm.home(account)


def target(on: Machine) -> Path:
    return on.vm.target("projects")


def entry(on: Machine) -> Path:
    return on.vm.entry("backup", "projects")


def gone(path: Path) -> Path:
    """Move what is at *path* away."""
    away = path.parent / "away"
    away.mkdir(exist_ok=True)
    path.rename(away / path.name)
    return path


def changed(path: Path, **values: object) -> None:
    """Change values of a JSON object, or write a new one."""
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **values}))
    path.chmod(0o600)


def immutable(on: Machine, path: Path) -> None:
    """Set the attribute that keeps even root from changing it."""
    if subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode:
        pytest.skip("no attributes of files here")


def remounted(on: Machine, path: Path, option: str) -> None:
    on.mounted(f"mount --bind {path} {path}", f"mount -o remount,bind,{option} {path}")


# homes


@way("homes", "missing", mends=True)
def home_gone(on: Machine) -> None:
    gone(home(on))


@way("homes", "missing")
def home_dangling(on: Machine) -> None:
    gone(home(on)).symlink_to("nowhere")


@way("homes", "unreadable")
def home_loop(on: Machine) -> None:
    gone(home(on)).symlink_to(home(on))


@way("homes", "not-a-directory", mends=True)
def home_file(on: Machine) -> None:
    gone(home(on)).write_text("precious")


@way("homes", "not-yours", mends=True, root=True)
def home_of_nobody_known(on: Machine) -> None:
    os.chown(home(on), 12345, -1)


@way("homes", "not-yours", root=True)
def home_of_another_user(on: Machine) -> None:
    os.chown(home(on), 65534, -1)


@way("homes", "read-only", root=True)
def home_read_only(on: Machine) -> None:
    remounted(on, home(on), "ro")


@way("homes", "nosymfollow", root=True)
def home_nosymfollow(on: Machine) -> None:
    remounted(on, home(on), "nosymfollow")


@way("homes", "no-access", mends=True)
def home_mode(on: Machine) -> None:
    home(on).chmod(0o500)
    on.unprivileged()


@way("homes", "no-access", mends=True, root=True)
def home_immutable(on: Machine) -> None:
    immutable(on, home(on))


@way("homes", "writable-by-others", mends=True)
def home_open(on: Machine) -> None:
    home(on).chmod(0o703)


@way("places", "same-home")
def home_same(on: Machine) -> None:
    gone(home(on)).symlink_to(home(on, "primary"))


@way("places", "inside-home")
def home_inside(on: Machine) -> None:
    home(on).rename(home(on, "primary") / "inner")
    home(on).symlink_to(home(on, "primary") / "inner")


@way("places", "around-home")
def home_around(on: Machine) -> None:
    home(on, "primary").rename(home(on) / "inner")
    home(on, "primary").symlink_to(home(on) / "inner")


@way("places", "same-home")
def target_same_home(on: Machine) -> None:
    gone(home(on)).symlink_to(target(on))
    target(on).chmod(0o700)
    for link in LINKS:
        on.vm.entry("backup", link).symlink_to(on.vm.target(link))


@way("places", "around-home")
def target_around_home(on: Machine) -> None:
    home(on).rename(target(on) / "inner")
    home(on).symlink_to(target(on) / "inner")


def _through_alias(on: Machine, place: str) -> None:
    """Name the target of projects by a symlinked path."""
    alias = on.root / "alias"
    alias.symlink_to(on.vm.shared)
    on.write(more=f'[shared.targets]\nprojects = "{alias}/{place}"\n')
    (on.vm.shared / place).mkdir(mode=0o700, parents=True, exist_ok=True)
    for account in on.vm.accounts:
        on.vm.entry(account, "projects").unlink()
        on.vm.entry(account, "projects").symlink_to(on.vm.shared / place)


@way("places", "same-target")
def target_same(on: Machine) -> None:
    _through_alias(on, "session-env")


@way("places", "inside-target")
def target_inside(on: Machine) -> None:
    _through_alias(on, "session-env/projects")


@way("places", "around-target")
def target_around(on: Machine) -> None:
    target(on).rename(on.root / "real")
    on.vm.target("session-env").rename(on.root / "real" / "env")
    on.vm.shared.joinpath("session-env").symlink_to(on.root / "real" / "env")
    (on.root / "alias").symlink_to(on.root)
    targets = f'projects = "{on.root}/alias/real"\nsession-env = "{on.root}/real/env"'
    on.write(more=f"[shared.targets]\n{targets}\n")
    for account in on.vm.accounts:
        for link, path in (("projects", "real"), ("session-env", "real/env")):
            on.vm.entry(account, link).unlink()
            on.vm.entry(account, link).symlink_to(on.root / path)


# targets


@way("targets", "missing", mends=True)
def target_gone(on: Machine) -> None:
    target(on).rmdir()


@way("targets", "vanished")
def targets_gone(on: Machine) -> None:
    gone(on.vm.shared)


@way("targets", "vanished", mends=True, root=True)
def targets_unmounted(on: Machine) -> None:
    """Let fstab name a file system that holds the targets, and is not mounted."""
    volume = gone(on.vm.shared).parent / "away" / "shared"
    on.vm.shared.mkdir()
    etc = on.root / "etc"
    on.mounted(
        f"cp -a /etc {etc}",
        f"echo '{volume} {on.vm.shared} none bind,noauto 0 0' >{etc}/fstab",
        f"mount --bind {etc} /etc",
    )


@way("targets", "symlink")
def target_symlink(on: Machine) -> None:
    target(on).rename(on.root / "real")
    target(on).symlink_to(on.root / "real")


@way("targets", "unreadable")
def target_unreadable(on: Machine) -> None:
    on.vm.shared.chmod(0o600)
    on.unprivileged()


@way("targets", "not-a-directory", mends=True)
def target_file(on: Machine) -> None:
    gone(target(on)).write_text("precious")


@way("targets", "read-only", root=True)
def target_read_only(on: Machine) -> None:
    remounted(on, target(on), "ro")


@way("targets", "no-access", mends=True)
def target_mode(on: Machine) -> None:
    target(on).chmod(0o500)
    on.unprivileged()


@way("targets", "no-access", mends=True, root=True)
def target_immutable(on: Machine) -> None:
    immutable(on, target(on))


@way("targets", "with-program")
def target_with_program(on: Machine) -> None:
    place = Path(__file__).resolve().parents[2] / "launcher" / "data"
    on.write(more=f'[shared.targets]\nprojects = "{place}"\n')


# links


@way("entries", "missing", mends=True)
def link_gone(on: Machine) -> None:
    entry(on).unlink()


@way("entries", "empty-directory", mends=True)
def link_empty(on: Machine) -> None:
    entry(on).unlink()
    entry(on).mkdir()


@way("entries", "real-directory", mends=True)
def link_directory(on: Machine) -> None:
    link_empty(on)
    (entry(on) / "a.jsonl").write_text("precious")


@way("entries", "real-directory", mends=True, root=True)
def link_is_the_target_mounted(on: Machine) -> None:
    link_empty(on)
    (target(on) / "-src").mkdir()
    on.mounted(f"mount --bind {target(on)} {entry(on)}")


@way("entries", "real-directory", mends=True, root=True)
def link_is_the_target_mounted_over_something(on: Machine) -> None:
    link_directory(on)
    on.mounted(f"mount --bind {target(on)} {entry(on)}")


@way("entries", "file", mends=True)
def link_file(on: Machine) -> None:
    entry(on).unlink()
    entry(on).write_text("precious")


@way("entries", "special", mends=True)
def link_fifo(on: Machine) -> None:
    entry(on).unlink()
    os.mkfifo(entry(on))


@way("entries", "divergent", mends=True)
def link_elsewhere(on: Machine) -> None:
    on.vm.diverge()


@way("entries", "chained", mends=True)
def link_chained(on: Machine) -> None:
    entry(on).unlink()
    (on.root / "hop").symlink_to(target(on))
    entry(on).symlink_to(on.root / "hop")


@way("entries", "loop", mends=True)
def link_loop(on: Machine) -> None:
    entry(on).unlink()
    entry(on).symlink_to(entry(on))


@way("entries", "unreadable")
def link_unreadable(on: Machine) -> None:
    link_empty(on)
    entry(on).chmod(0)
    on.unprivileged()


# logins


def credentials(on: Machine, account: str = "backup") -> Path:
    return home(on, account) / ".credentials.json"


def state(on: Machine, account: str = "backup") -> Path:
    return home(on, account) / ".claude.json"


@way("isolation", "not-yours", mends=True, root=True)
def login_of_nobody_known(on: Machine) -> None:
    os.chown(credentials(on), 12345, -1)


@way("isolation", "not-yours", mends=True, root=True)
def login_of_another_user(on: Machine) -> None:
    os.chown(credentials(on), 65534, -1)


@way("isolation", "shared", mends=True)
def login_shared(on: Machine) -> None:
    gone(credentials(on)).hardlink_to(credentials(on, "primary"))


@way("isolation", "hard-linked", mends=True)
def login_linked(on: Machine) -> None:
    (on.root / "second").hardlink_to(credentials(on))


@way("isolation", "symlink", mends=True)
def login_symlink(on: Machine) -> None:
    gone(credentials(on)).symlink_to(credentials(on, "primary"))


@way("isolation", "not-a-file", mends=True)
def login_directory(on: Machine) -> None:
    gone(credentials(on)).mkdir()


@way("isolation", "readable-by-others", mends=True)
def login_readable(on: Machine) -> None:
    credentials(on).chmod(0o644)


@way("isolation", "writable-by-others", mends=True)
def login_writable(on: Machine) -> None:
    state(on).chmod(0o666)


@way("identity", "same-login", mends=True)
def login_same(on: Machine) -> None:
    for account in on.vm.accounts:
        changed(state(on, account), oauthAccount={"accountUuid": "one"})


@way("identity", "same-tokens", mends=True)
def login_copied(on: Machine) -> None:
    shutil.copy(credentials(on, "primary"), credentials(on))


@way("readiness", "not-logged-in", mends=True)
def logged_out(on: Machine) -> None:
    gone(credentials(on, "primary"))


@way("readiness", "not-onboarded", mends=True)
def not_onboarded(on: Machine) -> None:
    changed(state(on, "primary"), hasCompletedOnboarding=False)


@way("readiness", "not-trusted", mends=True)
def not_trusted(on: Machine) -> None:
    changed(state(on, "primary"), projects={})


@way("readiness", "not-trusted")
def not_trusted_at_home(on: Machine) -> None:
    not_trusted(on)
    on.vm.environ["HOME"] = str(on.work)


@way("readiness", "not-accepted", mends=True)
def not_accepted(on: Machine) -> None:
    on.write("claude", "--dangerously-skip-permissions")


@way("readiness", "unreadable")
def state_no_json(on: Machine) -> None:
    state(on, "primary").write_text("no JSON")


@way("readiness", "unreadable", mends=True)
def state_too_large(on: Machine) -> None:
    prompts = [{"display": "x" * 1000, "pastedContents": {}}] * (MAX_BYTES // 1000)
    projects = json.loads(state(on, "primary").read_text())["projects"]
    changed(state(on, "primary"), projects={**projects, "/old": {"history": prompts}})


@way("parity", "different")
def settings_differ(on: Machine) -> None:
    on.write(more="[invariants]\nparity = true\n")
    changed(home(on) / "settings.json", permissions={"allow": ["Bash(ls)"]})


@way("retention", "invalid")
def retention_invalid(on: Machine) -> None:
    changed(home(on) / "settings.json", cleanupPeriodDays="soon")


@way("retention", "too-short")
def retention_short(on: Machine) -> None:
    changed(home(on) / "settings.json", cleanupPeriodDays=3)


@way("retention", "unreadable")
def retention_unreadable(on: Machine) -> None:
    (on.work / ".claude").mkdir()
    (on.work / ".claude" / "settings.json").write_text("no JSON")


# sessions


@way("sessions", "missing")
def directory_gone(on: Machine) -> None:
    on.work.rmdir()


@way("sessions", "unreadable")
def directory_loop(on: Machine) -> None:
    on.work.rmdir()
    on.work.symlink_to(on.work)


@way("sessions", "not-a-directory")
def directory_file(on: Machine) -> None:
    on.work.rmdir()
    on.work.write_text("precious")


@way("sessions", "no-access", mends=True)
def directory_mode(on: Machine) -> None:
    on.work.chmod(0o600)
    on.unprivileged()


@way("executable", "missing")
def program_gone(on: Machine) -> None:
    on.write("no-such-program")


@way("executable", "missing")
def program_gone_at_its_path(on: Machine) -> None:
    on.write(str(on.programs / "no-such-program"))


@way("executable", "dangling")
def program_dangling(on: Machine) -> None:
    (on.programs / "agent").symlink_to("nowhere")
    on.write("agent")


@way("executable", "not-executable", mends=True)
def program_mode(on: Machine) -> None:
    on.program(on.programs / "agent", "#!/bin/sh\n")
    (on.programs / "agent").chmod(0o644)
    on.write("agent")


@way("executable", "no-interpreter")
def program_of_no_interpreter(on: Machine) -> None:
    on.program(on.programs / "agent", "#!/usr/bin/env no-such-interpreter\n")
    on.write("agent")


def folder(on: Machine) -> Path:
    return target(on) / str(folder_of(str(on.work)))


@way("folders", "not-a-directory", mends=True)
def folder_file(on: Machine) -> None:
    folder(on).write_text("precious")


@way("folders", "unreadable")
def folder_loop(on: Machine) -> None:
    folder(on).symlink_to(folder(on))


@way("folders", "not-a-file", mends=True)
def transcript_directory(on: Machine) -> None:
    on.write("claude", session_keys=f'conversation = "{CONVERSATION}"')
    (folder(on) / f"{CONVERSATION}.jsonl").mkdir(parents=True)


@way("folders", "read-only", root=True)
def folder_read_only(on: Machine) -> None:
    folder(on).mkdir()
    remounted(on, folder(on), "ro")


@way("folders", "no-access", mends=True)
def folder_mode(on: Machine) -> None:
    folder(on).mkdir(mode=0o500)
    on.unprivileged()


@way("folders", "no-access", mends=True, root=True)
def folder_immutable(on: Machine) -> None:
    folder(on).mkdir()
    immutable(on, folder(on))


@way("test_sessions", "missing")
def backend_gone(on: Machine) -> None:
    on.write(backend="tmux")
    for name in ("sh", "bash", "python3", "env"):
        (on.programs / name).symlink_to(shutil.which(name) or "/bin/false")
    on.vm.environ["PATH"] = str(on.programs)


@way("sessions", "no-terminal")
def terminal_gone(on: Machine) -> None:
    on.write(backend="auto")
    for name in ("sh", "bash", "python3", "env"):
        (on.programs / name).symlink_to(shutil.which(name) or "/bin/false")
    on.vm.environ["PATH"] = str(on.programs)


@way("test_sessions", "no-manager", root=True)
def manager_gone(on: Machine) -> None:
    on.write(backend="systemd")
    on.mounted("mkdir -p /run/systemd", "mount -t tmpfs none /run/systemd")


def _sockets(on: Machine, *lines: str) -> None:
    """Let the directory of tmux's sockets be another one, made by *lines*, in a /tmp of its own."""
    on.write(backend="tmux")
    name = Path(socket_directory(os.geteuid())).name
    place = on.root / "tmp"
    place.mkdir()
    beside = f'for one in /tmp/*/; do new="{place}/$(basename "$one")"'
    beside += f'; test "$new" = "{place}/{name}" || {{ mkdir "$new" && mount --rbind "$one" "$new"'
    on.mounted(
        f"{beside} || true; }}; done",
        *(line.replace("$0", f"{place}/{name}") for line in lines),
        f"mount --rbind {place} /tmp",
    )


@way("sockets", "unsafe-sockets", mends=True, root=True)
def sockets_open(on: Machine) -> None:
    _sockets(on, "mkdir -m 777 $0")


@way("sockets", "unsafe-sockets", mends=True, root=True)
def sockets_of_another_user(on: Machine) -> None:
    _sockets(on, "mkdir -m 700 $0", "chown 65534 $0")


@way("sockets", "unsafe-sockets", mends=True, root=True)
def sockets_file(on: Machine) -> None:
    _sockets(on, "touch $0")


# the whole machine


@way("single_writer", "two-writers")
def two_writers(on: Machine) -> Iterator[None]:
    with _started(on, "primary") as first, _started(on, "backup") as second:
        yield from _until_seen(first, second)


@way("single_writer", "two-writers", mends=True)
def two_background_sessions(on: Machine) -> Iterator[None]:
    with _started(on, "primary") as first, _started(on, "backup") as second:
        for account, process in (("primary", first), ("backup", second)):
            place = home(on, account) / "daemon"
            place.mkdir()
            worker = {"sessionId": CONVERSATION, "replPid": process.pid}
            worker["replProcStart"] = running()[process.pid].start
            (place / "roster.json").write_text(json.dumps({"workers": {"job": worker}}))
            (place / "stop").write_text(f"kill {process.pid}\n")
        yield from _until_seen(first, second)


def _started(on: Machine, account: str) -> subprocess.Popen[bytes]:
    """Start a Claude Code at the one conversation, which reads until it is killed."""
    program = on.root / f"of-{account}" / "claude"
    program.parent.mkdir()
    on.program(program, "#!/bin/sh\nread line\n")
    environ = {**on.vm.environ, "CLAUDE_CONFIG_DIR": str(home(on, account))}
    command = [str(program), "--resume", CONVERSATION]
    return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE)


def _until_seen(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    lines = [Path(f"/proc/{process.pid}/cmdline") for process in processes]
    try:
        wait_until(lambda: all(b"--resume" in one.read_bytes() for one in lines), "they run")
        yield
    finally:
        for process in processes:
            process.kill()


@way("single_writer", "unreadable")
def roster_unreadable(on: Machine) -> None:
    (home(on) / "daemon").mkdir()
    (home(on) / "daemon" / "roster.json").write_text("no JSON")


def _stray(on: Machine) -> Path:
    stray = on.root / "a stray's\nhome"
    (stray / "projects" / "-src").mkdir(parents=True)
    (stray / "settings.json").touch()
    return stray


@way("strays", "stray")
def home_left_out(on: Machine) -> None:
    _stray(on)


@way("strays", "unreadable")
def stray_unreadable(on: Machine) -> None:
    (_stray(on) / "projects").chmod(0o300)
    on.unprivileged()


# the operator's own, and what could not be judged


def _own(on: Machine, *lines: str) -> None:
    directory = on.root / "own"
    directory.mkdir(mode=0o700)
    (directory / "test_own.py").write_text("\n".join(["import os, pytest", "", *lines, ""]))
    on.write(invariants=[str(directory)])


@way("own", "broken")
def own_in_words(on: Machine) -> None:
    _own(on, '@pytest.mark.fix("set it: isn\'t that easy?")', *_MISSING)


@way("own", "broken", mends=True)
def own_with_a_command(on: Machine) -> None:
    _own(on, f'@pytest.mark.command("mkdir {on.root}/there")', *_MISSING)


@way("own", "broken")
def own_without_a_fix(on: Machine) -> None:
    _own(on, *_MISSING)


_MISSING = (
    "def test_own(inventory):",
    "    there = os.path.join(os.path.dirname(inventory.path), 'there')",
    "    assert os.path.exists(there)",
)


@way("own", "not-judged")
def own_not_judged(on: Machine) -> None:
    _own(on, "def test_own(inventory):", "    raise OSError(str(inventory.path))")


@way("own", "not-judged")
def check_not_judged(on: Machine) -> None:
    on.place = on.vm.deploy()
    links = on.place / "invariants" / "test_links.py"
    first = "    if not vm.reachable"
    links.write_text(links.read_text().replace(first, f"    raise OSError\n{first}"))
