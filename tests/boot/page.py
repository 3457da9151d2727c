"""The commands of ``docs/deploy.md``, as a person would paste them."""

from __future__ import annotations

import re

from tests.vm import CHECKOUT

PAGE = CHECKOUT / "docs" / "deploy.md"
INSTALLATION = "adduser "
"""What the last command of the installation starts with; what follows is for one inventory."""


def commands(text: str) -> list[str]:
    r"""Return the commands of *text* in their order, each with its here-document.

    >>> commands("```console\n# cat <<E\n> a\n> E\n```\n")
    ['cat <<E\na\nE']
    """
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^# ", block, flags=re.MULTILINE)[1:]:
            first, *lines = part.splitlines()
            typed = [line[1:].removeprefix(" ") for line in lines if line.startswith(">")]
            found.append("\n".join([first, *typed]))
    return found


def deployment() -> list[str]:
    """Return the commands that lead from a bare Debian to a green start."""
    return commands(PAGE.read_text().partition("\n## ")[0])


def installation() -> list[str]:
    """Return those of them that are the same for every inventory."""
    found = deployment()
    (last,) = (index for index, line in enumerate(found) if line.startswith(INSTALLATION))
    return found[: last + 1]
