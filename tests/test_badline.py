"""The figures of the benchmark over a bad line: which of the candidate's sound was in time."""

from base64 import b64encode
import json

import pytest

from tests.bench.badline import Ears, arrived, in_time
from tests.bench.speaker import BYTES_PER_SECOND, in_a_room


def heard(ears: Ears, pcm: bytes) -> None:
    audio = {"data": b64encode(pcm).decode(), "mimeType": "audio/pcm;rate=16000"}
    ears.note_bytes(1, "in", json.dumps({"realtimeInput": {"audio": audio}}).encode())


async def test_a_candidates_silence_counts_and_the_daemons_does_not(autojump_clock: object) -> None:
    ears = Ears()
    room = in_a_room(bytes(BYTES_PER_SECOND))
    heard(ears, room)
    heard(ears, bytes(BYTES_PER_SECOND))
    heard(ears, room[:3200] + bytes(BYTES_PER_SECOND))
    assert [seconds for seconds, _ in ears.arrivals] == pytest.approx([1.0, 1.0, 1.1], abs=0.001)


def test_sound_is_in_time_within_a_second_of_its_being_said() -> None:
    """Said from 10 s on. The third second arrives 1.5 s late, and the fourth never."""
    arrivals = [(1.0, 11.2), (2.0, 12.9), (3.0, 14.5)]
    assert in_time(arrivals, 10.0, 4.0) == pytest.approx((0.5, 1.5))
    assert arrived(arrivals, 14.0) == 2.0
    assert arrived([], 14.0) == 0.0


def test_a_room_is_quiet_and_never_still() -> None:
    room = in_a_room(bytes(BYTES_PER_SECOND))
    assert len(room) == BYTES_PER_SECOND
    assert bytes(200) not in room
