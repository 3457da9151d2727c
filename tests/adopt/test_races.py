"""Adoptions beside each other, beside ``ensure``, and beside somebody who writes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from invariants.model import Account
from launcher.adopt import Adoption, AdoptionRefused, Stopped, adopt, work
from launcher.adopt.carry import Carrier
from launcher.errors import NotJudged
from launcher.interrupts import Interrupts
from launcher.provision import EntriesRefused, ensure
from tests.adopt.world import EveryoneBut, World, assert_whole, read, unseen, write
from tests.vm import Vm


@contextmanager
def meanwhile(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, act: Callable[[], object]
) -> Iterator[None]:
    """Let *act* happen once, right before the first call of a function of *module*."""
    real = getattr(module, name)
    acts = [act]

    def called(*arguments: object, **named: object) -> object:
        if acts:
            acts.pop()()
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, called)
        yield


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).fill(
        {b"d/a.jsonl": b"1\n2\n", b"d/b.jsonl": b"1\n", b"new": b"n", b"same": b"s"},
        {b"d/a.jsonl": b"1\n", b"d/b.jsonl": b"1\n2\n", b"same": b"s"},
    )


BEFORE_THE_LAST_LOOK: dict[str, Callable[[World], object]] = {
    "a file grows": lambda world: append(world.entry / "new"),
    "a file is created": lambda world: (world.entry / "late").write_text("x"),
    "a file is removed": lambda world: (world.entry / "same").unlink(),
    "a file becomes a symlink": lambda world: relink(world.entry / "same"),
    "the target's file changes": lambda world: (world.target / "same").write_text("t"),
    "the target's file goes": lambda world: (world.target / "same").unlink(),
    "the target is another": lambda world: replace(world.target),
    "a directory is swapped": lambda world: swap(world.entry / "d", world.root / "aside"),
}


def append(path: Path) -> None:
    with open(path, "a") as file:
        file.write("more\n")


def replace(path: Path) -> None:
    os.rename(path, f"{path}.aside")
    path.mkdir()


def relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("new")


def swap(path: Path, aside: Path) -> None:
    os.rename(path, aside)
    os.symlink(aside, path)


@pytest.mark.parametrize("act", BEFORE_THE_LAST_LOOK.values(), ids=list(BEFORE_THE_LAST_LOOK))
def test_change_between_plan_and_end_stops_it(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[World], object]
) -> None:
    with (
        meanwhile(monkeypatch, work.Work, "_look_again", lambda: act(world)),
        pytest.raises(Stopped, match="nothing is lost"),
    ):
        world.adopt()
    assert not world.entry.is_symlink()
    assert [] == world.dated("adopted")


@pytest.mark.parametrize("elsewhere", [None, "/dev/shm"], ids=["one", "two"])
def test_what_comes_while_the_link_is_put_is_brought_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: str | None,
) -> None:
    """By a process with an open descriptor: as a new file, and at the end of a transcript."""
    with tempfile.TemporaryDirectory(dir=elsewhere or tmp_path) as place:
        world = World(tmp_path / "w", Path(place) / "s").fill({b"d/a.jsonl": b"1\n"}, {})

        def write_late() -> None:
            append(world.entry / "d" / "a.jsonl")
            (world.entry / "d" / "late").write_text("x")

        with meanwhile(monkeypatch, work, "link_in", write_late):
            assert world.adopt().late >= 1
        assert world.is_shared
        now = read(world.target)
        assert {path: seen.content for path, seen in read(world.old).items()} == {
            path: seen.content for path, seen in now.items()
        }
        assert b"1\nmore\n" == now[b"d/a.jsonl"].content


def test_conflict_that_comes_late_puts_the_directory_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_late() -> None:
        (world.entry / "same").write_text("not any more")

    with (
        meanwhile(monkeypatch, work, "link_in", write_late),
        pytest.raises(Stopped, match="something changed"),
    ):
        world.adopt()
    assert world.inode == world.entry.stat().st_ino
    assert "not any more" == (world.entry / "same").read_text()
    assert [] == world.dated("adopted")
    world.adopt(keep_both=True)
    assert world.is_shared


def test_shorter_transcript_that_grows_or_is_open_is_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = world.target / "d" / "a.jsonl"
    from launcher.adopt import replace

    with (
        meanwhile(monkeypatch, replace, "exchange", lambda: append(short)),
        pytest.raises(Stopped, match="changed meanwhile"),
    ):
        world.adopt()
    assert "1\nmore\n" == short.read_text()
    short.write_text("1\n")
    with open(short, "a") as writer:
        with pytest.raises(Stopped, match="changed meanwhile"):
            world.adopt()
        writer.write("not lost\n")
    assert "1\nnot lost\n" == short.read_text()
    assert {b"a.jsonl", b"b.jsonl"} == {os.fsencode(p.name) for p in short.parent.iterdir()}


def test_name_that_somebody_takes_in_the_target_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take() -> None:
        (world.target / "new").write_text("somebody's")

    with meanwhile(monkeypatch, Carrier, "carry", take), pytest.raises(Stopped):
        world.adopt()
    assert "somebody's" == (world.target / "new").read_text()
    assert_whole(world.ours, read(world.entry))


def test_somebody_who_comes_to_work_stops_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        work.Work, "busy", lambda self, **_: [] if not self.report.files else ["pid 1"]
    )
    with pytest.raises(Stopped, match="somebody came to work there"):
        world.adopt()
    assert_whole(world.ours, read(world.entry))


def test_process_that_opens_a_file_in_the_last_moment_puts_the_directory_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it writes later would be in the old directory only."""
    code = f"import os; print(flush=True); input(); os.chdir({str(world.entry / 'd')!r})\n"
    code += "with open('b.jsonl', 'a') as f: print(flush=True); input(); f.write('late\\n')"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:  # type: ignore[call-overload]

        def go_on() -> None:
            process.stdin.write("\n")
            process.stdin.flush()
            process.stdout.readline()

        process.stdout.readline()
        with (
            meanwhile(monkeypatch, work, "link_in", go_on),
            pytest.raises(Stopped, match=f"pid {process.pid} .*it works in"),
        ):
            world.adopt(ignored=EveryoneBut(process.pid))
        process.communicate("\n")
    assert world.inode == world.entry.stat().st_ino
    assert [] == world.dated("adopted")
    assert "1\nlate\n" == (world.entry / "d" / "b.jsonl").read_text()
    with pytest.raises(AdoptionRefused, match="conflict"):
        world.adopt()


