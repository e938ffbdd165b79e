"""Reads files that settings name, within bounds: neither a pipe that nobody writes to nor a device holds up a reload."""

import errno
import os
from pathlib import Path
import select
import stat
import time

# In all, for what comes through a pipe: PREPPALD_ENV_FILE=<(a command) needs a moment. At a reload every interview waits.
PIPE_SECONDS = 5.0
READ_BYTES = 64 * 1024


def beginning(file: Path, most_bytes: int) -> bytes:
    """Return the file's first bytes; a whole file is shorter than ``most_bytes``.

    Raises:
        OSError: it cannot be read; ``strerror`` says why.
    """
    mode = file.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.ENODEV, "it is a device")
    # Without O_NONBLOCK a named pipe is not even opened before somebody writes.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _read(descriptor, most_bytes, time.monotonic() + PIPE_SECONDS)
    finally:
        os.close(descriptor)


def _read(descriptor: int, most_bytes: int, by: float) -> bytes:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    data = b""
    while len(data) < most_bytes:
        left_ms = (by - time.monotonic()) * 1000
        if left_ms <= 0 or not waiting.poll(left_ms):
            raise OSError(errno.ETIMEDOUT, f"it is a pipe without an end within {PIPE_SECONDS:.0f} seconds")
        part = os.read(descriptor, min(READ_BYTES, most_bytes - len(data)))
        if not part:
            break
        data += part
    return data
