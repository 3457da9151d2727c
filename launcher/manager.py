"""systemd's manager for whoever runs the launcher: the system's for root, else the user's own.

It is asked over its own socket, which takes neither D-Bus nor polkit, and which no variable of a
login moves: a boot and a login shell have to see the same units.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from invariants.programs import manager_answers, manager_directory
from launcher.errors import Unavailable

if TYPE_CHECKING:
    import subprocess

_SECONDS = 20.0


class Manager(NamedTuple):
    """The manager whose socket is below *directory*; *options* choose it for systemctl(1)."""

    directory: str
    options: tuple[str, ...]
    programs: str = os.defpath

    @classmethod
    def own(cls, environ: Mapping[str, str]) -> Self:
        """Return the one that answers for this process's user."""
        uid = os.geteuid()
        options = () if uid == 0 else ("--user",)
        # Whose PATH has no systemctl may have units all the same, and they have to be seen.
        programs = ":".join(filter(None, (environ.get("PATH"), os.defpath)))
        return cls(manager_directory(uid), options, programs)

    def is_there(self) -> bool:
        """Tell whether it runs."""
        return manager_answers(self.directory)

    def call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``systemctl`` or ``systemd-run`` for this manager. Raises Unavailable."""
        import subprocess  # whoever only asks whether there is a manager does not wait for it

        environ = {"PATH": self.programs, "XDG_RUNTIME_DIR": self.directory, "LC_ALL": "C.UTF-8"}
        try:
            return subprocess.run(
                [program, *self.options, *arguments],
                env=environ,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
                start_new_session=True,  # a Ctrl-C is the launcher's to take
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"systemd gave no answer within {_SECONDS:g} s") from None
        except OSError as error:
            raise Unavailable(f"{program} cannot be called: {error.strerror}") from error

    def units(self, pattern: str, properties: Sequence[str]) -> list[dict[str, str]]:
        """Return *properties* of every loaded unit whose name matches *pattern*."""
        shown = self.call("systemctl", "show", f"--property={','.join(properties)}", "--", pattern)
        if shown.returncode != 0:
            raise Unavailable(f"systemd does not show its units: {shown.stderr.strip()}")
        return list(_blocks(shown.stdout))


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Yield what ``systemctl show`` says of each unit: blocks of ``name=value``, a gap between."""
    for block in text.split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines() if line)
        if found := {name: value for name, _, value in pairs}:
            yield found
