"""``adopt``: a real directory in a home becomes a link, and not a byte is lost.

The whole merge is planned first (:mod:`plan`). Then everything is brought into the target beside
what is there (:mod:`carry`), while the account's directory stays as it is. Then all is looked at
once more, and one system call swaps the directory and the link (:mod:`swap`). Whatever stops this,
the home holds either the whole old directory or the right link, and a second run finishes.
"""

from launcher.adopt.adoption import adopt
from launcher.adopt.outcome import Adopted, Adoption, AdoptionRefused, Stopped
from launcher.adopt.undo import Undone, undo

__all__ = ["Adopted", "Adoption", "AdoptionRefused", "Stopped", "Undone", "adopt", "undo"]
