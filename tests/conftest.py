"""Fixtures of all tests: a VM of their own, and a rule that in CI nothing may be skipped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from launcher.interrupts import SIGNALS, Interrupts
from tests.leaders import Leaders
from tests.vm import Vm


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--no-skip``, for CI: a skipped test is a failure there."""
    parser.addoption("--no-skip", action="store_true", help="let a skipped test fail")


def pytest_configure() -> None:
    """Hear the signals that a background job or nohup(1) has its children ignore."""
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave ``make test`` a fixed sample of a test's parameter sets, as ``sampled(N)`` says.

    The rest is marked ``thorough``. The sample is spread evenly over the sets, and is the same
    in every run.
    """
    groups: dict[tuple[object, ...], list[pytest.Item]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("sampled"):
            groups.setdefault((item.path, item.cls, item.originalname), []).append(item)
    for group in groups.values():
        mark = group[0].get_closest_marker("sampled")
        size = mark.args[0] if mark else len(group)
        kept = {len(group) * number // size for number in range(size)}
        for index, item in enumerate(group):
            if index not in kept:
                item.add_marker("thorough")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where ``--no-skip`` asks for it."""
    report = yield
    if report.skipped and item.config.getoption("no_skip"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test runs in this process find a home of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.fixture
def make_vm(tmp_path: Path) -> Iterator[Callable[..., Vm]]:
    """Return a function that makes a VM; all of them are ended with the test."""
    made: list[Vm] = []

    def make(**arguments: object) -> Vm:
        root = tmp_path / f"vm{len(made)}"
        root.mkdir(mode=0o700)
        made.append(Vm(root, **arguments))  # type: ignore[arg-type]  # passed through
        return made[-1]

    yield make
    for vm in made:
        vm.close()


@pytest.fixture
def vm(make_vm: Callable[..., Vm]) -> Vm:
    """Return a VM with two accounts whose links are all right."""
    return make_vm().link()


@pytest.fixture
def leaders(tmp_path: Path) -> Iterator[Leaders]:
    """Return what starts session leaders, and leaves none behind."""
    made = Leaders(tmp_path)
    yield made
    made.close()


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """Return noted signals, for what waits."""
    with Interrupts() as noted:
        yield noted
