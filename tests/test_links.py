"""``observe``: ten states told apart, for every way that an entry can be made, races included."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from invariants.links import REQUIRED_SHARED, LinkState, observe
from tests.places import NEEDS_ROOT
from tests.vm import CHECKOUT, UNPRIVILEGED

S = LinkState


class Place:
    """A home with one entry, and the target that it should lead to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.entry = self.home / "projects"
        self.target = root / "shared" / "projects"
        self.home.mkdir()
        self.target.mkdir(parents=True)

    def other(self) -> Path:
        path = self.root / "other"
        path.mkdir(exist_ok=True)
        return path

    def symlink(self, name: str, to: str | Path) -> Path:
        path = self.root / name
        path.symlink_to(to)
        return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(path.parent)  # a socket's path may have 107 bytes only
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


def links_on(
    entry_to: Callable[[Place], Path], close: Callable[[Place], Path]
) -> Callable[[Place], None]:
    """Link the entry, and close a directory on its way to everybody."""

    def make(place: Place) -> None:
        place.entry.symlink_to(entry_to(place))
        close(place).chmod(0)

    return make


def drop_target(place: Place, *, whole_root: bool = False) -> None:
    place.target.rmdir()
    if whole_root:
        place.target.parent.rmdir()


def directory_with(count: int) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        place.entry.mkdir()
        for number in range(count):
            (place.entry / str(number)).touch()

    return make


def link_to(text: str) -> Callable[[Place], None]:
    return lambda place: place.entry.symlink_to(text.format(root=place.root))


def dangling_at_target(text: str) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        place.entry.symlink_to(text.format(root=place.root))
        drop_target(place)

    return make


def over_hop(text: str, hop_to: str, *, without_target: bool = False) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        place.symlink("hop", hop_to.format(root=place.root))
        place.other()
        place.entry.symlink_to(text.format(root=place.root))
        if without_target:
            drop_target(place)

    return make


def target_over_symlinked_parent(place: Place) -> None:
    place.symlink("alias", "shared")
    place.entry.symlink_to(place.root / "alias" / "projects")


def missing_root_over_symlinked_parent(place: Place) -> None:
    drop_target(place, whole_root=True)
    place.symlink("alias", place.root)
    place.entry.symlink_to(place.root / "alias" / "shared" / "projects")


def target_is_a_symlink(place: Place) -> None:
    drop_target(place)
    place.target.symlink_to(place.other())
    place.entry.symlink_to(place.target)


def where_a_symlinked_target_leads(place: Place) -> None:
    drop_target(place)
    place.target.symlink_to(place.other())
    place.entry.symlink_to(place.other())


def target_is_a_file(place: Place) -> None:
    drop_target(place)
    place.target.touch()
    place.entry.symlink_to(place.target)


def target_below_a_file(place: Place) -> None:
    drop_target(place, whole_root=True)
    place.target.parent.touch()
    place.entry.symlink_to(place.target)


def elsewhere_without_target(place: Place) -> None:
    drop_target(place)
    place.entry.symlink_to(place.other())


def elsewhere_target_a_loop(place: Place) -> None:
    drop_target(place)
    place.target.symlink_to(place.target)
    place.entry.symlink_to(place.other())


def loop_of_two(place: Place) -> None:
    place.entry.symlink_to(place.root / "hop")
    place.symlink("hop", place.entry)


def loop_on_the_way(place: Place) -> None:
    place.symlink("hop", "hop")
    place.entry.symlink_to(place.root / "hop" / "projects")


