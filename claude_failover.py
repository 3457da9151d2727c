"""The command ``launcher``: the code that is installed with this file, and no namesake's.

``PYTHONPATH`` may name a directory with another package ``launcher`` or ``invariants``, and comes
before what is installed. It goes on to count for everything else.
"""

import os
import sys


def main() -> int:
    """Run the command line; return its exit code."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    try:
        import invariants  # noqa: F401  # from here, and so all that is in it
        from launcher.__main__ import main as run
    finally:
        sys.path.remove(here)
    return run()
