"""What is done about each file, and that a refusal writes nothing."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from invariants.model import Account, Link
from launcher.adopt import Adopted, AdoptionRefused, adopt
from launcher.adopt.names import Temporaries, is_temporary
from launcher.adopt.plan import Rule, Subject
from tests.adopt.world import World, assert_whole, read, write
from tests.vm import snapshot


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def rules(adopted: Adopted) -> dict[str, str]:
    assert adopted.plan is not None
    return {os.fsdecode(step.path): step.rule.value for step in adopted.plan.steps}


def refused(world: World, **options: object) -> list[tuple[str, str]]:
    before = snapshot(world.root)
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt(**options)
    assert before == snapshot(world.root), "a refusal wrote something"
    return [(one.state, one.found) for one in refusal.value.findings]


CASES = {
    "absent": (b"x", None, "a", Rule.TAKE),
    "same bytes": (b"x", b"x", "a", Rule.THERE),
    "both empty": (b"", b"", "a", Rule.THERE),
    "transcript that goes on": (b"1\n2\n", b"1\n", "a.jsonl", Rule.LONGER),
    "transcript that the target goes on": (b"1\n", b"1\n2\n", "a.jsonl", Rule.SHORTER),
    "empty transcript": (b"", b"1\n", "a.jsonl", Rule.SHORTER),
    "same transcript": (b"1\n", b"1\n", "a.jsonl", Rule.THERE),
}


@pytest.mark.parametrize(("ours", "theirs", "name", "rule"), CASES.values(), ids=list(CASES))
def test_each_file_has_its_rule(
    world: World, ours: bytes, theirs: bytes | None, name: str, rule: Rule
) -> None:
    path = b"d/" + name.encode()
    world.fill({path: ours}, {path: theirs} if theirs is not None else {b"d": None})
    planned = world.adopt(dry_run=True)
    assert rule.value == rules(planned)[f"d/{name}"]
    assert rules(planned) == rules(world.adopt())
    world.assert_adopted()
    longest = max(ours, theirs or b"", key=len)
    assert longest == (world.target / "d" / name).read_bytes()


TWICE = {name: (ours, theirs) for name, (ours, theirs, _, _) in CASES.items() if theirs is not None}


@pytest.mark.parametrize("younger", ["ours", "theirs"])
@pytest.mark.parametrize(("ours", "theirs"), TWICE.values(), ids=list(TWICE))
def test_of_two_the_younger_time_is_kept(
    world: World, ours: bytes, theirs: bytes, younger: str
) -> None:
    """The sweep of Claude Code goes by it."""
    world.fill({b"a.jsonl": ours}, {b"a.jsonl": theirs})
    of_ours, of_theirs = (3 * 10**18, 10**18) if younger == "ours" else (10**18, 3 * 10**18)
    os.utime(world.entry / "a.jsonl", ns=(10**18, of_ours))
    os.utime(world.target / "a.jsonl", ns=(10**18, of_theirs))
    world.adopt()
    assert 3 * 10**18 == (world.target / "a.jsonl").stat().st_mtime_ns
    assert max(ours, theirs, key=len) == (world.target / "a.jsonl").read_bytes()


CONFLICTS = {
    "other bytes": (b"x", b"y"),
    "a prefix, but no transcript": (b"x", b"xy"),
    "a file for a directory": (b"x", None),
    "a directory for a file": (None, b"y"),
}


@pytest.mark.parametrize(("ours", "theirs"), CONFLICTS.values(), ids=list(CONFLICTS))
def test_conflict_is_refused_or_both_are_kept(
    world: World, ours: bytes | None, theirs: bytes | None
) -> None:
    world.fill({b"d/n": ours, b"d/other": b"o"}, {b"d/n": theirs})
    assert ["conflict"] == [state for state, _ in refused(world)]
    adopted = world.adopt(keep_both=True)
    assert adopted.kept is not None
    kept = Path(adopted.kept) / "d" / "n"
    assert kept.is_dir() if ours is None else ours == kept.read_bytes()
    assert world.home == Path(adopted.kept).parent
    world.assert_adopted()


def test_transcripts_that_part_ways_are_a_conflict(world: World) -> None:
    world.fill({b"a.jsonl": b"1\n2\n"}, {b"a.jsonl": b"1\n3\n4\n"})
    assert ["conflict"] == [state for state, _ in refused(world)]
    world.adopt(keep_both=True)
    world.assert_adopted()


def test_all_below_a_directory_in_conflict_is_kept(world: World) -> None:
    world.fill({b"d/e/f": b"x", b"d/empty": None, b"d/g": b"y"}, {b"d": b"a file"})
    assert 1 == len(refused(world)), "one cause, one refusal"
    world.adopt(keep_both=True)
    world.assert_adopted()


def test_refused_memory_shows_where_it_differs(world: World) -> None:
    text = b"\n".join(b"line %d" % number for number in range(200))
    path = b"-home-x/memory/MEMORY.md"
    world.fill({path: text.replace(b"line", b"mine")}, {path: text})
    with pytest.raises(AdoptionRefused) as refusal:
        world.adopt()
    lines = refusal.value.memories.splitlines()
    assert "  +++ the account's" in lines
    assert lines[-1].endswith("more lines")
    assert len(lines) < 30
    assert "line" not in str([one.as_json() for one in refusal.value.findings])


def test_every_refusal_is_told_at_once(world: World) -> None:
    world.fill({b"d/f": b"x", b"n": b"1"}, {b"n": b"2"})
    (world.entry / "link").symlink_to("d")
    os.mkfifo(world.entry / "pipe")
    (world.entry / "d" / "foreign").write_text("x")
    os.chown(world.entry / "d" / "foreign", 12345, 12345)
    states = [state for state, _ in refused(world)]
    assert sorted(["conflict", "inner-symlink", "special-file", "not-yours"]) == sorted(states)
    assert ["inner-symlink", "special-file", "not-yours"] == [
        state for state, _ in refused(world, keep_both=True)
    ]


def test_shorter_transcript_of_somebody_else_is_not_replaced(world: World) -> None:
    world.fill(
        {b"a.jsonl": b"1\n2\n", b"b.jsonl": b"1\n"}, {b"a.jsonl": b"1\n", b"b.jsonl": b"1\n"}
    )
    for name in ("a.jsonl", "b.jsonl"):
        os.chown(world.target / name, 12345, 12345)
    ((state, found),) = refused(world, keep_both=True)
    assert "not-yours" == state
    assert f"{world.target / 'a.jsonl'}: it belongs to" in found


def test_link_whose_dated_name_would_be_too_long_is_refused(world: World) -> None:
    name = "n" * 240
    world.link = Link(name, str(world.target))
    world.subject = Subject(world.account, world.link)
    world.entry = world.home / name
    world.fill({b"f": b"x"}, {})
    assert ["name-too-long"] == [state for state, _ in refused(world)]


def test_symlink_in_the_target_is_never_followed(world: World) -> None:
    outside = world.root / "outside"
    write(outside, {b"kept": b"outside"})
    world.fill({b"d/f": b"x", b"g": b"y"}, {})
    (world.target / "d").symlink_to(outside)
    (world.target / "g").symlink_to(outside / "new")
    assert ["conflict", "conflict"] == [state for state, _ in refused(world)]
    world.remember()
    world.adopt(keep_both=True)
    assert [b"kept"] == list(read(outside))


def test_empty_directory_is_the_trivial_case(world: World) -> None:
    world.fill({}, {b"f": b"x"})
    adopted = world.adopt()
    world.assert_adopted()
    assert (0, 0) == adopted.count(Rule.TAKE)


def test_missing_target_is_created_for_its_owner_alone(world: World) -> None:
    write(world.entry, {b"d/f": b"x"})
    world.remember_ours()
    world.adopt()
    world.assert_adopted()
    assert 0o700 == stat.S_IMODE(world.target.stat().st_mode)


def test_second_run_is_a_no_op(world: World) -> None:
    world.fill({b"d/f": b"x", b"n": b"1"}, {b"n": b"2"})
    world.adopt(keep_both=True)
    before = snapshot(world.root)
    assert world.adopt().shared
    assert before == snapshot(world.root)


@pytest.fixture(params=["root", "user"])
def anybodys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Return a world of root's, and one of a user who is not root."""
    if request.param == "root" or os.geteuid() != 0:
        yield World(tmp_path)
        return
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, 12345, 12345)
        os.setegid(12345)
        os.seteuid(12345)
        try:
            yield World(Path(place))
        finally:
            os.seteuid(0)
            os.setegid(0)