CASES: list[tuple[str, Callable[[Place], Any], LinkState, str]] = [
    ("absolute", link_to("{root}/shared/projects"), S.SHARED, "symlink to {root}/shared/projects"),
    ("relative", link_to("../shared/projects"), S.SHARED, "symlink to ../shared/projects"),
    ("dotted", link_to("../home/../shared/./projects"), S.SHARED, "symlink to "),
    ("slash at the end", link_to("{root}/shared/projects/"), S.SHARED, "symlink to "),
    ("dot at the end", link_to("{root}/shared/projects/."), S.SHARED, "symlink to "),
    ("symlinked parent", target_over_symlinked_parent, S.SHARED, "symlink to {root}/alias"),
    (
        "target missing",
        dangling_at_target("{root}/shared/projects"),
        S.SHARED,
        "symlink to {root}/shared/projects, which does not exist",
    ),
    ("target missing, relative", dangling_at_target("../shared/projects"), S.SHARED, "symlink to "),
    ("target missing, slash", dangling_at_target("../shared/projects/"), S.SHARED, "symlink to "),
    ("root missing", missing_root_over_symlinked_parent, S.SHARED, "symlink to {root}/alias"),
    ("target a file", target_is_a_file, S.SHARED, "symlink to {root}/shared/projects"),
    ("target below a file", target_below_a_file, S.SHARED, "symlink to {root}/shared/projects"),
    (
        "past a symlinked target",
        where_a_symlinked_target_leads,
        S.SHARED,
        "symlink to {root}/other",
    ),
    ("nothing", lambda place: None, S.MISSING, "nothing"),
    ("no home", lambda place: place.home.rmdir(), S.MISSING, "nothing"),
    ("empty", directory_with(0), S.EMPTY_DIRECTORY, "empty directory"),
    ("one inside", directory_with(1), S.REAL_DIRECTORY, "directory with 1 entry"),
    ("many inside", directory_with(412), S.REAL_DIRECTORY, "directory with 412 entries"),
    ("file", lambda place: place.entry.write_text("x"), S.FILE, "regular file"),
    ("fifo", lambda place: os.mkfifo(place.entry), S.SPECIAL, "named pipe"),
    ("socket", lambda place: socket_at(place.entry), S.SPECIAL, "socket"),
    ("elsewhere", lambda place: place.entry.symlink_to(place.other()), S.DIVERGENT, "symlink to "),
    ("to a file", link_to("/etc/passwd"), S.DIVERGENT, "symlink to /etc/passwd"),
    (
        "to nowhere",
        link_to("{root}/nonexistent"),
        S.DIVERGENT,
        "symlink to {root}/nonexistent, which does not exist",
    ),
    ("below a file", link_to("/etc/passwd/projects"), S.DIVERGENT, "symlink to /etc/passwd/pro"),
    ("same name elsewhere", link_to("{root}/gone/projects"), S.DIVERGENT, "symlink to {root}/gone"),
    *(
        (f"beside the missing target: {text}", dangling_at_target(text), S.DIVERGENT, "symlink to ")
        for text in ("../shared/a", "../shared/z", "../a/projects", "../z/projects")
    ),
    ("elsewhere, target missing", elsewhere_without_target, S.DIVERGENT, "symlink to {root}/other"),
    ("elsewhere, target a loop", elsewhere_target_a_loop, S.DIVERGENT, "symlink to {root}/other"),
    ("name too long", link_to("x" * 300), S.DIVERGENT, "symlink to xxx"),
    ("to its parent", link_to(".."), S.DIVERGENT, "symlink to .."),
    ("to its home", link_to("."), S.DIVERGENT, "symlink to ."),
    ("to the root of all", link_to("/"), S.DIVERGENT, "symlink to /"),
    (
        "above the target",
        link_to("{root}/shared"),
        S.DIVERGENT,
        "symlink to {root}/shared",
    ),
    (
        "hop to the target",
        over_hop("{root}/hop", "{root}/shared/projects"),
        S.CHAINED,
        "symlink to {root}/hop, a further symlink",
    ),
    (
        "hop with a slash",
        over_hop("{root}/hop/", "{root}/shared/projects"),
        S.CHAINED,
        "symlink to {root}/hop/, a further symlink",
    ),
    ("hop with a dot", over_hop("{root}/hop/.", "shared/projects"), S.CHAINED, "symlink to "),
    ("hop with both", over_hop("{root}/hop/.//", "shared/projects"), S.CHAINED, "symlink to "),
    (
        "hop to the missing target",
        over_hop("{root}/hop", "{root}/shared/projects", without_target=True),
        S.CHAINED,
        "symlink to {root}/hop, a further symlink that leads nowhere",
    ),
    ("symlinked target", target_is_a_symlink, S.CHAINED, "symlink to {root}/shared/projects, a f"),
    ("hop elsewhere", over_hop("{root}/hop", "{root}/other"), S.DIVERGENT, "symlink to {root}/hop"),
    ("hop to nowhere", over_hop("{root}/hop", "nonexistent"), S.DIVERGENT, "symlink to {root}/h"),
    ("itself", link_to("projects"), S.LOOP, "symlink to projects, a loop"),
    ("loop of two", loop_of_two, S.LOOP, "symlink to {root}/hop, a loop"),
    ("loop on the way", loop_on_the_way, S.LOOP, "symlink to {root}/hop/projects, a loop"),
]


