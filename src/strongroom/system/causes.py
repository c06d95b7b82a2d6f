"""What an error of the file system is called in a sentence for people."""

from __future__ import annotations

import errno
import os
from typing import Final

_CAUSES: Final = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "something on the way is not a directory",
    errno.EIO: "the disk reports an error",
    errno.ELOOP: "a symbolic link is in the way",
    errno.EEXIST: "exists already",
    errno.EISDIR: "a directory is in the way",
    errno.ENOTEMPTY: "a directory that is not empty is in the way",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EINVAL: "this file system cannot do that",
    errno.EOPNOTSUPP: "this file system cannot do that",
    errno.EILSEQ: "this file system does not allow such a name",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EXDEV: "it is on another file system",
    errno.EFBIG: "too large for this file system",
    errno.EMLINK: "this file system does not allow so many links",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOMEM: "not enough memory",
    errno.ESTALE: "it was replaced meanwhile, or the file system lost it",
    errno.ENOTCONN: "the file system is no longer mounted",
    errno.ENXIO: "no device answers",
    errno.ENODEV: "no device answers",
    errno.EAGAIN: "another program holds it",
    errno.ETIMEDOUT: "the file system does not answer",
}


def cause_of(error: OSError) -> str:
    """Return a short sentence without numbers; what the system calls it where we have no words."""
    number = error.errno
    if number is None:
        return str(error)
    return _CAUSES.get(number) or os.strerror(number).lower()
