"""``Places``: homes and targets that symlinks bring together, whatever their paths say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from invariants.homes import Homes
from invariants.model import Account, Link
from invariants.places import Places, home_of, is_same_place, target_of
from invariants.targets import Targets
from launcher.provision import _plan
from tests.vm import CHECKOUT, UNPRIVILEGED


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a directory with a real home ``a`` in it, and ``alias``, which leads to that."""
    (tmp_path / "a" / "sub").mkdir(parents=True, mode=0o700)
    (tmp_path / "a").chmod(0o700)
    (tmp_path / "alias").symlink_to("a")
    return tmp_path


def told(root: Path, homes: list[str], targets: list[str]) -> list[tuple[str, str]]:
    """Return place and state of whatever clashes, by the homes' and targets' own checks."""
    accounts = [Account(f"h{index}", str(root / path)) for index, path in enumerate(homes)]
    links = [Link(f"t{index}", str(root / path)) for index, path in enumerate(targets)]
    places = Places(accounts, links)
    faults = [Homes(places=places).fault(account) for account in accounts]
    findings = [fault.finding for fault in faults if fault is not None]
    findings += filter(None, [Targets(places=places).fault(link) for link in links])
    return [(finding.place, finding.state) for finding in findings]


CLASHES = [
    ("home in home", ["a", "alias/sub"], [], ("home of h1", "inside-home")),
    ("home around home", ["alias/sub", "a"], [], ("home of h1", "around-home")),
    ("one home", ["a", "alias"], [], ("home of h1", "same-home")),
    ("target in home", ["a"], ["alias/sub"], ("target of t0", "inside-home")),
    ("home in target", ["alias/sub"], ["a"], ("target of t0", "around-home")),
    ("home is target", ["alias"], ["a"], ("target of t0", "same-home")),
    ("target in target", [], ["a", "alias/sub"], ("target of t1", "inside-target")),
    ("target around target", [], ["alias/sub", "a"], ("target of t1", "around-target")),
    ("one target", [], ["a/sub", "alias/sub"], ("target of t1", "same-target")),
    ("home to be made in home", ["a", "alias/new"], [], ("home of h1", "inside-home")),
    ("target to be made in home", ["a"], ["alias/x/new"], ("target of t0", "inside-home")),
]


@pytest.mark.parametrize(
    ("homes", "targets", "expected"), [row[1:] for row in CLASHES], ids=[row[0] for row in CLASHES]
)
def test_later_of_two_that_clash_is_told_alone(
    root: Path, homes: list[str], targets: list[str], expected: tuple[str, str]
) -> None:
    assert [expected] == told(root, homes, targets)


def test_each_of_many_is_told_once_against_its_nearest(root: Path) -> None:
    (root / "a" / "sub" / "deep").mkdir(mode=0o700)
    assert [
        ("home of h1", "inside-home"),
        ("home of h2", "inside-home"),
    ] == told(root, ["a", "alias/sub", "alias/sub/deep"], [])


def test_places_beside_each_other_do_not_clash(root: Path) -> None:
    (root / "b").mkdir(mode=0o700)
    (root / "t").mkdir()
    assert [] == told(root, ["alias", "b"], ["t"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_home_that_a_bind_mount_shows_elsewhere_is_the_same_home(root: Path) -> None:
    (root / "b").mkdir(mode=0o700)
    script = (
        "import sys\nfrom invariants.homes import Homes\nfrom invariants.model import Account\n"
        "from invariants.places import Places\n"
        "accounts = [Account(path, path) for path in sys.argv[1:]]\n"
        "print(Homes(places=Places(accounts)).fault(accounts[1]).finding.state)\n"
    )
    homes = [str(root / name) for name in ("a", "b")]
    line = 'mount --bind "$4" "$5" && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", line, "sh", sys.executable, "-c", script, *homes]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert ("same-home\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a", "alias", True),
        ("alias/sub", "a/sub", True),
        ("a", "a/sub", False),
        ("gone", "gone", True),
        ("gone", "a", False),
        ("loop", "a", False),
    ],
)
def test_one_place_has_any_number_of_path_names(
    root: Path, one: str, other: str, same: bool
) -> None:
    (root / "loop").symlink_to("loop")
    assert same == is_same_place(str(root / one), str(root / other))
    assert same == is_same_place(str(root / other), str(root / one))


