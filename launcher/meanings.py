"""What the words of a report mean: each state, verdict and exit code, why it matters, what to do.

The one source of ``launcher explain``. What an invariant asks for is not here: its test says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invariants.links import LinkState
from invariants.naming import BROKEN
from launcher.errors import EXIT_CODES, ExitCode
from launcher.left import INVARIANT as LEFT_BEHIND
from launcher.sessions import SessionState
from launcher.sessions.warned import IN_BACKGROUND, NOT_IN_INVENTORY, NOT_LOOKED_AT
from launcher.verdict import NOT_JUDGED, Colour


@dataclass(frozen=True, slots=True)
class Topic:
    """One word: of what it is said (``state of a link``), what it means, why, and what to do."""

    name: str
    kind: str
    means: str
    matters: str
    do: str

    def as_json(self) -> dict[str, str]:
        """Return the entry of ``explain --json``."""
        return {
            "name": self.name,
            "kind": self.kind,
            "means": self.means,
            "matters": self.matters,
            "do": self.do,
        }


_DIVIDED = "State stays in one home: the conversation goes on without it under another account."
_NOWHERE = "Claude Code says nothing and exits with 0, and its state is stored nowhere."
_ENSURE = "launcher ensure"
_ADOPT = "launcher adopt ACCOUNT LINK merges what it holds into the target and loses no byte."
_ASIDE = "Paste the fix that check prints: it moves what is there to a free name beside it."
_MOUNT = "Mount what it is on for writing, or correct the path in the inventory."
_OWN_PLACE = "Give it a directory of its own in the inventory."
_LOOK = "Paste the fix that check prints: it shows the permissions on the way."
_MIXED = "What one account writes for itself would be mixed with what another, or all, read."

_LINK = {
    LinkState.SHARED: (
        "The entry is a symlink to the target, over no further symlink.",
        "This is the one state in which every account goes on with the same state.",
        "Nothing: it is as it should be.",
    ),
    LinkState.MISSING: (
        "Nothing stands where the home must expose the link.",
        f"Claude Code makes a real directory there in silence. {_DIVIDED} Claude Code's own "
        "`purge --all` removes such a link, and leaves every transcript behind it.",
        _ENSURE,
    ),
    LinkState.EMPTY_DIRECTORY: (
        "A directory without entries stands where the symlink must be.",
        _DIVIDED,
        _ADOPT,
    ),
    LinkState.REAL_DIRECTORY: (
        "A directory with entries, or a mount of the target, stands where the symlink must be.",
        f"{_DIVIDED} What it holds is some account's history already.",
        f"{_ADOPT} What is mounted there is unmounted first: paste the fix that check prints.",
    ),
    LinkState.FILE: ("A regular file stands where the symlink must be.", _NOWHERE, _ASIDE),
    LinkState.SPECIAL: (
        "A pipe, a socket or a device stands where the symlink must be.",
        f"{_NOWHERE} Reading a pipe can hang it.",
        _ASIDE,
    ),
    LinkState.DIVERGENT: (
        "The entry is a symlink that leads elsewhere, whether or not that exists.",
        f"{_DIVIDED} Where it leads to nothing, it is stored nowhere.",
        f"{_ASIDE} What it led to is left as it is; adopt it if you need it.",
    ),
    LinkState.CHAINED: (
        "The entry reaches the target, but over a further symlink.",
        "Claude Code follows it. But whoever turns that symlink moves this account's state, and "
        "no inventory says where it has to lead.",
        _ASIDE,
    ),
    LinkState.LOOP: ("The entry is a symlink that leads back to itself.", _NOWHERE, _ASIDE),
    LinkState.UNREADABLE: (
        "The entry cannot be read, or its text is right and the kernel does not let you through: a "
        "permission is missing, the disk reports an error, or a mount option forbids it.",
        "Claude Code goes through the symlink too, and stores nowhere what it cannot reach.",
        "Paste the fix that check prints: it shows the permissions and mounts on the way.",
    ),
}

_HOME = {
    "missing": (
        "The home is not there.",
        "A session would start with a new home: not logged in, and with links to nothing.",
        "launcher ensure --create-homes ACCOUNT, or correct the account's home in the inventory.",
    ),
    "unreadable": (
        "The home, or a directory above it, cannot be read.",
        "Nobody can tell whether its links are right.",
        _LOOK,
    ),
    "not-a-directory": ("Something else than a directory stands there.", _NOWHERE, _ASIDE),
    "not-yours": (
        "The home belongs to another user.",
        "Transcripts are readable by their owner only: under another user resume finds nothing.",
        "Paste the fix that check prints: it is chown, or says as whom to run the launcher.",
    ),
    "read-only": ("The home is on a read-only file system.", _NOWHERE, _MOUNT),
    "no-access": (
        "You may not read, write or enter the home.",
        _NOWHERE,
        "Paste the fix that check prints: chmod, or chattr -i where it was made immutable.",
    ),
    "nosymfollow": (
        "The home is on a file system mounted nosymfollow: the kernel follows no symlink in it.",
        _NOWHERE,
        "Mount it without that option: the fix that check prints shows the mount.",
    ),
    "writable-by-others": (
        "Other users can write the home: by its mode, an access list, or a group with members.",
        "They can turn its links, or put credentials and settings of theirs there.",
        "chmod go-w HOME, which limits its access list too.",
    ),
}

_TARGET = {
    "missing": ("The shared directory is not there.", _NOWHERE, _ENSURE),
    "vanished": (
        "The shared directory is not there, and has been before: what holds it may not be mounted.",
        "In a new, empty one every session would begin anew, behind a green gate.",
        "Mount what holds it. Where all is to begin anew, make the directory by hand.",
    ),
    "with-program": (
        "The target lies in the directory where claude-failover is installed, or around it.",
        "A reinstallation replaces that directory, and takes every conversation with it.",
        "End the sessions, move what the target holds, and name its new place in the inventory.",
    ),
    "symlink": (
        "The target is a symlink itself.",
        "Whoever turns it moves the state of every account, and no inventory says where it leads.",
        "Name what it leads to in the inventory, under [shared.targets].",
    ),
    "unreadable": ("The target, or a directory above it, cannot be read.", _NOWHERE, _LOOK),
    "not-a-directory": ("Something else than a directory stands there.", _NOWHERE, _ASIDE),
    "read-only": ("The target is on a read-only file system.", _NOWHERE, _MOUNT),
    "no-access": (
        "You may not read, write or enter the target.",
        _NOWHERE,
        "Paste the fix that check prints: chmod or chattr -i where it is yours, else chown.",
    ),
}

_CLASHES = {
    f"{how}-{other}": (f"The home or target {words} {other}.", _MIXED, _OWN_PLACE)
    for how, words in (
        ("same", "is the same directory as another"),
        ("inside", "lies inside another"),
        ("around", "holds another"),
    )
    for other in ("home", "target")
}

_SESSION_CHECK = {
    "missing": (
        "The session's directory, its program, or the program that keeps sessions is not there.",
        "tmux would start it in another directory in silence, or it would end at once.",
        "Bring it back or install it, or correct the session in the inventory.",
    ),
    "unreadable": (
        "The session's directory, or what Claude Code keeps of its conversation, cannot be read.",
        "tmux would start it in another directory in silence; or no turn of it would be kept.",
        "Correct the permissions, or the session's directory in the inventory.",
    ),
    "not-a-directory": (
        "The session's directory, or the folder of its conversation, is something else.",
        "tmux would start it in another directory in silence; or no turn of it would be kept.",
        "Correct the session's directory in the inventory, or paste the fix that check prints.",
    ),
    "no-access": (
        "The session's directory may not be entered, or what Claude Code keeps of its conversation "
        "may not be written.",
        "tmux would start it in another directory in silence; or no turn of it would be kept.",
        "Paste the fix that check prints: chmod or chattr -i if it is yours, else chown.",
    ),
    "not-a-file": (
        "Something other than a file is in the place of the conversation's transcript.",
        _NOWHERE,
        _ASIDE,
    ),
    "read-only": (
        "What Claude Code keeps of the session's conversation is on a read-only file system.",
        _NOWHERE,
        "Mount it for writing: the fix that check prints shows the mount.",
    ),
    "no-interpreter": (
        "The session's program is a script, and the interpreter that it names is not there.",
        "It would end at once.",
        "Install the interpreter, or give the units a PATH that has it (docs/deploy.md).",
    ),
    "dangling": (
        "The session's program is a symlink that leads nowhere.",
        "The session would end at once.",
        "Install the program again, or correct the session's command in the inventory.",
    ),
    "not-executable": (
        "The session's program may not be executed.",
        "The session would end at once.",
        "chmod +x PROGRAM",
    ),
    "unsafe-sockets": (
        "The directory of tmux's sockets in /tmp is not yours alone.",
        "tmux would start no server, so that no session could be started.",
        "Paste the fix that check prints; what is another user's takes root.",
    ),
    "no-terminal": (
        'Without tmux, backend = "auto" would run sessions without a terminal.',
        "Claude Code without `-p` ends within seconds there, after it was called started.",
        "Install tmux.",
    ),
    "no-manager": (
        "No systemd manager answers that could keep the sessions.",
        "None of them could be started.",
        "Let the user's manager linger (loginctl enable-linger), or choose another backend.",
    ),
}

_CLAUDE = {
    "not-logged-in": (
        "The account's home holds no login that Claude Code would take.",
        "A session or a switch there would stop at a question, or end with code 1.",
        "Log in: the fix that check prints starts Claude Code with that home.",
    ),
    "not-onboarded": (
        "Claude Code has never been set up in that home.",
        "An unattended start would stop at its first questions.",
        "Start Claude Code there once by hand: the fix that check prints does.",
    ),
    "not-accepted": (
        "Claude Code would ask to accept something before it starts.",
        "An unattended start would stop at that question.",
        "Start Claude Code there once by hand, and answer.",
    ),
    "not-trusted": (
        "The session's directory is not trusted in that home.",
        "Claude Code asks, and the answer that nobody gives ends it.",
        "Start Claude Code in that directory once by hand, and trust it.",
    ),
    "same-login": (
        "Two homes are logged in as the same account.",
        "A failover to the second would meet the limit of the first.",
        "Log one of them in as another account, or take it out of the inventory.",
    ),
    "same-tokens": (
        "Two homes hold the very same tokens: one was copied.",
        "The one that renews them first logs the other out.",
        "Log out in one of the two, and in as somebody else.",
    ),
    "shared": (
        "The login's file is a symlink, or one file that two homes have.",
        "Claude Code replaces it, and one account's login becomes the other's, or logs it out.",
        "Give each home a file of its own: log in there anew.",
    ),
    "hard-linked": (
        "The login's file has a second name.",
        "Whoever writes the other name changes this login.",
        "Remove the other name, or log in anew.",
    ),
    "not-a-file": (
        "Something else than a regular file stands where the login's file must be.",
        "Claude Code cannot keep a login there.",
        _ASIDE,
    ),
    "readable-by-others": (
        "Other users can read the credentials.",
        "Who reads them can work as that account.",
        "chmod 600 FILE, and log in anew if somebody may have read it.",
    ),
    "writable-by-others": (
        "Other users can write a file that decides who is logged in and what is trusted.",
        "They could put a login, a trust or a hook of theirs there.",
        "chmod go-w FILE",
    ),
    "not-yours": (
        "The file belongs to another user.",
        "Claude Code could not replace it, or somebody else could.",
        "Paste the fix that check prints: chown, or a free name for it and a new login.",
    ),
    "different": (
        "Hooks or permissions differ between the homes.",
        "After a switch a session would be allowed, or stopped at, something else.",
        "Make the settings equal; the failure shows where they differ.",
    ),
    "invalid": (
        "How long transcripts are kept is set to something that Claude Code does not take.",
        "What it does instead, it does to everybody's transcripts.",
        "Set cleanupPeriodDays to a number of days.",
    ),
    "too-short": (
        "A home keeps transcripts for a shorter time than the others, or than was asked for.",
        "The home with the shortest time deletes everybody's transcripts, through the links.",
        "Set cleanupPeriodDays to one value in the settings of all homes.",
    ),
    "two-writers": (
        "One conversation is open in two processes.",
        "Both append to one transcript, and one side's turns are lost.",
        "End one of the two processes.",
    ),
    "stray": (
        "A home of Claude Code that the inventory does not name holds conversations of its own.",
        "Nobody can go on with them under another account.",
        "Name it as an account and adopt its `projects`, or switch the family off with a reason.",
    ),
    "unreadable": (
        "What the check looks at cannot be read.",
        "Nobody can tell whether it is right, so it counts as wrong.",
        "Paste the fix that check prints: it shows the file, or makes a too large one smaller.",
    ),
}

_SESSION = {
    SessionState.RUNNING: (
        "The session ran before the launcher was called.",
        "It was left alone: a second process on one conversation would fork it.",
        "Nothing.",
    ),
    SessionState.STARTED: (
        "The launcher started the session and saw it alive.",
        "It is up since this call.",
        "Nothing.",
    ),
    SessionState.FAILED: (
        "The session did not come up, ended at once, or could not be stopped or looked at.",
        "Nothing works for its account in its directory, or nobody knows.",
        "Read what it printed, which launcher up shows, then launcher up again.",
    ),
    SessionState.HELD: (
        "The session was not started, since the gate was not green.",
        "A session on broken links loses state in silence.",
        "Mend what fails, then launcher up.",
    ),
    SessionState.STOPPED: (
        "The session does not run, and nothing forbids that it does.",
        "Nothing works for its account in its directory.",
        "launcher up",
    ),
}

_VERDICT = {
    Colour.GREEN: (
        "Every check that the inventory calls for ran, and passed.",
        "Only green starts anything.",
        "Nothing.",
    ),
    Colour.RED: (
        "At least one invariant does not hold.",
        "Nothing was started: a session on broken links loses state in silence.",
        "Do what stands behind `fix` at each failure, then launcher check.",
    ),
    Colour.UNKNOWN: (
        "The gate could not be carried out, so that nobody knows whether all holds.",
        "It is not red: nothing is known to be broken. It is not green: nothing was started.",
        "Read the reason, mend that, then launcher check.",
    ),
}

_FINDING = {
    NOT_JUDGED: (
        "The check did not run to its end: an error, a skip, or a file that cannot be loaded.",
        "What it would have found is not known.",
        "Read what was found; for an own invariant, correct its file. Then launcher check; "
        "if it stays, it is a fault of claude-failover: report it.",
    ),
    BROKEN: (
        "An invariant of the operator's own does not hold.",
        "Whoever wrote it says why: it is what the failure expected.",
        "Do what stands behind `fix` at the failure.",
    ),
}

_WARNING = {
    NOT_IN_INVENTORY: (
        "A session runs though the inventory does not name it, or no longer does.",
        "Nobody watches it: no gate judges it, and nothing brings it back or moves it.",
        "launcher down SESSION ends it; to keep it, name it in the inventory again.",
    ),
    LEFT_BEHIND: (
        "A session does not go on with a conversation that has turns, or had some.",
        "What was said there is not known to the new one; nothing of it was changed or deleted.",
        "Do what the fix says: it resumes that conversation, or leaves it behind for good.",
    ),
    IN_BACKGROUND: (
        "A session's conversation goes on in a background session of Claude Code's daemon.",
        "It is in no terminal of the launcher's, and a daemon starts it again if it is killed.",
        "Open it again in the terminal, or end it as the fix says; its turns are kept.",
    ),
    NOT_LOOKED_AT: (
        "What the sessions might be warned of could not be told, by a fault of claude-failover.",
        "A warning may be missing. The verdict does not depend on it, and nothing was held back.",
        "launcher check again; if it stays, report it with what was found.",
    ),
}

_EXIT = {
    ExitCode.OK: "Nothing.",
    ExitCode.RED: "Do what stands behind `fix` at each failure.",
    ExitCode.USAGE: "launcher VERB --help tells what the verb takes.",
    ExitCode.UNAVAILABLE: "launcher status shows which.",
    ExitCode.UNKNOWN: "Read the reason, mend that, then launcher check.",
    ExitCode.LOCKED: "Wait for it, then again.",
    ExitCode.CONFIG: "Correct the file where it says; launcher init proposes a first one.",
}
_FOR_UNITS = "Units and monitors decide by it."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _of(kind: str, words: Mapping[Any, tuple[str, str, str]]) -> list[Topic]:
    return [Topic(str(name), kind, *texts) for name, texts in words.items()]


TOPICS: tuple[Topic, ...] = (
    *_of("verdict", _VERDICT),
    *_of("state of a link", _LINK),
    *_of("state of a home", _HOME),
    *_of("state of a target", _TARGET),
    *_of("state of a home or target", _CLASHES),
    *_of("state of what a session needs", _SESSION_CHECK),
    *_of("state of a login, a setting or a conversation", _CLAUDE),
    *_of("state of any check", _FINDING),
    *_of("session", _SESSION),
    *_of("warning", _WARNING),
    *(
        Topic(str(code.value), "exit code", _sentence(EXIT_CODES[code]), _FOR_UNITS, do)
        for code, do in _EXIT.items()
    ),
)
"""All words but the invariants' names."""
