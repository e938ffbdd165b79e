"""Log lines: ``noun.verb`` and keys, as JSON or for people, written by a thread that the loop never waits for.

When the reader of stderr stalls, lines wait in a bounded queue; lines that do not fit are dropped and counted. So are
those for which a full disk has no room, and the log goes on when there is some.
"""

from collections import deque
from collections.abc import Callable
import errno
import logging
import sys
import threading
import time
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

Logger = FilteringBoundLogger

# A minute of a busy daemon; past it somebody has stopped reading us.
QUEUE_BYTES = 4 * 1024 * 1024
# How long the last lines may take at exit.
FLUSH_SECONDS = 2.0

# A file on a full disk, or one past a quota, takes lines again once there is room.
PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN})
# The wait before lines are tried again: what is lost meanwhile is counted.
ROOM_SECONDS = 1.0

# These libraries print headers, tokens and whole URLs at their lower levels.
TALKATIVE_LIBRARIES = ("websockets", "httpx", "httpcore", "trio", "trio-websocket", "wsproto")
# The interval of one repeated warning. trio.serve_listeners warns ten times a second while descriptors are short.
REPEAT_SECONDS = 10.0
# Different warnings that are remembered; libraries have a handful.
MAX_WARNINGS = 256


# The keys that a line begins with, in this order.
HEAD = ("timestamp", "level", "event", "interview")

# syslog's, by the logger's method, for `journalctl --priority`. A line carries it in front, see sd-daemon(3).
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


class LineQueue:
    """A file of lines for structlog, written by its own thread; see the rule at the top."""

    def __init__(self, stream: TextIO, limit_bytes: int = QUEUE_BYTES) -> None:
        self._stream = stream
        self._limit = limit_bytes
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._drain, name="log-writer", daemon=True)
        self._thread.start()

    def msg(self, line: str) -> None:
        with self._changed:
            if self._bytes + len(line) > self._limit:
                self._dropped += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify()

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg

    def close(self) -> None:
        """Write the lines that wait, within a bound, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(FLUSH_SECONDS)

    def _drain(self) -> None:
        torn = False
        while True:
            with self._changed:
                while not self._lines and not self._closing:
                    self._changed.wait()
                if not self._lines:
                    return
                text = "\n".join(self._lines) + "\n"
                lines = len(self._lines)
                self._lines.clear()
                self._bytes = 0
                dropped, self._dropped = self._dropped, 0
            if torn:
                text = "\n" + text  # the last line may have been written in part
            if dropped:
                text += f'{{"event": "log.dropped", "level": "warning", "lines": {dropped}}}\n'
            try:
                self._stream.write(text)
                self._stream.flush()
                torn = False
            except (OSError, ValueError) as error:
                if not isinstance(error, OSError) or error.errno not in PASSING:
                    return  # nobody can read us any more
                torn = True
                with self._changed:
                    self._dropped += dropped + lines
                    self._changed.wait_for(lambda: self._closing, ROOM_SECONDS)


class _ToStructlog(logging.Handler):
    """Writes the libraries' warnings as lines like ours, without tracebacks, which may quote parsed input.

    The same warning comes once in ``REPEAT_SECONDS``, with how often it was meant since.
    """

    def __init__(self, logger: Logger, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._clock = clock
        # By the template, which is constant where the text is not: when it was last written, and how often not.
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        key, now = (record.name, str(record.msg)), self._clock()
        said_at, untold = self._said.get(key, (now - REPEAT_SECONDS, 0))
        if now - said_at < REPEAT_SECONDS:
            self._said[key] = (said_at, untold + 1)
            return
        if len(self._said) >= MAX_WARNINGS:
            self._said.clear()
        self._said[key] = (now, 0)
        self._logger.warning("library.warned", library=record.name, text=record.getMessage(), untold=untold)


def configure(
    form: Literal["json", "console"],
    level: Literal["debug", "info", "warning", "error"],
    stream: TextIO = sys.stderr,
    *,
    priorities: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Logger, Callable[[], None]]:
    """Return the process's logger, and the function that writes its last lines at exit. ``priorities``: for systemd.

    ``clock``: in seconds; by it a library's warning is told again.
    """
    queue = LineQueue(stream)
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
    )
    logger: Logger = structlog.wrap_logger(
        queue,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _headed,
            renderer,
            *([_with_priority] if priorities else []),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
    )
    handler = _ToStructlog(logger, clock)
    for name in TALKATIVE_LIBRARIES:
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        library.propagate = False
        library.handlers = [handler]
    return logger, queue.close


def _headed(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Put time, level, event, interview and words first, numbers after: a narrow terminal shows no more."""
    head = {name: event.pop(name) for name in HEAD if name in event}
    words = {name: value for name, value in event.items() if isinstance(value, str)}
    return head | words | dict(event)


def _with_priority(_logger: object, method: str, line: Any) -> str:
    return f"<{PRIORITIES[method]}>{line}"
