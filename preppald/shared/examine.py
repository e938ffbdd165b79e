"""Looks at the database of a shared journal for `preppald check --online`: asks, and changes nothing."""

from collections.abc import Callable

import trio

from preppald.shared import migrations
from preppald.shared.link import Link
from preppald.shared.protocol import LEASE_SECONDS

# The oldest whose statements were tried; Debian 12 has 15.
OLDEST_VERSION = 13
ROUNDS = 5
# Deadlines of interviews are wall clock: more than this is seen by a candidate whose interview another host takes over.
MOST_OFFSET_MS = 1000
PATIENCE_SECONDS = 10.0

SURROUNDINGS = """
SELECT current_setting('server_encoding'), current_setting('synchronous_commit'),
  current_setting('synchronous_standby_names'), pg_backend_pid(), (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
  has_database_privilege(current_database(), 'CREATE'),
  to_regnamespace('preppald') IS NOT NULL AND has_schema_privilege(to_regnamespace('preppald')::oid, 'CREATE, USAGE')
"""

Finding = tuple[str, bool, str]


async def examine(url: str, now_ms: Callable[[], int]) -> list[Finding]:
    """Return findings: about what, whether that is good, and words for people. ``now_ms``: the wall clock."""
    link = Link(url, name="preppald check", patience=PATIENCE_SECONDS)
    try:
        return await _examine(link, now_ms)
    finally:
        link.close()


async def _examine(link: Link, now_ms: Callable[[], int]) -> list[Finding]:
    server = await link.server()
    if not isinstance(server, tuple):
        return [("shared journal", False, server.why)]
    version, encrypted, named = server
    asked = now_ms()
    answer = await link.ask(SURROUNDINGS)
    answered = now_ms()
    if not isinstance(answer, list):
        return [("shared journal", False, answer.why)]
    encoding, commits, standbys, process, clock_ms, may_make, may_use = answer[0]
    # Before version 10 there was another number in it; none of those is taken.
    number = version // 10_000
    secure = "encrypted" if encrypted else "not encrypted"
    way = "directly" if process == named else "through a pooler"
    good = number >= OLDEST_VERSION and encoding == "UTF8"
    return [
        ("shared journal", good, f"PostgreSQL {number}, {encoding}, {secure}, {way}"),
        await _tables(link, may_make=may_make, may_use=may_use),
        _durability(commits, standbys),
        await _speed(link),
        _clock(clock_ms - (asked + answered) // 2),
    ]


async def _tables(link: Link, *, may_make: bool, may_use: bool) -> Finding:
    what = "shared journal's tables"
    there = await link.ask(migrations.EXISTS)
    if there != [(True,)]:
        good = may_make or may_use
        return (
            what,
            good,
            "are made at the first start" if good else "are not there, and this role may not make them",
        )
    answer = await link.ask(migrations.VERSION)
    if not isinstance(answer, list):
        return what, False, answer.why
    present, oldest_reader = answer[0]
    known = len(migrations.STEPS)
    if oldest_reader > known:
        return (
            what,
            False,
            f"are a newer preppald's (version {present}, this one knows {known}): upgrade this host",
        )
    return what, may_use or present >= known, f"version {present}, this preppald knows {known}"


def _durability(commits: str, standbys: str) -> Finding:
    what = "shared journal's standby"
    if commits == "off":
        return what, False, "synchronous_commit is off: the last commits are lost where the server dies"
    if not standbys or commits == "local":
        # A provider may do the same below the database, where nobody sees it.
        return (
            what,
            True,
            "no synchronous one is seen: unless your provider has one, its loss loses the last commits",
        )
    return what, True, f"synchronous ({commits}: {standbys})"


async def _speed(link: Link) -> Finding:
    times = []
    for _ in range(ROUNDS):
        began = trio.current_time()
        await link.ask("SELECT 1")
        times.append(trio.current_time() - began)
    median = sorted(times)[ROUNDS // 2]
    return "shared journal's round trip", median < LEASE_SECONDS / 10, f"{median * 1000:.1f} ms"


def _clock(offset_ms: int) -> Finding:
    words = f"its clock less this host's: {offset_ms / 1000:+.3f} s"
    return "shared journal's clock", abs(offset_ms) <= MOST_OFFSET_MS, words
