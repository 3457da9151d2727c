"""The entry point: ``launcher``, the same as ``python -m launcher``."""

import signal
import sys


def main() -> int:
    """Run the command line; a package that is not whole is unknown (70), not a traceback."""
    try:
        from launcher.early import early, open_standard_descriptors

        open_standard_descriptors()
        words = sys.argv[1:]
        child = early(words)
        # Who ignores it hands that down: no child's exit status could be waited for then.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            from launcher.cli import main as run

            return run(words, child)
        finally:
            if child is not None:
                child.end()
    except (ImportError, SyntaxError) as error:
        print(f"launcher: claude-failover is not installed as a whole: {error}", file=sys.stderr)
        return 70


if __name__ == "__main__":
    raise SystemExit(main())
