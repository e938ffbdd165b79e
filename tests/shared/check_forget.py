"""``preppald forget`` on a real PostgreSQL: afterwards no table of the shared journal has an id or a word.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
import itertools
from pathlib import Path

import pytest
import trio

from preppald.cli import main
from preppald.core.deliveries import OutboxEntry
from preppald.core.turns import Fragment
from preppald.errors import EX_IOERR, EX_UNAVAILABLE, JournalError
from preppald.journal import packing, rows
from preppald.journal.parcel import parcel
from preppald.journal.pending import Batch
from preppald.shared.forgetting import SharedForgetter, without
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Joined, Late, Presence, Written
from preppald.shared.shipment import shipment
from tests.durable import EPOCH_MS, begun, finished, interview, said
from tests.shared.conformance import commit, ended, passages
from tests.shared.server import Server, running

WORDS = "mein Vater heisst Zephyrin Quastenflosser"
NAME, USER = "iv-to-be-forgotten", "user-to-be-forgotten"
OTHER = next(
    it for it in map("iv-that-stays-{}".format, range(99)) if packing.bucket(it) == packing.bucket(NAME)
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as it:
        yield it


def words(text: str = WORDS) -> list[Fragment]:
    return said(3, text=f"{text} ")


_databases = itertools.count(1)


@dataclass
class Filled:
    """A database of its own, with one interview that is over and one that goes on, of one host."""

    server: Server
    name: str = field(default_factory=lambda: f"f{next(_databases)}")
    incarnation: int = 0

    @property
    def url(self) -> str:
        return self.server.url.rpartition("/")[0] + f"/{self.name}"

    def fill(self, *, owes: bool = False, live: bool = False) -> "Filled":
        self.server.sql(f"CREATE DATABASE {self.name}")
        trio.run(partial(self._fill, owes=owes, live=live))
        return self

    async def _fill(self, *, owes: bool, live: bool) -> None:
        shared = Postgres(self.url)
        joined = await shared.join(Presence("preppald@a", "", "1"))
        assert isinstance(joined, Joined)
        me = self.incarnation = joined.incarnation
        row, delivery = interview(NAME, user_id=USER), OutboxEntry(finished(NAME))
        parcels = [
            commit(1, row if live else ended(row), interview(OTHER), of=NAME, fragments=words()),
            commit(
                2,
                owed=[
                    OutboxEntry(begun(NAME)).acknowledged(EPOCH_MS),
                    delivery if owes else delivery.acknowledged(EPOCH_MS),
                ],
                due={delivery.key: True} if owes else {},
            ),
        ]
        assert await shared.append(me, shipment(parcels)) == Written()
        assert await shared.settle(me, passages(words(), NAME), 1) == Written()
        # One row, of both.
        batch = Batch()
        batch.add_fragments(NAME, 1, words())
        batch.add_fragments(OTHER, 1, words("ich bleibe hier"))
        assert await shared.append(me, shipment([parcel(batch, 3)])) == Written()
        assert await shared.late(me, [Late(NAME, 0, me, 9, f'["{WORDS}"]')]) == Written()
        await shared.aclose()

    def lose(self) -> None:
        """Declare the host lost."""
        self.server.sql("UPDATE preppald.instance SET lost_at = now()", self.name)

    def found(self, *needles: str) -> list[str]:
        """The tables that have one of these in a row."""
        return [
            table
            for table in ("interview", "passage", "recent", "outbox", "late", "feedback_due")
            if any(
                self.server.sql(
                    f"SELECT count(*) FROM preppald.{table} t WHERE position('{it}' IN t::text) > 0",
                    self.name,
                )
                != "0"
                for it in needles
            )
        ]


def forget(url: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setenv("PREPPALD_SHARED_JOURNAL", url)
    monkeypatch.setenv("PREPPALD_STATE_DIR", str(state_dir))
    return main(["forget", *more])


HELD = ["interview", "passage", "recent", "outbox", "late"]


@pytest.mark.parametrize("whose", [("--interview", NAME), ("--user", USER)])
def test_an_interview_of_a_lost_host_is_forgotten_from_any_other(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    whose: tuple[str, str],
) -> None:
    """In every table; the interview that it shares a row with stays. A second time there is nothing."""
    it = Filled(server).fill()
    it.lose()
    assert it.found(NAME) == HELD
    assert forget(it.url, tmp_path, monkeypatch, *whose) == 0
    assert "shared journal: 1 interviews, 2 pieces of transcript, 2 deliveries" in capsys.readouterr().out
    assert it.found(NAME, USER, WORDS) == []
    assert it.found(OTHER) == ["interview", "recent"]
    assert it.found("ich bleibe hier") == ["recent"]
    assert forget(it.url, tmp_path, monkeypatch, *whose) == EX_UNAVAILABLE


def test_what_another_living_host_has_is_named_and_stays(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = Filled(server).fill()
    assert forget(it.url, tmp_path, monkeypatch, "--interview", NAME) == EX_IOERR
    assert (
        f"LEFT: interview {NAME}: preppald@a has it: give the command there, too" in capsys.readouterr().out
    )
    assert it.found(NAME) == HELD


def test_one_that_is_live_there_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a living host, and where its host is lost: somebody will claim it."""
    it = Filled(server).fill(live=True)
    assert forget(it.url, tmp_path, monkeypatch, "--user", USER) == EX_UNAVAILABLE
    assert "is live at preppald@a" in capsys.readouterr().err
    it.lose()
    assert forget(it.url, tmp_path, monkeypatch, "--user", USER) == EX_UNAVAILABLE
    assert "is live" in capsys.readouterr().err
    assert it.found(NAME) == HELD


