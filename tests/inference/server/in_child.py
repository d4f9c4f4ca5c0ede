"""What a library of images may do to the process that decodes."""

from __future__ import annotations

import os
import time
from typing import Any

from l2zoo.inference.server import decoding


def fail_or_decode(files: list[bytes], *arguments: Any) -> Any:
    if files == [b"time"]:
        time.sleep(1000)
    if files == [b"memory"]:
        raise MemoryError
    if files == [b"death"]:
        os.abort()
    return decoding.decode(files, *arguments)
