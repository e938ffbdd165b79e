"""What an interview puts on record: that it gets to disk is looked after, seldom, and told where it does not."""

import trio

from preppald.config.load import load
from preppald.interview.record import LOOK_SECONDS, Record
from preppald.journal import Given
from preppald.net.ticker import Ticker
from tests.durable import Notes, Rig, full, interview, running, said

CONFIG = load({"JWT_SECRET": "a" * 32, "GEMINI_API_KEY": "key", "PREPPALD_BACKEND": "none"})


async def test_an_interview_whose_words_do_not_get_to_disk_says_so(autojump_clock: object) -> None:
    """Once a look, as long as it speaks; the words are kept, and are on disk as soon as that works again."""
    rig, notes = Rig(), Notes()
    async with running(Given(lambda: rig.connection(":memory:"))) as journal, trio.open_nursery() as tasks:
        journal.begin(interview())
        ticker = Ticker()
        tasks.start_soon(ticker.run)
        record = Record(journal, ticker, CONFIG, interview(), notes)  # type: ignore[arg-type]  # a log that remembers
        tasks.start_soon(record.run)

        async def speak(first: int) -> None:
            for fragment in said(10, first=first):
                record.keep(fragment)
                await trio.sleep(LOOK_SECONDS / 10)
            await trio.sleep(LOOK_SECONDS)

        await speak(1)
        assert notes.events() == []
        rig.always = full()
        await speak(11)
        assert set(notes.events()) == {"transcript.not_durable"}
        assert 1 <= len(notes.events()) <= 2
        rig.always = None
        await trio.sleep(LOOK_SECONDS)
        told = len(notes.events())
        await speak(21)
        assert len(notes.events()) == told
        assert journal.durable == journal.recorded
        assert await record.since(0) == said(30)
        tasks.cancel_scope.cancel()
