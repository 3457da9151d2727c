"""Fixtures of all tests: a VM of their own, and a rule that in CI nothing may be skipped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.vm import Vm


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--no-skip``, for CI: a skipped test is a failure there."""
    parser.addoption("--no-skip", action="store_true", help="let a skipped test fail")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where ``--no-skip`` asks for it."""
    report = yield
    if report.skipped and item.config.getoption("no_skip"):
        report.outcome = "failed"
    return report


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
