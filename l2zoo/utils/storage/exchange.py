"""Two folders that change names in one step, where the system has such a step."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from pathlib import Path
from typing import Any

_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, from which relative paths count, and RENAME_EXCHANGE


def exchange(one: Path, other: Path) -> bool:
    """Lets two folders of one disk change names; whoever looks finds the one or the other under each.

    Returns:
        False where the system or the file system has no such step; then nothing was done.

    Raises:
        OSError: It failed.

    References:
        renameat2(2) of Linux, with RENAME_EXCHANGE.
    """
    renameat2 = _renameat2()
    if renameat2 is None:
        return False
    if renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))


@functools.cache
def _renameat2() -> Any:
    """The call of Linux, by glibc from 2.28 on; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return call