def test_clash_is_told_whichever_checks_are_run(root: Path) -> None:
    """As with ``pytest -k``, or on several workers: only the later home's check is run."""
    accounts = [Account("primary", str(root / "a")), Account("backup", str(root / "alias/sub"))]
    fault = Homes(places=Places(accounts)).fault(accounts[1])
    assert fault is not None
    assert ("inside-home", "inside the home of primary", False) == (
        fault.finding.state,
        fault.finding.found,
        fault.hides_entries,
    )
    assert Homes(places=Places(accounts)).fault(accounts[0]) is None


def test_no_later_place_is_touched_before_its_turn(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the gate would name the wrong one where a dead mount hangs."""
    touched: list[str] = []
    real = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        touched.append(str(path))
        return real(path, **options)

    accounts = [Account("primary", str(root / "a")), Account("backup", str(root / "b"))]
    places = Places(accounts, [Link("projects", str(root / "t"))])
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stat)
        places.clash(home_of(accounts[0]))
    assert str(root / "a") in touched
    assert not {str(root / "b"), str(root / "t")} & set(touched)


def test_each_home_costs_one_look_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What many homes lie in is looked at once, and no pair of homes is."""
    looks = 0
    real = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        nonlocal looks
        looks += 1
        return real(path, **options)

    def cost(count: int) -> int:
        nonlocal looks
        looks = 0
        accounts = [Account(f"a{index}", str(tmp_path / f"{index}")) for index in range(count)]
        places = Places(accounts)
        assert not any(places.clash(home_of(account)) for account in accounts)
        return looks

    for index in range(400):
        (tmp_path / str(index)).mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stat)
        costs = [cost(200), cost(400)]
    assert 200 == costs[1] - costs[0]


def test_parent_that_cannot_be_looked_at_is_unreadable(root: Path) -> None:
    """A home is reached over a descriptor, though what it really lies in is closed."""
    script = (
        "import os, sys\nfrom invariants.homes import Homes\nfrom invariants.model import Account\n"
        "from invariants.model import Link\nfrom invariants.targets import Targets\n"
        "os.chdir(sys.argv[1])\nos.chmod(sys.argv[2], 0)\n"
        "fault = Homes().fault(Account('a', '/proc/self/cwd/'))\n"
        "finding = Targets().fault(Link('l', '/proc/self/cwd/.'))\n"
        "os.chmod(sys.argv[2], 0o700)\n"
        "for one in (fault.finding, finding): print(one.state, one.found, one.fix, sep='\\n')\n"
        "print(fault.hides_entries)"
    )
    (root / "a" / "sub" / "deep").mkdir(mode=0o700)
    closed = str(root / "a")
    command = [*UNPRIVILEGED, sys.executable, "-c", script, str(root / "a/sub/deep"), closed]
    output = subprocess.run(command, text=True, capture_output=True, check=False)
    assert "" == output.stderr
    told = ["unreadable", "unreadable: Permission denied"]
    look = "  # look: what on the way cannot be read"
    assert [
        *(*told, f"namei -l /proc/self/cwd/{look}"),
        *(*told, f"namei -l /proc/self/cwd/.{look}"),
        "True",
    ] == output.stdout.splitlines()


def test_loop_of_an_earlier_home_is_its_own_affair(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    assert [("home of h0", "unreadable")] == told(root, ["loop", "a"], [])


def test_clash_is_in_the_way_of_ensure(root: Path) -> None:
    """Nothing is made inside a home because its path looks like another."""
    account, link = Account("primary", str(root / "a")), Link("projects", str(root / "alias/x"))
    actions, findings = _plan([account], [link], Places([account], [link]), False, "")
    assert [f"{root}/a/projects"] == [action.path for action in actions]
    assert [("target of projects", "inside-home")] == [(one.place, one.state) for one in findings]


def test_places_are_named_as_a_person_does() -> None:
    assert "the home of backup" == str(home_of(Account("backup", "/b")))
    assert "the target of projects" == str(target_of(Link("projects", "/p")))