@pytest.mark.parametrize("leads_to", ["entry", "target"])
def test_other_home_that_leads_to_the_directory_or_over_a_chain_to_the_target_counts(
    world: World, leads_to: str
) -> None:
    """A common mistake is a home that was linked to another home; its sessions write there."""
    other = Account("other", str(world.root / "other"))
    os.mkdir(other.home)
    os.symlink(getattr(world, leads_to), world.root / "middle")
    os.symlink(world.root / "middle", other.entry(world.link))
    environ = {**os.environ, "CLAUDE_CONFIG_DIR": other.home}
    with Interrupts() as noted, subprocess.Popen(["sleep", "600"], env=environ) as process:
        how = Adoption([world.account, other], noted, dry_run=True)
        try:
            with pytest.raises(AdoptionRefused, match=f"its CLAUDE_CONFIG_DIR is {other.home}"):
                adopt([world.subject], how)
        finally:
            process.kill()


def test_late_trouble_that_cannot_be_taken_back_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(work, "link_out", refuse)
    with (
        meanwhile(monkeypatch, work, "link_in", lambda: (world.entry / "same").write_text("x")),
        pytest.raises(NotJudged, match="the link is in place"),
    ):
        world.adopt()
    assert world.is_shared


def test_two_adoptions_into_one_target_at_once(make_vm: Callable[..., Vm]) -> None:
    """Each with a lock of its own, over and over: whoever has to stop finishes the next time."""
    vm = make_vm(accounts=["one", "two"])
    common = {b"-x/%d.jsonl" % number: b"1\n2\n3\n"[: 2 * (number % 4)] for number in range(200)}
    for account, length in (("one", 4), ("two", 6)):
        own = {path: content[:length] for path, content in common.items()}
        own[b"-" + account.encode() + b"/own"] = account.encode()
        write(vm.entry(account, "projects"), own)
    inventories = []
    for number in range(2):
        vm.state = vm.root / f"state{number}"
        vm.write()
        inventories.append(vm.root / f"{number}.toml")
        inventories[-1].write_text(vm.inventory.read_text())
        inventories[-1].chmod(0o600)
    before = {name: read(vm.entry(name, "projects")) for name in vm.accounts}
    command = [sys.executable, "-m", "launcher"]
    for _ in range(10):
        processes = [
            subprocess.Popen(
                [*command, "--inventory", str(inventory), "adopt", *unseen(), account, "projects"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for inventory, account in zip(inventories, vm.accounts, strict=True)
        ]
        words = [process.communicate()[1] for process in processes]
        codes = [process.returncode for process in processes]
        assert set(codes) <= {0, 1}, words
        if codes == [0, 0]:
            break
    assert all(vm.entry(name, "projects").is_symlink() for name in vm.accounts), words
    for name in vm.accounts:
        (old,) = vm.home(name).glob("projects.adopted-*")
        assert_whole(before[name], read(old))
    now = read(vm.target("projects"))
    for path, content in common.items():
        assert content == now[path].content


def test_adoption_beside_ensure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ensure does in the middle of it is to refuse, and after it, nothing."""
    answers: list[object] = []

    def ensured() -> None:
        with pytest.raises(EntriesRefused) as refusal:
            ensure([world.account], [world.link])
        answers.extend(finding.state for finding in refusal.value.findings)

    with meanwhile(monkeypatch, work, "link_in", ensured):
        world.adopt()
    assert ["real-directory"] == answers
    world.assert_adopted()
    assert [] == ensure([world.account], [world.link])


def test_writer_that_appends_to_a_transcript_loses_no_line(tmp_path: Path) -> None:
    """It appends by name, as Claude Code does, and is not looked for; we try until it is done."""
    world = World(tmp_path).fill({b"d/a.jsonl": b""}, {b"d/b": b"x"})
    path = world.entry / "d" / "a.jsonl"
    code = f"""import os
for number in range(3000):
    with open({str(path)!r}, "a") as file:
        file.write(f"{{number}}\\n")
"""
    with subprocess.Popen([sys.executable, "-c", code]) as writer:
        while not world.entry.is_symlink() or writer.poll() is None:
            try:
                world.adopt()
            except Stopped:
                continue
    assert 0 == writer.returncode
    assert [str(number) for number in range(3000)] == path.read_text().split()
