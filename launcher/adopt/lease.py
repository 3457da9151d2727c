"""Proof that nobody else has a file open: a write lease, fcntl(2)."""

from __future__ import annotations

import errno
import fcntl
import signal


def is_open_elsewhere(descriptor: int) -> bool:
    """Tell whether anybody but *descriptor*, opened for reading, has this file open.

    Where nobody has, this process holds a lease from then on until it closes *descriptor*: an
    open of the file waits for that, up to ``/proc/sys/fs/lease-break-time`` seconds. A file
    system without leases (NFS, some FUSE ones) answers False: there ``/proc`` is all that tells.
    """
    # The kernel's word that somebody waits; SIGIO, the default, would end this process.
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EBUSY, errno.ETXTBSY)
    return False
