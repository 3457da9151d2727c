"""Fixtures of the tests with the real CLI: ``make claude``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.claude.cli import Cli
from tests.claude.install import VERSIONS, number, program, what_is_missing
from tests.claude.page import Page
from tests.claude.stub import Stub
from tests.vm import CHECKOUT, Vm


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rewrite``: what is measured is written into the documentation, not compared."""
    parser.addoption("--rewrite", action="store_true", help="write docs/broken-links.md anew")


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Return a stub of the API that ends with the test."""
    with Stub() as made:
        yield made


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Return each version in turn, by number."""
    reason = what_is_missing()
    if reason is not None:
        pytest.skip(reason)
    return number(str(request.param))


@pytest.fixture
def claude(version: str, make_vm: Callable[..., Vm], stub: Stub) -> Iterator[Cli]:
    """Return the CLI on a VM whose links ``launcher ensure`` has made."""
    vm = make_vm()
    assert 0 == vm.run("ensure").returncode
    made = Cli(program(version), version, vm, stub)
    yield made
    made.close()


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Page:
    """Return the page of broken links, to compare with or to write."""
    rewrite = bool(request.config.getoption("rewrite"))
    return Page(CHECKOUT / "docs" / "broken-links.md", rewrite)
