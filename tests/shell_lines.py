"""What a fix may be: held against every report that a test looks at."""

from __future__ import annotations

import os
import re
import shlex

_PROGRAMS = {
    *("cat", "cd", "chattr", "chmod", "chown", "claude", "command", "cp"),
    *("df", "diff", "findmnt", "getfacl", "grep", "kill", "launcher", "loginctl"),
    *("ls", "lsattr", "mkdir", "mount", "mv", "namei", "ps", "readlink"),
    *("rmdir", "sed", "sudo", "umask", "umount"),
}
"""The programs that fixes call: what is none of them is prose, and stands behind ``#``."""


def is_a_line_for_a_shell(fix: str) -> bool:
    """Tell whether no quote stays open in *fix*, and each of its commands is one that is known."""
    if not fix.isprintable():
        return False
    try:
        words = shlex.split(fix, comments=True)
    except ValueError:
        return False
    is_first = True
    for word in words:
        if is_first and not re.match("[A-Z_]+=", word):
            name = os.path.basename(word.strip("()"))
            if name not in _PROGRAMS and not name.startswith("python"):
                return False
            is_first = False
        is_first = is_first or word == "&&" or word.endswith(";")
    return bool(fix)
