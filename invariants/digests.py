"""The digest of some bytes, without what :mod:`hashlib` loads at its import: all of OpenSSL.

That takes as long as a tenth of a gate, and each gate makes one digest.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import blake2b
else:
    try:
        from _blake2 import blake2b
    except ImportError:  # a Python whose hashlib takes it from elsewhere
        from hashlib import blake2b


def hexdigest(content: bytes) -> str:
    """Return the BLAKE2b digest of *content*, 64 hexadecimal digits.

    >>> hexdigest(b"")[:8]
    '0e5751c0'
    """
    return blake2b(content, digest_size=32).hexdigest()
