"""Fixtures of the tests with the real CLI: ``make claude``.

A test that takes ``claude`` (or ``version``) runs once with each pinned version. It asks for fewer
with ``@pytest.mark.versions("2.1.332", "2.0.76")``. `tests/claude/facts.py` has the versions, the
files that a version leaves out, and what they do differently.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.claude.cli import Cli
from tests.claude.facts import LEFT_OUT, VERSIONS
from tests.claude.install import newest, program, what_is_missing
from tests.claude.known import Differs, Known
from tests.claude.stub import Stub
from tests.vm import Vm


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--client``: one version in place of all pinned ones, compared with their facts."""
    parser.addoption(
        "--client", metavar="VERSION", help="run Claude Code VERSION, or latest, and no other"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Ask npm once what ``latest`` is; pytest-xdist hands the answer to its workers."""
    config.addinivalue_line("markers", "versions(NUMBER, ...): the pinned clients that a test runs")
    if config.getoption("client") == "latest":
        config.option.client = newest()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a client once with each version."""
    if "version" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("versions")
    asked = mark.args if mark else VERSIONS
    if client := metafunc.config.getoption("client"):
        found = [client] if VERSIONS[Known(client).column] in asked else []
    else:
        file = metafunc.definition.path.stem
        found = [one for one in asked if mark or file not in LEFT_OUT.get(one, ())]
    metafunc.parametrize("version", found, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note a fact that differs in the report, which pytest-xdist carries to its controller."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, Differs):
        report.user_properties.append(("differs", str(call.excinfo.value)))
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """With ``--client``, print what differs from the facts of the nearest pinned version."""
    client = config.getoption("client")
    if not client:
        return
    known = VERSIONS[Known(client).column]
    failed = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    found = {value: one for one in failed for name, value in one.user_properties}
    others = [one for one in failed if not one.user_properties]
    terminalreporter.section(f"Claude Code {client} beside the facts of {known}")
    for line in found:
        terminalreporter.write_line(line)
    for report in others:
        terminalreporter.write_line(f"red, and no fact of the table: {report.nodeid}")
    if not failed:
        terminalreporter.write_line("no test measured a difference")


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Return a stub of the API that ends with the test."""
    with Stub() as made:
        yield made


@pytest.fixture
def version(request: pytest.FixtureRequest) -> str:
    """Return each version in turn, by number."""
    reason = what_is_missing()
    if reason is not None:
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def known(version: str) -> Known:
    """Return the facts of the version that the test runs."""
    return Known(version)


@pytest.fixture
def claude(version: str, make_vm: Callable[..., Vm], stub: Stub) -> Iterator[Cli]:
    """Return the CLI on a VM whose links ``launcher ensure`` has made."""
    vm = make_vm()
    assert 0 == vm.run("ensure").returncode
    made = Cli(program(version), version, vm, stub)
    yield made
    made.close()