def test_owner_mode_times_attributes_and_hard_links_survive(anybodys: World) -> None:
    world = anybodys
    world.fill({b"d/f": b"x", b"d/e": None, b"g": b"y"}, {})
    os.link(world.entry / "d/f", world.entry / "hard")
    os.setxattr(world.entry / "d/f", "user.note", b"\0\xff")
    os.setxattr(world.entry / "d", "user.note", b"on a directory")
    for path, mode in (("d/f", 0o604), ("d/e", 0o511), ("d", 0o555)):
        os.chmod(world.entry / path, mode)
        os.utime(world.entry / path, ns=(1, 1_234_567_890_123_456_789))
    world.remember()
    world.adopt()
    world.assert_adopted()
    assert (world.target / "hard").samefile(world.target / "d" / "f")


def test_file_without_permission_to_read_is_refused(world: World) -> None:
    """As root this needs a user who is not: see ``test_adopt_verb.py``."""
    world.fill({b"f": b"x"}, {})
    (world.entry / "f").chmod(0)
    if os.geteuid() != 0:
        assert ["unreadable"] == [state for state, _ in refused(world)]


def test_all_homes_are_planned_as_one(tmp_path: Path) -> None:
    """Two homes hold the same file, one hold what the other goes on, and two are in conflict."""
    one, two = World(tmp_path / "one", tmp_path / "s"), World(tmp_path / "two", tmp_path / "s")
    two.account = Account("other", str(two.home))
    two.subject = Subject(two.account, two.link)
    one.fill({b"d/a.jsonl": b"1\n", b"same": b"s", b"n": b"1"}, {})
    two.fill({b"d/a.jsonl": b"1\n2\n", b"same": b"s", b"n": b"2", b"e/f": b"x"}, {})
    before = snapshot(tmp_path)
    with pytest.raises(AdoptionRefused) as refusal:
        adopt([one.subject, two.subject], one.how())
    assert [("other projects", "conflict")] == [
        (finding.place, finding.state) for finding in refusal.value.findings
    ]
    assert before == snapshot(tmp_path)
    done = adopt([one.subject, two.subject], one.how(keep_both=True))
    assert 2 == len(done)
    assert b"1\n2\n" == (one.target / "d" / "a.jsonl").read_bytes()
    assert b"1" == (one.target / "n").read_bytes()
    for world in (one, two):
        assert_whole(world.ours, read(world.old))
        assert world.is_shared


