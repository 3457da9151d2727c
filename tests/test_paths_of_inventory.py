"""Paths that an inventory may not give twice, or one inside another."""

from __future__ import annotations

import tomllib

import pytest

from invariants.schema import decode

HOME = "/home/u"
SHARED = 'root = "/srv"\nlinks = ["projects", "tasks"]'


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)


def problems(
    homes: list[str],
    shared: str = 'root = "/srv"\nlinks = ["projects", "tasks"]',
    launcher: str = "",
) -> list[str]:
    """Return what is wrong with an inventory in ``/home/u/conf`` that gives these paths."""
    lines = ["[shared]", shared]
    for index, home in enumerate(homes):
        lines += ["[[accounts]]", f'name = "a{index}"', f'home = "{home}"']
    lines += ["[launcher]", launcher]
    return decode(tomllib.loads("\n".join(lines)), f"{HOME}/conf/failover.toml")[1]


@pytest.mark.parametrize(
    "same",
    [
        "/home/u/a",
        "~/a",
        "../a",
        "/home/u/../u/a",
        "/home/u/a/",
        "/home/u/./a/.",
        "//home//u/a",
        "///home/u/a",
        "~/b/../a",
    ],
)
def test_two_accounts_with_one_home_are_refused(same: str) -> None:
    assert ["accounts[1].home: /home/u/a is the home of a0 already"] == problems(
        ["/home/u/a", same]
    )


@pytest.mark.parametrize(
    ("outer", "inner", "places"),
    [
        ("/h/a", "/h/a/b", "accounts[1].home: the home /h/a/b lies inside the home of a0"),
        ("/h/a/b", "/h/a", "accounts[0].home: the home /h/a/b lies inside the home of a1"),
        ("/h/a", "/h/a/b/c/d", "accounts[1].home: the home /h/a/b/c/d lies inside the home of a0"),
        ("~", "~/x", "accounts[1].home: the home /home/u/x lies inside the home of a0"),
    ],
)
def test_home_inside_a_home_is_refused(outer: str, inner: str, places: str) -> None:
    wrong = problems([outer, inner], launcher='state = "/state"')

    assert [places] == wrong


def test_home_inside_is_found_behind_one_that_sorts_between() -> None:
    assert ["accounts[0].home: the home /h/a/x lies inside the home of a2"] == problems(
        ["/h/a/x", "/h/a-b", "/h/a"]
    )


def test_overlaps_are_told_in_the_order_of_the_file() -> None:
    homes = ["/z", "/y", "/z/1", "/a", "/y/1", "/a/1"]

    assert ["accounts[2].home", "accounts[4].home", "accounts[5].home"] == [
        problem.split(": ")[0] for problem in problems(homes)
    ]


@pytest.mark.parametrize("home", ["/h/a-b", "/h/ab", "/h/a.b", "/h/a b", "/h/b", "/h/a/../c", "/h"])
def test_home_that_only_looks_like_the_other_is_taken(home: str) -> None:
    """A name that goes on is not a directory that goes on; and a home may lie around no home."""
    others = ["/h/a"] if home != "/h" else ["/g/a"]

    assert [] == problems([*others, home])


def test_target_inside_a_home_is_refused() -> None:
    wrong = problems(["/h/a", "/h/b"], 'root = "/h/b/shared"\nlinks = ["projects", "tasks"]')

    assert [
        "shared.links[0]: the target /h/b/shared/projects lies inside the home of a1",
        "shared.links[1]: the target /h/b/shared/tasks lies inside the home of a1",
    ] == wrong


def test_home_inside_a_target_is_refused() -> None:
    assert [
        "accounts[1].home: the home /srv/projects/b lies inside the target of projects"
    ] == problems(["/h/a", "/srv/projects/b"])


def test_home_that_is_a_target_is_refused() -> None:
    assert ["accounts[0].home: the home /srv/tasks is the target of tasks"] == problems(
        ["/srv/tasks"]
    )


@pytest.mark.parametrize("same", ["/srv/projects", "/srv/x/../projects/"])
def test_two_links_on_one_target_are_refused_where_the_second_is_named(same: str) -> None:
    shared = f'root = "/srv"\nlinks = ["projects", "tasks"]\n[shared.targets]\ntasks = "{same}"'

    assert ["shared.targets.tasks: /srv/projects is the target of projects already"] == problems(
        ["/h/a"], shared
    )


def test_target_inside_a_target_is_refused() -> None:
    shared = 'root = "/srv"\nlinks = ["projects", "t"]\n[shared.targets]\nt = "/srv/projects/t"'

    assert [
        "shared.targets.t: the target /srv/projects/t lies inside the target of projects"
    ] == problems(["/h/a"], shared)


