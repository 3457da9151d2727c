"""The transcripts of conversations: where they are, whether they have turns, and a way to them.

A transcript is ``projects/FOLDER/ID.jsonl``, and FOLDER is named after the working directory as the
kernel resolves it. ``--resume ID`` finds it in another folder with 2.1.332, and not with 2.1.197
or 2.0.76; all three follow a symlink in the folder that they look into, and append to the
transcript behind it (measured, docs/claude-code.md).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterator
from enum import Enum

from invariants.folders import folder_of, is_folder_of
from invariants.opening import open_at_once

_TURNS = ("user", "assistant")


class Transcript(Enum):
    """What there is of a conversation."""

    ABSENT = "absent"
    EMPTY = "empty"  # a file without a turn
    BEGUN = "begun"


def look_for(projects: str, conversation: str, directories: Collection[str] = ()) -> Transcript:
    """Return what there is of *conversation* in any folder of *projects*.

    *directories* are those in which its session works or worked; their folders come first, and
    others are looked into only if they have no turn of it. A folder that cannot be looked into is
    passed over, unless it is one of theirs: a folder of another project must keep no session from
    its start. Raises OSError for those, for *projects*, and for a transcript of that id that cannot
    be read.
    """
    found = Transcript.ABSENT
    for path in _places(projects, conversation, directories):
        try:
            if _has_turns(path):
                return Transcript.BEGUN
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            folder = os.path.basename(os.path.dirname(path))
            if _is_there(path) or any(is_folder_of(folder, one) for one in directories):
                raise
            continue
        found = Transcript.EMPTY
    return found


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except OSError:
        return False
    return True


def is_begun(projects: str, directory: str, conversation: str) -> bool:
    """Tell whether *conversation* has turns in the folder of *directory*, and look nowhere else.

    This takes one open, however many folders there are. Raises OSError.
    """
    folder = folder_of(directory)
    if folder is None:
        return look_for(projects, conversation, [directory]) is Transcript.BEGUN
    try:
        return _has_turns(os.path.join(projects, folder, f"{conversation}.jsonl"))
    except (FileNotFoundError, NotADirectoryError):
        return False


def make_reachable(projects: str, directory: str, conversation: str) -> None:
    """Let ``--resume`` find *conversation* from *directory*, if its transcript is in other folders.

    A relative symlink in the folder of *directory* leads to the transcript; the file stays where
    it is, so that nothing of it can be lost and its old directory still finds it. Nothing is done
    if the folder has anything of that name already. Raises OSError.
    """
    folder = folder_of(directory)
    if folder is None:
        return
    entry = os.path.join(projects, folder, f"{conversation}.jsonl")
    if os.path.lexists(entry):
        return
    for path in _places(projects, conversation):
        if os.path.isfile(path) and not os.path.islink(path) and _has_turns(path):
            os.makedirs(os.path.dirname(entry), mode=0o700, exist_ok=True)
            os.symlink(os.path.join("..", os.path.relpath(path, projects)), entry)
            return


def begun_by_launchers(projects: str, directory: str) -> Iterator[str]:
    """Yield the ids in the folder of *directory* that a launcher made, with turns or without.

    A launcher's are of UUID version 5, Claude Code's own of version 4. Raises OSError.
    """
    folder = folder_of(directory)
    try:
        names = os.listdir(os.path.join(projects, folder)) if folder is not None else []
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        conversation, dot, suffix = name.partition(".")
        if dot + suffix == ".jsonl" and conversation[14:15] == "5":
            yield conversation


def _places(projects: str, conversation: str, directories: Collection[str] = ()) -> Iterator[str]:
    own = [name for one in directories if (name := folder_of(one)) is not None]
    for name in dict.fromkeys(own):
        yield os.path.join(projects, name, f"{conversation}.jsonl")
    with os.scandir(projects) as folders:
        for folder in folders:
            if folder.name not in own:
                yield os.path.join(folder.path, f"{conversation}.jsonl")


def _has_turns(path: str) -> bool:
    with open_at_once(path) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return False
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            if isinstance(record, dict) and record.get("type") in _TURNS:
                return True
    return False