def test_one_that_is_owed_is_refused_unless_that_is_asked_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = Filled(server).fill(owes=True)
    it.lose()
    assert forget(it.url, tmp_path, monkeypatch, "--interview", NAME) == EX_UNAVAILABLE
    assert "the backend is still owed 1 deliveries" in capsys.readouterr().err
    assert it.found(NAME) == [*HELD, "feedback_due"]
    assert forget(it.url, tmp_path, monkeypatch, "--interview", NAME, "--also-undelivered") == 0
    assert it.found(NAME, WORDS) == []


def test_what_our_own_incarnation_has_is_ours_to_forget(server: Server) -> None:
    it = Filled(server).fill()
    forgetter = SharedForgetter(it.url, [it.incarnation])
    (standing,) = forgetter.standings([NAME])
    assert standing.host == ""
    removed = forgetter.forget([NAME])
    assert (removed.interviews, removed.pieces, removed.deliveries) == (1, 2, 2)
    assert it.found(NAME, WORDS) == []
    assert forgetter.forget([NAME]).interviews == 0


def test_one_that_began_again_meanwhile_stays(server: Server) -> None:
    """Between the look and the deed."""
    it = Filled(server).fill(live=True)
    with pytest.raises(JournalError, match="began again at another host"):
        SharedForgetter(it.url, [it.incarnation]).forget([NAME])
    assert it.found(NAME)[:2] == ["interview", "passage"]


def test_a_database_that_is_away_is_left_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is forgotten where it cannot be looked at first."""
    nobody = "postgresql://preppald@127.0.0.1:1/preppald"
    assert forget(nobody, tmp_path, monkeypatch, "--interview", NAME) == EX_IOERR
    assert "the shared journal does not answer" in capsys.readouterr().err


def test_a_row_that_cannot_be_read_loses_everything() -> None:
    row = rows.sealed((0, f'[["{NAME}",1,[1,1,"user","x",1],0]]'))
    assert without((row[0], row[1], row[2] + 1), {NAME}) == rows.sealed((0, "[]"))
    assert without(row, {OTHER}) is None
