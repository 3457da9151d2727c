"""The inventory that the role writes from variables, rendered by Ansible, without a machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.control import ANSIBLE

_ANSIBLE = Path(sys.executable).parent / "ansible"
_TEMPLATE = ANSIBLE / "roles/claude_failover/templates/failover.toml.j2"

pytestmark = pytest.mark.skipif(
    not _ANSIBLE.exists(), reason="not installed: ansible-core (make rollout)"
)


def rendered(directory: Path, variables: dict[str, Any]) -> str:
    """Return the inventory that the role writes for the merged *variables*."""
    written = directory / "failover.toml"
    given = {
        "__claude_failover_merged": variables,
        "ansible_python_interpreter": sys.executable,
    }
    done = subprocess.run(
        [
            *(str(_ANSIBLE), "localhost", "--connection", "local", "--inventory", "localhost,"),
            *("--module-name", "ansible.builtin.template"),
            *("--args", f"src={_TEMPLATE} dest={written}", "--extra-vars", json.dumps(given)),
        ],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "ANSIBLE_HOME": str(directory),
            "LANG": "C.UTF-8",
        },
        text=True,
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return written.read_text()


def test_every_kind_of_variable_is_read_as_it_was_meant(tmp_path: Path) -> None:
    variables = {
        "accounts": [{"name": "a", "home": "/h/a"}, {"name": "ä", "home": '/h/"b"\\'}],
        "shared": {"root": "/srv", "links": [], "targets": {"projects": "/data", "a b": "/x"}},
        "sessions": [],
        "launcher": {"invariants": [], "timeout": 5, "settle": 0.5, "durable": True},
        "waivers": [{"families": [], "limits": {}}],
    }
    assert variables == tomllib.loads(rendered(tmp_path, variables))


def test_inventory_is_laid_out_for_people(tmp_path: Path) -> None:
    text = rendered(
        tmp_path,
        {
            "shared": {"root": "/srv/claude"},
            "accounts": [{"name": "a", "home": "/h/a"}, {"name": "b", "home": "/h/b"}],
            "sessions": [],
        },
    )
    assert [
        "# Written by Ansible: what is changed here is changed back by its next run.",
        "sessions = []",
        "",
        "[shared]",
        'root = "/srv/claude"',
        "",
        "[[accounts]]",
        'name = "a"',
        'home = "/h/a"',
        "",
        "[[accounts]]",
        'name = "b"',
        'home = "/h/b"',
    ] == text.splitlines()
