"""One connection to PostgreSQL, in a thread of its own: the only file that knows the driver.

Rule 1: a statement is one round trip and one transaction. Nothing is prepared, set, locked for a session, or listened
        for: a pooler may give every statement another server process.
Rule 2: nothing is ever cancelled. A commit that waits for a standby would answer a cancel with success. A connection
        that is silent for too long is hung up, and what it was asked counts as unknown.
Rule 3: no error of the driver leaves this file.

A call into the driver cannot be cancelled by Trio, and in a network that swallows everything it would never return:
so a watchdog shuts the socket from outside. While a connection is being made there is none to shut, and the driver has a
bound of its own: the thread looks, once there is one, whether it was given up meanwhile.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
import os
import socket
import ssl
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
import trio

from preppald.errors import ConfigError
from preppald.shared.protocol import Unfit, Unreachable

Answer = list[tuple[Any, ...]] | Unreachable | Unfit

# A host that is up answers in milliseconds; several hosts are tried one after the other.
CONNECT_SECONDS = 4
# The first silence that is hung up. Each further one may last twice as long, up to the second number: a standby that
# hangs holds every commit up, and each connection that is given up leaves a process waiting on the server, of some 100.
PATIENCE_SECONDS = 15.0
MOST_PATIENCE_SECONDS = 600.0
# Probes of a connection on which nothing is said: a host that is gone is noticed after these.
KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 14_000,
}
# A statement that lost against another transaction is repeated at once; more often is no accident.
REPEATS = 3
# SQLSTATEs: serialisation failure, deadlock.
REPEATED = {"40001", "40P01"}
# Classes of data that no database would take: wrong values, violated constraints. 21: two rows with one key.
UNFIT_CLASSES = {"21", "22", "23"}
# Of a warning: a commit whose wait for the standby was ended by an administrator. It is not known to be there.
DOUBTFUL = "01000"
REMEDIES = {
    "28000": "see pg_hba.conf, and the role in PREPPALD_SHARED_JOURNAL",
    "28P01": "see the password in PREPPALD_SHARED_JOURNAL",
    "3D000": "make the database, or see its name in PREPPALD_SHARED_JOURNAL",
    "42501": "give the role the right to create the schema preppald, and everything in it",
    "53100": "make room on the database's disk",
    "53300": "raise max_connections, or put a pooler in front of it",
}
# A sentence in a log line, whatever a server says.
MAX_WORDS = 300


class Question:
    """A statement, as the thread and the loop have it. ``given_up``: nobody waits for its answer any more."""

    __slots__ = ("given_up", "statement", "values")

    def __init__(self, statement: str, values: Mapping[str, object]) -> None:
        self.statement, self.values = statement, values
        self.given_up = False


class Link:
    """``url``: of PostgreSQL, with one host or several. ``name``: in the server's list of connections.

    ``patience``: seconds of silence that are borne at first.
    """

    def __init__(self, url: str, *, name: str = "preppald", patience: float = PATIENCE_SECONDS) -> None:
        self._conninfo = conninfo(url, name)
        self._least_patience = patience
        # Of tasks that ask at one moment each has its own clock, and one that is cancelled hangs up on no other.
        self._turn = trio.StrictFIFOLock()
        self._limiter = trio.CapacityLimiter(1)
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._socket: socket.socket | None = None
        self._patience = patience
        self._doubtful = False
        self._closed = False

    async def ask(self, statement: str, values: Mapping[str, object] | None = None) -> Answer:
        """Return the rows of the answer. Connects first where there is no connection."""
        async with self._turn, trio.open_nursery() as nursery:
            question = Question(statement, values or {})
            answered = trio.Event()
            nursery.start_soon(self._watch, question, answered)
            answer = await trio.to_thread.run_sync(
                partial(self._ask, question), limiter=self._limiter, abandon_on_cancel=True
            )
            answered.set()
        return answer

    async def server(self) -> tuple[int, bool, int] | Unreachable:
        """Return the server's version, whether the connection is encrypted, and the process that the server named."""
        answer = await self.ask("SELECT 1")
        connection = self._connection
        if connection is None or not isinstance(answer, list):
            return answer if isinstance(answer, Unreachable) else Unreachable("the connection was lost")
        info = connection.info
        return info.server_version, bool(info.pgconn.ssl_in_use), info.backend_pid

    def close(self) -> None:
        """Hang up for good: the server ends the statement under way, or has done it already."""
        self._closed = True
        self._hang_up()
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _watch(self, question: Question, answered: trio.Event) -> None:
        try:
            with trio.move_on_after(self._patience):
                await answered.wait()
                return
            self._patience = min(self._patience * 2, MOST_PATIENCE_SECONDS)
        finally:
            if not answered.is_set():
                # First: the thread makes a socket, and then looks at this.
                question.given_up = True
                self._hang_up()

    def _hang_up(self) -> None:
        # Only the socket: the driver's own objects belong to the thread, which wakes up with an error. That thread may
        # let go of the socket at this moment.
        ours = self._socket
        if ours is not None:
            with suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)

    def _ask(self, question: Question) -> Answer:
        """Run in the thread."""
        try:
            for _ in range(REPEATS):
                try:
                    return self._run(question)
                except psycopg.OperationalError as error:
                    if error.sqlstate not in REPEATED:
                        raise
            return Unreachable(f"the statement lost against others {REPEATS} times")
        except (psycopg.Error, OSError, UnicodeError) as error:
            return self._answer_of(error)

    def _run(self, question: Question) -> Answer:
        connection = self._open()
        if question.given_up:
            self._drop()
            return Unreachable("there was no connection in time")
        self._doubtful = False
        found = connection.execute(question.statement, question.values)
        rows: list[tuple[Any, ...]] = found.fetchall() if found.description else []
        self._patience = self._least_patience
        if self._doubtful:
            return Unreachable("the wait for the standby was ended on the server: it may not have it")
        return rows

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self._drop()
        connection = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        if self._closed:  # while it was being made
            connection.close()
            raise psycopg.OperationalError("this end was closed")
        connection.add_notice_handler(self._noticed)
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._connection = connection
        return connection

    def _noticed(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.sqlstate == DOUBTFUL:
            self._doubtful = True

    def _answer_of(self, error: Exception) -> Unreachable | Unfit:
        state = error.sqlstate if isinstance(error, psycopg.Error) else None
        words = sentence(error, state)
        # Without a state the driver itself refused a value: it never left.
        unsent = state is None and isinstance(error, psycopg.DataError | UnicodeError)
        if unsent or (state or "")[:2] in UNFIT_CLASSES:
            return Unfit(words)
        if not isinstance(error, psycopg.ProgrammingError):
            self._drop()
        return Unreachable(words)


def sentence(error: Exception, state: str | None = None) -> str:
    """Return an error's words for people: without values, which PostgreSQL puts into a message's detail only."""
    told = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    # Of several hosts that were tried, the driver tells on lines of their own.
    lines = (" ".join(line.strip(" \t-").split()) for line in (told or str(error)).splitlines())
    words = "; ".join(filter(None, lines))
    remedy = REMEDIES.get(state or "") or next((it for key, it in _BY_WORDS if key in words), "")
    words = words[:MAX_WORDS] or type(error).__name__
    return f"{words}: {remedy}" if remedy else words


# Refusals before there is a connection have no SQLSTATE.
_BY_WORDS = (
    ("password authentication failed", REMEDIES["28P01"]),
    ("no pg_hba.conf entry", REMEDIES["28000"]),
    ("no password supplied", REMEDIES["28P01"]),
    (
        "certificate verify failed",
        "its authority must be in this machine's bundle, or named with sslrootcert=",
    ),
    ("session is read-only", "it is a standby: name the primary, too, or wait until one is promoted"),
)


def conninfo(url: str, name: str) -> str:
    """Return the driver's words for a URL, with the defaults of this daemon where the URL is silent.

    Encrypted, with the server's certificate verified by this machine's authorities, unless every host is this machine.

    Raises:
        ConfigError: the driver cannot read the URL.
    """
    try:
        said = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeDecodeError):
        # The driver's own words, and the bytes that it could not decode, hold the password.
        raise ConfigError(
            ["PREPPALD_SHARED_JOURNAL: (hidden) is a URL that PostgreSQL's library cannot read"]
        ) from None
    defaults: dict[str, object] = {
        "application_name": name,
        "connect_timeout": CONNECT_SECONDS,
        "target_session_attrs": "read-write",
        "client_encoding": "UTF8",
        **KEEPALIVE,
    }
    if not local(said):
        defaults["sslmode"] = "verify-full"
    mode = said.get("sslmode", defaults.get("sslmode", ""))
    if str(mode).startswith("verify-"):
        # The driver's wheel has an OpenSSL of its own, which knows no authority of this machine.
        defaults["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
    return make_conninfo(**{**defaults, **said})  # type: ignore[arg-type]


def local(said: Mapping[str, Any]) -> bool:
    """Return whether all hosts of a URL are this machine: a socket's directory, or the loopback."""
    hosts = str(said.get("hostaddr") or said.get("host") or "").split(",")
    return all(not it or it.startswith(("/", "127.", "@")) or it in {"localhost", "::1"} for it in hosts)
