"""Writes constraints.txt: what pip takes of all that CI installs, for each Python that it runs.

python -m tests.pins python3.11 python3.12 python3.13

Each Python resolves the ranges of pyproject.toml on its own, with all extras and what builds the
wheel. A package whose version is not the same for all of them has a line for each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FILE = CHECKOUT / "constraints.txt"
_HEAD = """\
# Written by `make constraints`. What CI installs; `pip install .` goes by the ranges of
# pyproject.toml. Only names and versions: where a package comes from is the machine's business.
"""


def requirements() -> list[str]:
    """Return all that pyproject.toml asks for: to build, to run, and of each extra."""
    document = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    project = document["project"]
    extras = [one for some in project["optional-dependencies"].values() for one in some]
    found = [*document["build-system"]["requires"], *project["dependencies"], *extras]
    return [one for one in found if not one.startswith(project["name"])]


def resolved(python: str) -> dict[str, str]:
    """Return the versions that pip of *python* chooses now, by normalized name."""
    pip = [python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-q"]
    report = ["--disable-pip-version-check", "--report", "-"]
    pinned = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
    environ = {name: value for name, value in os.environ.items() if name not in pinned}
    done = subprocess.run(
        [*pip, *report, *requirements()], env=environ, check=True, stdout=subprocess.PIPE
    )
    packages = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    return {normalized(package["name"]): package["version"] for package in packages}


def normalized(name: str) -> str:
    """Return a package's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the lines for what each Python (``3.11``) chose, which are in order in *found*.

    A later Python than the last one takes the last one's version, and so does each that agrees
    with it: a newer Python takes newer versions, not older ones again.
    """
    pins = []
    for name in sorted({name for versions in found.values() for name in versions}):
        chosen = [
            (python, versions[name]) for python, versions in found.items() if name in versions
        ]
        last = chosen[-1][1]
        older = [(python, version) for python, version in chosen if version != last]
        pins += [f'{name}=={version} ; python_version == "{python}"' for python, version in older]
        since = f' ; python_version >= "{chosen[len(older)][0]}"' if older else ""
        pins.append(f"{name}=={last}{since}")
    return pins


def main(pythons: Sequence[str]) -> int:
    """Write the file, by what *pythons* choose: commands, oldest first."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    number = {one: subprocess.check_output([one, "-c", ask], text=True).strip() for one in pythons}
    found = {number[python]: resolved(python) for python in pythons}
    FILE.write_text(_HEAD + "".join(f"{line}\n" for line in lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
