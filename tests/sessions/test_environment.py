"""What stays out of a session's environment, by name and by value."""

from __future__ import annotations

import pytest

from invariants.model import Account, Session
from launcher.sessions.environment import (
    BESIDE,
    NO_AGENT_VIEW,
    OF_A_CLIENT,
    outside,
    session_environment,
)

HOME = Account("a", "/home/a")


def test_environment_that_no_client_is_above_stays_as_it_is() -> None:
    environ = {**BESIDE, "CLAUDE_ENV_FILE": "/home/me/env", "CLAUDE_CODE_USE_VERTEX": "1"}
    assert environ == outside(environ)


@pytest.mark.parametrize("mark", OF_A_CLIENT)
def test_any_one_name_of_a_client_s_tells_that_the_values_beside_it_are_the_client_s(
    mark: str,
) -> None:
    """A hook of 2.0.76 finds no CLAUDECODE, and an MCP server no CLAUDE_CODE_CHILD_SESSION."""
    assert {"LANG": "C"} == outside({mark: "1", **BESIDE, "LANG": "C"})


def test_value_that_is_not_the_client_s_is_the_user_s() -> None:
    environ = dict.fromkeys(BESIDE, "mine")
    assert environ == outside({"CLAUDECODE": "1", **environ})


def test_file_of_one_session_s_variables_reaches_no_other_session() -> None:
    """A SessionStart hook has its path; a user's own file is at another place."""
    environ = {"CLAUDE_ENV_FILE": "/home/a/session-env/1b4e28ba/sessionstart-hook-0.sh"}
    assert {} == outside(environ)


def test_session_gets_what_it_names_even_of_a_client_s() -> None:
    environ = {"CLAUDECODE": "1", "CLAUDE_EFFORT": "high"}
    session = Session("api", "a", "/src", ("claude",), pass_environment=("CLAUDE_EFFORT", "NONE"))
    wanted = {"CLAUDE_EFFORT": "high", "CLAUDE_CONFIG_DIR": "/home/a", NO_AGENT_VIEW: "1"}
    assert wanted == session_environment(session, HOME, environ)
