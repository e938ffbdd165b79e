"""Files that hold secrets: read only where not everybody on this machine may, and within a bound."""

from pathlib import Path
import stat

from preppald.config import env_file as env_files
from preppald.config.env_file import EnvFileError
from preppald.config.reading import beginning
from preppald.config.values import Invalid

# A secret in a file is a line; a larger file is a mistake.
MAX_SECRET_FILE_BYTES = 16 * 1024
# The whole configuration is 3 KiB with all comments.
MAX_ENV_FILE_BYTES = 64 * 1024


def secret_file(file: Path) -> str:
    """Return the text of a file that only its owner (and group) may read, without the white space around it.

    Raises:
        Invalid: it cannot be used; the text names the file and the reason.
    """
    try:
        return _private_bytes(file, MAX_SECRET_FILE_BYTES, "not a secret").decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not text") from error


def env_file(file: Path) -> dict[str, str]:
    """Return the assignments in a file as of systemd's EnvironmentFile=.

    Raises:
        EnvFileError: every fault of it.
        Invalid: it cannot be read at all.
    """
    try:
        return env_files.parse(_private_bytes(file, MAX_ENV_FILE_BYTES, "not an env file"))
    except EnvFileError as error:
        raise EnvFileError([f"{file}, {fault}" for fault in error.faults]) from error


def repeated(file: Path) -> list[str]:
    """Return what an env file sets more than once, with its lines. A pipe, which was read by now, has nothing to tell.

    Raises:
        Invalid: it cannot be read at all.
    """
    if not file.is_file():
        return []
    data = _private_bytes(file, MAX_ENV_FILE_BYTES, "not an env file")
    return [f"{file}, {words}" for words in env_files.repeated(data)]


def _private_bytes(file: Path, most_bytes: int, what_else: str) -> bytes:
    try:
        state = file.stat()
        if stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
            raise Invalid(f"{file} is a device: {what_else}")
        if state.st_mode & stat.S_IROTH and not stat.S_ISDIR(state.st_mode):
            raise Invalid(f"{file} may be read by everybody on this machine: chmod o-r it")
        if state.st_size > most_bytes:
            raise Invalid(f"{file} is larger than {most_bytes} bytes: {what_else}")
        data = beginning(file, most_bytes + 1)  # a pipe has no size
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > most_bytes:
        raise Invalid(f"{file} is larger than {most_bytes} bytes: {what_else}")
    return data