def test_leftover_that_somebody_has_open_stays(world: World) -> None:
    """As a shorter transcript whose writer does not know that it was swapped."""
    world.fill({b"f": b"whole"}, {})
    dead = Temporaries().name(b"f").decode().replace(f".{os.getpid()}.", ".999999.")
    with open(world.target / dead, "w") as writer:
        world.adopt()
        writer.write("not lost")
    assert "not lost" == (world.target / dead).read_text()


def test_leftovers_of_a_killed_one_go_only_where_their_bytes_are_elsewhere(world: World) -> None:
    world.fill({b"f": b"whole"}, {})
    mine = Temporaries().name(b"f").decode()
    dead = mine.replace(f".{os.getpid()}.", ".999999.")
    other = dead[:-1] + "7"
    (world.target / mine).write_text("who")  # of one that runs
    (world.target / dead).write_text("who")  # all of it is in the account's file
    (world.target / other).write_text("why")  # it is nowhere else
    assert all(is_temporary(name.encode()) for name in (mine, dead, other))
    world.remember()
    world.theirs.pop(dead.encode())
    world.adopt()
    assert world.is_shared
    world.assert_nothing_lost()
    assert not (world.target / dead).exists()
    assert "why" == (world.target / other).read_text()
    assert "who" == (world.target / mine).read_text()
