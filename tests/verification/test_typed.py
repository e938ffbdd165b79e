"""Typed answers are in no sound: the second ear is not asked about them, and they stay as they are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from preppald.core import feedback
from preppald.core.context import Context
from preppald.core.deliveries import DeliveryKind, TranscriptLine
from preppald.core.turns import Fragment, Speaker, Turn, fold
from tests.durable import EPOCH_MS
from tests.verification.rig import WORDS, noted, rigged, turn

TYPED = "I was a sailor on the Vasa for twenty years."


def typed(number: int, *pieces: tuple[str, float, int | None]) -> Turn:
    """A turn of the candidate of spoken and typed pieces: text, when, and a typed one's number."""
    first, last = (EPOCH_MS + round(at * 1000) for at in (pieces[0][1], pieces[-1][1]))
    return fold(
        Fragment(seq, number, Speaker.USER, text, first, answer=answer, begin_ms=first, end_ms=last)
        for seq, (text, _, answer) in enumerate(pieces, 1)
    )[number]


@pytest.mark.parametrize("mode", ["all", "doubtful"])
async def test_feedback_is_written_from_what_was_typed_as_it_was_typed(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted(tmp_path, (5.0,))
    read: list[str] = []
    request = feedback.request

    def listen(lines: Sequence[TranscriptLine], context: Context) -> bytes:
        read.extend(line.content for line in lines)
        return request(lines, context)

    monkeypatch.setattr(feedback, "request", listen)
    async with rigged(tmp_path, PREPPALD_VERIFY=mode, PREPPALD_FEEDBACK="on") as rig:
        question = turn(2, "And then?", 13.0, 1.0, Speaker.AI)
        rig.end([turn(1, WORDS, 5.0), question, typed(3, (TYPED, 14.5, 7))])
        assert [it.turn for it in (await rig.checked()).turns] == [0] * (mode == "all")
        await rig.delivered(DeliveryKind.FEEDBACK)
        assert read == [WORDS, "And then?", TYPED]


async def test_a_turn_that_goes_on_with_typed_words_is_neither_sent_nor_unheard(tmp_path: Path) -> None:
    """What the second ear says of it would be about all of its text."""
    noted(tmp_path, (5.0,))
    async with rigged(tmp_path) as rig:
        rig.end([typed(1, (WORDS, 5.0, None), (f" {TYPED}", 12.0, 1))])
        assert (await rig.checked()).turns == ()


async def test_voice_beside_what_was_typed_is_unheard(tmp_path: Path) -> None:
    """The live transcription has nothing of it, and what was typed meanwhile is something else."""
    noted(tmp_path, (5.0,))
    async with rigged(tmp_path) as rig:
        rig.end([typed(1, (TYPED, 6.0, 1))])
        assert [(it.live, it.second) for it in (await rig.checked()).turns] == [("", WORDS)]