@pytest.mark.parametrize(
    ("make", "state", "found"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_state_is_named(
    place: Place, make: Callable[[Place], Any], state: LinkState, found: str
) -> None:
    make(place)
    seen = observe(place.entry, place.target)
    assert state is seen.state
    assert seen.found.startswith(found.format(root=place.root))


def test_every_state_has_a_case() -> None:
    assert set(LinkState) - {S.UNREADABLE} == {state for _, _, state, _ in CASES}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_device_is_special(place: Place) -> None:
    os.mknod(place.entry, 0o600 | 0o020000, os.makedev(1, 3))
    assert (S.SPECIAL, "character device") == (
        observe(place.entry, place.target).state,
        observe(place.entry, place.target).found,
    )


def test_same_directory_by_another_path_is_shared(place: Place) -> None:
    """Device and inode decide, not the text: another way to the target is the target."""
    place.entry.symlink_to(place.root / "home" / ".." / "shared" / "projects")
    assert S.SHARED is observe(place.entry, f"{place.target}/").state


def test_text_that_cannot_be_printed_is_escaped(place: Place) -> None:
    place.entry.symlink_to("two\nlines\x1b[31m")
    assert (
        r"symlink to 'two\nlines\x1b[31m', which does not exist"
        == observe(place.entry, place.target).found
    )


def test_bytes_that_are_no_text_are_escaped(place: Place) -> None:
    os.symlink(b"\xff\xfe", os.fsencode(place.entry))
    assert S.DIVERGENT is observe(place.entry, place.target).state
    assert observe(place.entry, place.target).found.isprintable()


def test_required_links_are_those_that_claude_code_needs() -> None:
    assert ("session-env", "file-history", "projects") == REQUIRED_SHARED


UNREADABLE: dict[str, tuple[Callable[[Place], Any], Callable[[Place], Any]]] = {
    "home not searchable": (
        lambda place: place.home.chmod(0),
        lambda place: place.home.chmod(0o700),
    ),
    "directory not readable": (
        lambda place: place.entry.mkdir(mode=0),
        lambda place: place.entry.chmod(0o700),
    ),
    "way to the target not searchable": (
        links_on(lambda place: place.target, lambda place: place.target.parent),
        lambda place: place.target.parent.chmod(0o700),
    ),
    "way over a hop not searchable": (
        links_on(
            lambda place: place.symlink("hop", "shared/projects"), lambda place: place.target.parent
        ),
        lambda place: place.target.parent.chmod(0o700),
    ),
    "target not searchable, link elsewhere": (
        links_on(lambda place: place.other(), lambda place: place.target.parent),
        lambda place: place.target.parent.chmod(0o700),
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_may_not_be_read_is_unreadable(place: Place, name: str) -> None:
    make, mend = UNREADABLE[name]
    make(place)
    script = (
        "from invariants.links import observe\n"
        f"seen = observe({str(place.entry)!r}, {str(place.target)!r})\n"
        "print(seen.state, seen.found, sep='|')"
    )
    try:
        output = subprocess.check_output([*UNPRIVILEGED, sys.executable, "-c", script], text=True)
    finally:
        mend(place)
    assert "unreadable|unreadable: Permission denied\n" == output


def seen_in(place: Place, mount: str) -> str:
    """Return state, words and whether it is followed, as seen where *mount* was run by sh."""
    script = (
        "from invariants.links import observe\n"
        f"print(*observe({str(place.entry)!r}, {str(place.target)!r}), sep='|')"
    )
    line = f'{mount.format(root=place.root)} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", line, "sh", sys.executable, "-c", script]
    return subprocess.check_output(command, text=True, cwd=CHECKOUT).strip()


NOSYMFOLLOW = (
    "mount --bind {root}/home {root}/home && mount -o remount,bind,nosymfollow {root}/home"
)
READ_ONLY = (
    "mkdir {root}/view && mount --bind {root}/shared {root}/view"
    " && mount -o remount,bind,ro {root}/view"
)


@NEEDS_ROOT
@pytest.mark.parametrize("exists", [True, False])
def test_link_that_the_kernel_does_not_follow_is_not_shared(place: Place, exists: bool) -> None:
    place.entry.symlink_to(place.target)
    assert "shared|" in seen_in(place, "true")
    found = f"symlink to {place.target}"
    if not exists:
        drop_target(place)
        found += ", which does not exist"
    why = "which the kernel does not follow: its file system is mounted nosymfollow"
    assert f"unreadable|{found}, {why}|False|False" == seen_in(place, NOSYMFOLLOW)


@NEEDS_ROOT
def test_link_through_which_the_target_cannot_be_written_is_not_shared(place: Place) -> None:
    place.entry.symlink_to(place.root / "view" / "projects")
    found = f"symlink to {place.root}/view/projects, through which {place.target} cannot be written"
    assert f"unreadable|{found}|False|False" == seen_in(place, READ_ONLY)


@NEEDS_ROOT
def test_link_to_a_target_that_is_read_only_itself_is_shared(place: Place) -> None:
    """One cause, one failure: the target's own check tells."""
    place.entry.symlink_to(place.target)
    read_only = "mount --bind {root}/shared {root}/shared && mount -o remount,bind,ro {root}/shared"
    assert f"shared|symlink to {place.target}|True|False" == seen_in(place, read_only)


@NEEDS_ROOT
def test_link_in_a_home_that_is_mounted_otherwise_is_shared(place: Place) -> None:
    place.entry.symlink_to(place.target)
    mounted = "mount --bind {root}/home {root}/home && mount -o remount,bind,nosuid,nodev,noexec"
    assert f"shared|symlink to {place.target}|True|False" == seen_in(
        place, f"{mounted} {{root}}/home"
    )


def test_link_that_the_kernel_refuses_to_this_user_is_not_shared(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So fs.protected_symlinks answers, a setting of the whole machine that a test leaves alone."""
    place.entry.symlink_to(place.target)
    real = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if os.fspath(path) == str(place.entry):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        status: os.stat_result = real(path, **options)
        return status

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        seen = observe(place.entry, place.target)
    found = f"symlink to {place.target}, which the kernel does not follow: Permission denied"
    assert (S.UNREADABLE, found, False, False) == seen


def test_name_too_long_is_unreadable(place: Place) -> None:
    seen = observe(place.home / ("x" * 300), place.target)
    assert (S.UNREADABLE, "unreadable: File name too long") == (seen.state, seen.found)


def test_home_that_is_a_loop_is_unreadable(place: Place) -> None:
    loop = place.symlink("loop", "loop")
    assert S.UNREADABLE is observe(loop / "projects", place.target).state


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("call", ["lstat", "readlink", "stat", "open", "scandir"])
def test_error_of_the_disk_is_unreadable(
    place: Place, call: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing disk cannot be had in a test; each system call is made to answer as one does."""
    if call in ("open", "scandir"):
        directory_with(2)(place)
    else:
        over_hop("{root}/hop", "shared/projects")(place)

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        seen = observe(place.entry, place.target)
    assert (S.UNREADABLE, f"unreadable: {os.strerror(number)}") == (seen.state, seen.found)


@pytest.mark.parametrize("shape", ["link", "link, target stale", "hop"])
def test_error_further_on_the_way_is_unreadable(
    place: Place, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry itself can be read; what it names, or the target, cannot."""
    if shape == "hop":
        over_hop("{root}/hop", "shared/projects")(place)
    else:
        place.entry.symlink_to(place.other())
    lstat, stat = os.lstat, os.stat

    def fail_on(real: Any, path: str) -> Any:
        def call(asked: Any, **options: Any) -> os.stat_result:
            if os.fspath(asked) == path:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            status: os.stat_result = real(asked, **options)
            return status

        return call

    with monkeypatch.context() as patch:
        if shape == "link":
            patch.setattr(os, "lstat", fail_on(lstat, str(place.other())))
        else:
            patch.setattr(os, "stat", fail_on(stat, str(place.target)))
        seen = observe(place.entry, place.target)
    assert S.UNREADABLE is seen.state


def turning(
    place: Place, monkeypatch: pytest.MonkeyPatch, call: str, into: Callable[[], object]
) -> None:
    """Let the entry become something else right after the first *call* of the observation."""
    real = getattr(os, call)
    done = iter([False])

    def then(*arguments: object, **options: object) -> object:
        result = real(*arguments, **options)
        if next(done, True) is False:
            place.entry.unlink() if place.entry.is_symlink() else place.entry.rmdir()
            into()
        return result

    monkeypatch.setattr(os, call, then)


INTO: dict[str, tuple[Callable[[Place], object], LinkState]] = {
    "nothing": (lambda place: None, S.MISSING),
    "a directory": (lambda place: place.entry.mkdir(), S.EMPTY_DIRECTORY),
    "a file": (lambda place: place.entry.touch(), S.FILE),
    "a pipe": (lambda place: os.mkfifo(place.entry), S.SPECIAL),
    "the right link": (lambda place: place.entry.symlink_to(place.target), S.SHARED),
    "another link": (lambda place: place.entry.symlink_to(place.other()), S.DIVERGENT),
}


@pytest.mark.parametrize("into", INTO)
@pytest.mark.parametrize("was", ["link", "directory"])
def test_entry_that_changes_after_the_first_look_is_named_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch, was: str, into: str
) -> None:
    if was == "link":
        place.entry.symlink_to(place.other())
    else:
        place.entry.mkdir()
    make, state = INTO[into]
    turning(place, monkeypatch, "lstat", lambda: make(place))
    assert state is observe(place.entry, place.target).state


def test_entry_that_keeps_changing_is_unreadable(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.entry.symlink_to(place.target)
    real = os.lstat

    def swap(path: Any) -> os.stat_result:
        status = real(path)
        if os.fspath(path) == str(place.entry):
            if place.entry.is_symlink():
                place.entry.unlink()
                place.entry.mkdir()
            else:
                place.entry.rmdir()
                place.entry.symlink_to(place.target)
        return status

    monkeypatch.setattr(os, "lstat", swap)
    seen = observe(place.entry, place.target)
    assert (S.UNREADABLE, "unreadable: it keeps changing while it is read") == (
        seen.state,
        seen.found,
    )


def test_home_that_vanishes_after_the_first_look_is_missing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.entry.symlink_to(place.target)

    def vanish() -> None:
        place.home.rmdir()

    turning(place, monkeypatch, "lstat", vanish)
    assert S.MISSING is observe(place.entry, place.target).state


@pytest.fixture
def old_times(place: Place) -> Callable[[], list[int]]:
    """Return a function that tells the access times of the entry and of what is in it."""
    directory_with(3)(place)
    inside = place.entry / "0"
    for path in (inside, place.entry):
        os.utime(path, ns=(10**15, 10**15))
    return lambda: [path.stat().st_atime_ns for path in (place.entry, inside)]


def test_directory_is_counted_without_a_trace(
    place: Place, old_times: Callable[[], list[int]]
) -> None:
    """An access time older than the modification would be renewed by a plain read (relatime)."""
    before = old_times()
    assert "directory with 3 entries" == observe(place.entry, place.target).found
    assert before == old_times()


@pytest.mark.parametrize("there", [True, False])
def test_text_that_climbs_out_of_nowhere_leads_nowhere(place: Place, there: bool) -> None:
    """The kernel does not resolve ``nowhere/..``; a text that is only tidied up would be green."""
    if not there:
        place.target.rmdir()
    place.entry.symlink_to("../nowhere/../shared/projects")
    assert S.DIVERGENT is observe(place.entry, place.target).state


@given(
    st.lists(st.sampled_from(["..", ".", "home", "shared", "projects", "hop", "/", ""]), max_size=8)
)
@example(["..", "projects", "..", "shared", "projects"])
def test_any_text_is_answered_as_the_kernel_would(parts: list[str]) -> None:
    """``shared`` and ``chained`` are given exactly where the kernel reaches the target."""
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root))
        place.symlink("hop", "shared/projects")
        text = "/".join(parts) or "."
        place.entry.symlink_to(text)
        state = observe(place.entry, place.target).state
        try:
            reaches = place.entry.samefile(place.target)
        except OSError:
            reaches = False
        assert reaches == (state in (S.SHARED, S.CHAINED))
