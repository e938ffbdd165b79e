"""Files that hold secrets: read only where not everybody on this machine may, and within a bound."""

from pathlib import Path
import re
import stat

from preppald.config.values import Invalid

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
# A secret in a file is a line; a larger file is a mistake.
MAX_SECRET_FILE_BYTES = 16 * 1024
# The whole configuration is 3 KiB with all comments.
MAX_ENV_FILE_BYTES = 64 * 1024


def secret_file(file: Path) -> str:
    """Return the text of a file that only its owner (and group) may read, without the white space around it."""
    return _private_text(file, MAX_SECRET_FILE_BYTES, "not a secret").strip()


def env_file(file: Path) -> dict[str, str]:
    """Read ``NAME=value`` lines as of systemd's EnvironmentFile=: values bare or in quotes, # and ; for comments."""
    found: dict[str, str] = {}
    text = _private_text(file, MAX_ENV_FILE_BYTES, "not an env file")
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line[0] in "#;":
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            # The line may hold a secret: its number has to do.
            raise Invalid(f"{file}, line {number}: is not NAME=value")
        value = match[2].strip()
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
        found[match[1]] = value[1:-1] if quoted else value
    return found


def _private_text(file: Path, most_bytes: int, what_else: str) -> str:
    try:
        state = file.stat()
        if state.st_mode & stat.S_IROTH:
            raise Invalid(f"{file} may be read by everybody on this machine: chmod o-r it")
        if state.st_size > most_bytes:
            raise Invalid(f"{file} is larger than {most_bytes} bytes: {what_else}")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not text") from error
