"""Plays random rounds, and prints a script of each that failed.

python -m tests.interleavings --rounds 200             # make interleavings
python -m tests.interleavings --rounds 1 --seed 17     # one of them again
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter

from tests.interleavings.judge import played
from tests.interleavings.plan import BACKENDS, TROUBLES, VERBS, drawn


def main() -> int:
    """Play the rounds; return 1 if anything of one was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; each adds 1")
    parser.add_argument("--backend", choices=BACKENDS, help="for all; drawn from the seed without")
    parser.add_argument(
        "--without",
        action="append",
        choices=[*VERBS, *TROUBLES],
        default=[],
        help="leave these out, so that a known fault hides no other; can be repeated",
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # with everything cleaned up
    failed: list[int] = []
    faults: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    longest = total = 0.0
    for seed in range(arguments.seed, arguments.seed + arguments.rounds):
        result = played(drawn(seed, arguments.backend, arguments.without))
        longest, total = max(longest, result.seconds), total + result.seconds
        noted.update({note.partition(":")[0] for note in result.noted})
        print(f"{seed}: {'; '.join(result.faults) or 'holds'} ({result.seconds:.1f} s)", flush=True)
        if result.faults:
            failed.append(seed)
            faults.update({fault.partition(":")[0] for fault in result.faults})
            print(result, flush=True)
    print(f"{arguments.rounds} rounds, {total / arguments.rounds:.1f} s each, {longest:.1f} s most")
    print(f"failed: {len(failed)} {failed}; rounds with: {dict(faults)}; noted: {dict(noted)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
