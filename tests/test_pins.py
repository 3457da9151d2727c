"""What CI installs is pinned: constraints.txt, which the Makefile hands to pip."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from packaging.requirements import Requirement

from tests.pins import CHECKOUT, FILE, lines, normalized, requirements

PINS = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def test_file_has_names_and_versions_and_no_address() -> None:
    shape = r'[a-z0-9-]+==[\w.]+( ; python_version (==|>=) "3\.\d+")?'
    assert [] == [line for line in PINS if not re.fullmatch(shape, line)]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_one_version_within_its_range(python: str) -> None:
    pins = [Requirement(line) for line in PINS]
    for wanted in map(Requirement, requirements()):
        name = normalized(wanted.name)
        here = [one for one in pins if one.name == name and applies(one, python)]
        assert [name] == [one.name for one in here], f"{name}, Python {python}"
        (version,) = (specifier.version for specifier in here[0].specifier)
        assert wanted.specifier.contains(version), f"{wanted}: {version} is pinned"


def applies(pin: Requirement, python: str) -> bool:
    return pin.marker is None or pin.marker.evaluate({"python_version": python})


def test_make_hands_it_to_pip_also_where_a_wheel_is_built() -> None:
    show = "show:\n\t@echo $$PIP_CONSTRAINT $$PIP_BUILD_CONSTRAINT"
    command = ["make", "-s", "--no-print-directory", "--eval", show, "show"]
    # What a make around this one has exported would be kept.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    handed = subprocess.check_output(command, cwd=CHECKOUT, env=environ, text=True)
    assert [str(FILE), str(FILE)] == handed.split()


def test_version_that_is_not_the_same_for_all_has_a_line_for_each_python() -> None:
    found = {
        "3.11": {"both": "1", "differs": "1", "old": "1"},
        "3.12": {"both": "1", "differs": "2"},
        "3.13": {"both": "1", "differs": "2"},
    }
    assert [
        "both==1",
        'differs==1 ; python_version == "3.11"',
        'differs==2 ; python_version >= "3.12"',
        "old==1",
    ] == lines(found)
