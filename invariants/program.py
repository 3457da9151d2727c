"""Where this program itself is installed: a reinstallation replaces what lies there."""

from __future__ import annotations

import os
import sys

from invariants.places import is_below


def around_or_inside(path: str) -> str | None:
    """Return the directory of this program that *path* lies in, or that lies in *path*; or None.

    That is the virtual environment, if it runs in one, and the directories of its packages.
    """
    real = os.path.realpath(path)
    return next((one for one in _directories() if is_below(real, one) or is_below(one, real)), None)


def _directories() -> list[str]:
    here = os.path.dirname(os.path.realpath(__file__))
    packages = [here, os.path.join(os.path.dirname(here), "launcher")]
    # The gate's interpreter does without ``site``, which would say that it runs in one.
    above = os.path.dirname(os.path.dirname(os.path.abspath(sys.executable)))
    is_environment = os.path.exists(os.path.join(above, "pyvenv.cfg"))
    return [*([os.path.realpath(above)] if is_environment else []), *packages]