@pytest.mark.parametrize("key", ["report", "state"])
@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/h/a/x", "lies inside the home of a0"),
        ("/h/a", "is the home of a0"),
        ("/srv/projects/x", "lies inside the target of projects"),
    ],
)
def test_what_the_launcher_writes_may_not_lie_inside_a_home_or_target(
    key: str, path: str, where: str
) -> None:
    wrong = problems(["/h/a"], launcher=f'{key} = "{path}"')
    what = {"report": "report", "state": "launcher's state directory"}[key]

    assert f"launcher.{key}: the {what} {path} {where}" in wrong
    assert all(problem.startswith("launcher.") for problem in wrong)


@pytest.mark.parametrize(
    ("launcher", "refusal"),
    [
        (
            'report = "~/conf/failover.toml"',
            "launcher.report: the report /home/u/conf/failover.toml is the inventory",
        ),
        (
            'report = "failover.toml/r.json"',
            "launcher.report: the report /home/u/conf/failover.toml/r.json "
            "lies inside the inventory",
        ),
        (
            'state = "failover.toml"\nreport = "/r"',
            "launcher.state: the launcher's state directory /home/u/conf/failover.toml "
            "is the inventory",
        ),
        (
            'state = "/s"\nreport = "/s/lock"',
            "launcher.report: the report /s/lock is the launcher's lock",
        ),
        (
            'state = "/s"\nreport = "/s/lock/r"',
            "launcher.report: the report /s/lock/r lies inside the launcher's lock",
        ),
        (
            'state = "/s"\nreport = "/s/x/../sessions/api.json"',
            "launcher.report: the report /s/sessions/api.json "
            "lies inside the directory of the sessions' records",
        ),
        (
            'state = "/s"\nreport = "/s/sessions"',
            "launcher.report: the report /s/sessions is the directory of the sessions' records",
        ),
        (
            'state = "/s"\nreport = "/s/"',
            "launcher.report: the report /s is the launcher's state directory",
        ),
        (
            'state = "/s/r.json/x"\nreport = "/s/r.json"',
            "launcher.state: the launcher's state directory /s/r.json/x lies inside the report",
        ),
    ],
)
def test_report_in_the_place_of_something_else_is_refused(launcher: str, refusal: str) -> None:
    assert [refusal] == problems(["/h/a"], launcher=launcher)


@pytest.mark.parametrize(
    "report", ["/s/r.json", "/s/lock.json", "/s/sessions.json", "/s/sub/lock", "~/conf/r.json"]
)
def test_report_beside_the_launchers_own_files_is_taken(report: str) -> None:
    assert [] == problems(["/h/a"], launcher=f'state = "/s"\nreport = "{report}"')


def test_default_state_inside_a_home_is_refused() -> None:
    assert [
        "launcher.state: the launcher's state directory /home/u/.local/state/claude-failover "
        "lies inside the home of a0",
        "launcher.report: the report /home/u/.local/state/claude-failover/report.json "
        "lies inside the home of a0",
    ] == problems(["~/.local"])


@pytest.mark.parametrize(
    ("homes", "launcher"),
    [
        (["/h/a"], 'state = "/h"'),
        (["/h/a"], 'report = "/srv/report.json"'),
        (["/srv/homes/a"], ""),
    ],
)
def test_paths_beside_each_other_are_taken(homes: list[str], launcher: str) -> None:
    assert [] == problems(homes, launcher=launcher)


def test_everything_inside_a_home_at_the_root_is_refused() -> None:
    assert {
        "shared.links[0]",
        "shared.links[1]",
        "accounts[1].home",
        "launcher.state",
        "launcher.report",
    } == {problem.split(": ")[0] for problem in problems(["/", "/h"])}


def test_a_hundred_accounts_with_one_home_are_99_problems() -> None:
    """Each is told once, against the first, in the order of the file."""
    assert [
        f"accounts[{index}].home: /h/a is the home of a0 already" for index in range(1, 100)
    ] == problems(["/h/a"] * 100)


def test_home_of_an_account_without_a_name_counts_as_well() -> None:
    text = '[shared]\nroot = "/srv"\n[[accounts]]\nhome = "/a"\n[[accounts]]\nhome = "/a"\n'
    wrong = decode(tomllib.loads(text), "/f.toml")[1]

    assert "accounts[1].home: /a is the home of another account already" in wrong


def test_unprintable_directory_of_the_inventory_is_shown_escaped() -> None:
    text = '[shared]\nroot = "/s"\n[[accounts]]\nname = "a"\nhome = "x"\n'
    text += '[[accounts]]\nname = "b"\nhome = "x"\n'
    wrong = decode(tomllib.loads(text), "/a\nb/failover.toml")[1]

    assert ["accounts[1].home: '/a\\nb/x' is the home of a already"] == wrong
