"""What is to happen in one round, drawn from a seed: the launchers, their ends, the troubles.

The seed decides all of it but the time that each step takes, so that a round that failed can be
tried again until it fails again.
"""

from __future__ import annotations

import random
import shlex
import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

ACCOUNTS = ("primary", "backup")
BACKENDS = ("process", "tmux")
SESSIONS = (("api", "web"), ("api", "tool"), ("api", "web", "tool"))
"""The sessions that a round may have. All but ``tool`` run Claude Code."""
ENDLESS = ("run", "watch")
"""A ``run`` becomes the stand-in, which goes on like a client in a terminal; so does a watch."""
REMOVERS = ("remove the lock", "remove tmux's socket")
TROUBLES = (*REMOVERS, "fork storm")
OF_CLIENT = {"up": 3, "switch": 6, "down": 2, "run": 3, "check": 1}
"""How often a round with the real client calls each verb: those that have to do with it."""
VERBS = {"up": 4, "switch": 6, "down": 2, "run": 3, "watch": 2, "check": 1, "status": 1}


@dataclass(frozen=True, slots=True)
class Call:
    """One launcher: its verb, what it is about, and how it ends early (``after`` its start).

    Times are seconds. What never ends by itself is always ended, see ``ENDLESS``.
    """

    at: float
    verb: str
    session: str
    account: str
    signal: signal.Signals | None
    after: float

    def argv(self, program: Sequence[str], conversation: str) -> list[str]:
        """Return the words behind ``launcher``; *program* is what goes on with a conversation."""
        words = {
            "switch": [self.session, self.account],
            "down": [self.session],
            "run": [self.account, "--", *program, "--resume", conversation],
            "watch": ["--ensure-sessions"],
        }
        return [self.verb, *words.get(self.verb, [])]

    def __str__(self) -> str:
        line = f"{self.at:5.2f} s  launcher {' '.join(self.argv(['claude'], self.session))}"
        return f"{line}  # {self.signal.name} after {self.after:.2f} s" if self.signal else line


@dataclass(frozen=True, slots=True)
class Trouble:
    """What disturbs the launchers from ``at`` to ``until``, one of ``TROUBLES``.

    tmux's socket is removed at both moments, the lock all the time.
    """

    at: float
    until: float
    kind: str

    def __str__(self) -> str:
        return f"{self.at:5.2f} s  {self.kind}, until {self.until:.2f} s"


@dataclass(frozen=True, slots=True)
class Plan:
    """One round. The sessions run when it begins if ``running``; else none was ever started.

    ``replay`` is the command that plays it again.
    """

    seed: int
    backend: str
    sessions: tuple[str, ...]
    running: bool
    calls: tuple[Call, ...]
    troubles: tuple[Trouble, ...]
    replay: str = ""

    def __str__(self) -> str:
        begin = "launcher up" if self.running else "nothing runs"
        lines = [f"# {self.replay}; sessions: {', '.join(self.sessions)}"]
        lines += [f" before  {begin}"]
        timed = [(call.at, str(call)) for call in self.calls]
        timed += [(trouble.at, str(trouble)) for trouble in self.troubles]
        lines += [line for _, line in sorted(timed)]
        return "\n".join([*lines, "  after  launcher up"])


def drawn(seed: int, backend: str | None = None, without: Collection[str] = ()) -> Plan:
    """Return the plan of *seed*, less the verbs and troubles that it is to be played *without*.

    A *backend* that is given replaces the one that is drawn.
    """
    dice = random.Random(seed)
    of_seed = dice.choice(BACKENDS)
    sessions = dice.choice(SESSIONS)
    running = dice.random() < 0.75
    calls = tuple(_call(dice, sessions, VERBS) for _ in range(dice.randint(2, 4)))
    troubles = tuple(
        Trouble(at, at + dice.uniform(0.3, 1.5), kind)
        for kind, chance in zip(TROUBLES, (0.5, 0.3, 0.35), strict=True)
        for at in [dice.uniform(0, 0.8)]
        if dice.random() < chance
    )
    backend = backend or of_seed
    if backend != "tmux":
        troubles = tuple(one for one in troubles if one.kind != "remove tmux's socket")
    calls = tuple(one for one in calls if one.verb not in without)
    troubles = tuple(one for one in troubles if one.kind not in without)
    replay = ["python", "-m", "tests.interleavings", "--rounds", "1", "--seed", str(seed)]
    replay += ["--backend", backend]
    replay += [word for left_out in without for word in ("--without", left_out)]
    return Plan(seed, backend, sessions, running, calls, troubles, shlex.join(replay))


def drawn_for_client(seed: int, session: str, pace: float) -> Plan:
    """Return a plan for one *session* that runs the real client, in tmux, beside one remover.

    All takes *pace* times as long as with the stand-in: the client needs seconds for a turn. A
    ``run`` is to be ``-p``, which ends by itself.
    """
    dice, verbs = random.Random(seed), OF_CLIENT
    calls = tuple(_call(dice, (session,), verbs, pace, ()) for _ in range(dice.randint(2, 4)))
    at = pace * dice.uniform(0, 0.8)
    trouble = Trouble(at, at + pace * dice.uniform(0.3, 1.5), dice.choice(REMOVERS))
    replay = f"pytest tests/claude/test_interleavings.py -k 'next_resume and {seed}]'"
    return Plan(seed, "tmux", (session,), True, calls, (trouble,), replay)


def _call(
    dice: random.Random,
    sessions: tuple[str, ...],
    verbs: Mapping[str, int],
    pace: float = 1.0,
    endless: Collection[str] = ENDLESS,
) -> Call:
    verb = dice.choices(list(verbs), list(verbs.values()))[0]
    session, account = dice.choice(sessions), dice.choice(ACCOUNTS)
    number = dice.choice((signal.SIGKILL, signal.SIGTERM))
    is_killed, at = dice.random() < 0.35, pace * dice.uniform(0, 0.6)
    after = pace * dice.uniform(0.05, 1.8)
    if verb == "run" and session == "tool":
        session = sessions[0]  # it has no conversation that a client could resume
    if verb in endless:
        return Call(at, verb, session, account, number, 0.7 + after)
    return Call(at, verb, session, account, number if is_killed else None, after)
